from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.redaction import EXCERPT_BYTES, Redactor

REDACTOR = Redactor(("acme",), ("has already been taken",))


def redact(text: str, *private: str) -> str:
    return REDACTOR.redact(text.encode("utf-8", "replace"), private)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("the request was not valid", "the request was not valid"),
        ("Internal Server Error", "Internal Server Error"),
        ("503 Service Unavailable", "503 Service Unavailable"),
        ("Ada Lovelace is unknown", "*** *** is unknown"),
        ("no such candidate: Müller-Lüdenscheidt", "no such candidate: ***-***"),
        ("candidate ada lovelace not found", "candidate *** *** not found"),
        ("ADA.LOVELACE_1@example.org", "***.***_1@***.***"),
        ("job ab12cd and 12345", "job *** and ***"),
        ("李小龍", "***"),
        ('{"detail":"Invalid","name":"Ada"}', '{"detail":"Invalid","name":"***"}'),
    ],
)
def test_names_are_masked(text: str, expected: str) -> None:
    """Words of errors and protocols and status codes stay; whatever may be a name or an id is
    masked, in any case.
    """
    assert expected == redact(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("write to eve.x@mail.example.org now", "write to ***.***@***.***.*** now"),
        ("to=eve%40mail.example", "to=***%***.***"),
        ("Authorization: Bearer abc.def-1", "Authorization: Bearer ***.***-1"),
        ("see https://a.example/t/Sq3tTs9xRrB8mZ0kLw2n", "see https://a.***/***/***"),
        ("a\r\n\x1b[31mnot\x00", "a [***"),
        ("Z\u0351\u0302algo", "*********"),
        ("by 👩\u200d🔬", "by ***"),
        ("M\ue000", "******"),
        ("Acme", "Acme"),
    ],
)
def test_what_is_not_known_is_masked(text: str, expected: str) -> None:
    """Addresses, credentials, links, marks and pictures are masked, and all ends up in one line."""
    assert redact(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Will Page is taken",
        "WILL PAGE is taken",
        '{"name": "will page"}',
        "name=Will+Page",
        "name=Will%20Page",
        "hello Will",
    ],
)
def test_what_was_sent_is_masked(text: str) -> None:
    """Known words are masked, too, where they have just been sent, in any case and spelling."""
    shown = redact(text, "Will Page").lower()
    assert "will" not in shown
    assert "page" not in shown


def test_sent_words_are_masked_alone() -> None:
    """A one-letter name masks that word only, and a name in a known phrase is masked as well."""
    assert redact("A is not a plan", "A", "") == "*** is not *** plan"
    assert redact("it has already been taken", "Been") == "it has already *** taken"


def test_no_half_word_is_left() -> None:
    """Where an answer is cut its last word is masked: it may be the beginning of a name."""
    long = "one " * 510 + " no Will"
    assert redact(long).endswith("no ***")
    assert redact(long + "iams").endswith("no ***")
    assert redact("no Will").endswith("no Will")


@given(st.text(max_size=3000), st.lists(st.text(max_size=10), max_size=3))
def test_excerpt_is_short(text: str, private: list[str]) -> None:
    """An excerpt of anything fits its limit."""
    assert len(redact(text, *private)) <= EXCERPT_BYTES
