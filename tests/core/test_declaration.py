"""The rules that a setting has if it declares none."""

from __future__ import annotations

import pytest

from bridge.core.declaration import LONGEST_TEXT, parse_any_text, parse_single_line_text


@pytest.mark.parametrize("text", ["", "  ", "two\nlines", "bell\a", "x" * (LONGEST_TEXT + 1)])
def test_text_that_is_no_single_line(text: str) -> None:
    """A text is one line that is not blank and has an end; its value is not part of the refusal."""
    with pytest.raises(ValueError, match="expected text of one line"):
        parse_single_line_text(text)


def test_text_that_is_taken_as_it_is() -> None:
    """What a rule lets through it does not change."""
    assert parse_single_line_text(" ACME GmbH") == " ACME GmbH"
    assert parse_any_text("two\nlines") == "two\nlines"
