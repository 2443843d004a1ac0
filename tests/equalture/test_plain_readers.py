"""What is read in straight-line code is read as its definition says."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import Schema, ValidationError

from bridge.equalture import schemas
from bridge.equalture.field_readers import LINK_LIMIT, TEXT_LIMIT, read_link, read_text

_PIECES = st.sampled_from(
    [
        *("http://", "https://", "HTTP://", "ftp:", "//", "/", "a.example", "ä", "[::1]", "[", "]"),
        *(":80", ":", "99999", "@", "?", "#", "\\", " ", "\t", "%20", "-", ".", "'", ";", "\u3000"),
    ]
)


@given(st.lists(_PIECES, max_size=8).map("".join) | st.text())
def test_a_link(value: str) -> None:
    """A link is one by the rules of URLs, whether or not it is of the plain kind."""
    try:
        parts = urlsplit(value)
        expected = (
            value.isprintable()
            and not set(value) & {" ", "\\"}
            and parts.scheme in {"http", "https"}
            and bool(parts.hostname)
            and re.fullmatch(r"[\w.:\[\]-]+", parts.netloc) is not None
            and (parts.port is None or True)
        )
    except ValueError:
        expected = False
    assert read_link(value) == (value if expected else None)


def test_a_long_link() -> None:
    """A link that is too long is none, however plain."""
    link = "https://a.example/" + "x" * LINK_LIMIT
    assert read_link(link[:LINK_LIMIT]) is not None
    assert read_link(link) is None


@given(
    st.text(st.sampled_from(" \t\n\x00\x7f\xa0\u3000\u200baä.")) | st.text(),
    st.sampled_from([1, 90, TEXT_LIMIT]),
)
def test_a_text(value: str, times: int) -> None:
    """A text is one line, trimmed, folded and cut."""
    text = value * times
    expected = re.sub(r"[\x00-\x20\x7f-\xa0]+", " ", text).strip()[:TEXT_LIMIT].strip()
    assert read_text(text) == (expected or None)


_ANY = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from(["r-1", "https://a.example/x", "completed", "a b"])
    | st.lists(st.integers(), max_size=1)
)
_NAMES = ["access_token", "reference_id", "assessment_url", "status", "url", "ttl", "ttl_units"]


@pytest.mark.parametrize(
    "schema",
    [
        *(schemas.TokenAnswer(), schemas.CreatedAnswer(), schemas.StatusAnswer()),
        schemas.PublicLinkAnswer(),
    ],
    ids=lambda schema: type(schema).__name__,
)
@given(answer=st.dictionaries(st.sampled_from([*_NAMES, "more"]), _ANY) | _ANY)
def test_an_answer(schema: Schema, answer: Any) -> None:
    """An answer's fields are what its schema loads; its mistakes are named by the schema."""
    try:
        expected: Any = schema.load(answer)
    except ValidationError as error:
        expected = sorted(name for name in error.messages_dict if name != "_schema")
    try:
        found: Any = schemas.load_answer(schema, answer)
    except ValueError as error:
        _, _, named = str(error).partition(": ")
        found = [] if named == "the answer as a whole" else named.split(", ")
    assert found == expected
