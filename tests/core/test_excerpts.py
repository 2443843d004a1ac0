from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.excerpts import LIMIT, without_names


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
    """Words of errors and protocols and status codes stay; whatever may be a name or an id is masked, in any case."""
    assert expected == without_names(text)


@given(st.text(max_size=3000))
def test_excerpt_is_short(text: str) -> None:
    """An excerpt of anything fits its limit."""
    assert LIMIT >= len(without_names(text))
