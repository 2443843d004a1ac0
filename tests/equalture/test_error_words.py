from __future__ import annotations

import pytest

from bridge.equalture.error_words import REDACTOR


def redact(text: str) -> str:
    return REDACTOR.redact(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        "has already been taken",
        "can't be blank",
        "can\u2019t be blank",
        "can\\u0027t be blank",
        "can&#39;t be blank",
        "cannot be blank",
        "should be at most 255 character(s)",
        "should be at least 1 character(s)",
        "should be 36 character(s)",
        "should be at most %{count} character(s)",
        "should have at least 2 item(s)",
        "must be less than or equal to 5",
        "is invalid",
        "has invalid format",
        "has an invalid entry",
        "is reserved",
        "does not exist",
        "are still associated with this entry",
        "no credits left",
        "not enough credits",
        '{"errors":{"email":["has already been taken","has invalid format"]}}',
        (
            '{"errors":{"applicant_details":{"first_name":["can\'t be'
            ' blank"],"last_name":["is invalid"]}}}'
        ),
        '{"errors": {"detail": "Unprocessable Entity"}}',
    ],
)
def test_refusal_of_a_phoenix_application_stays_whole(text: str) -> None:
    """The standard messages of Equalture's framework, and the fields that they are about, can be
    read as they are.
    """
    assert text == redact(text)
    assert text.upper() == redact(text.upper())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Max Blank can't be blank", "*** *** can't be blank"),
        ("Taken, Left and Blank", "***, *** and ***"),
        ("Mrs Taken has already been taken", "*** *** has already been taken"),
        ("this has already been taken by Ada", "this has already been taken by ***"),
        ("has already been takenaka", "has already been ***"),
        ("xhas already been taken", "*** already been ***"),
        ("no credits left for Ada Left", "no credits left for *** ***"),
        ("should be at most 25512345 character(s)", "should be at most *** ***(***)"),
        ("First Last", "*** ***"),
        ('{"errors":{"email":["ada@example.org has already been taken"]}}', None),
        ('{"errors":{"Ada":["is invalid"]}}', '{"errors":{"***":["is invalid"]}}'),
    ],
)
def test_name_beside_a_phrase_is_masked(text: str, expected: str | None) -> None:
    """A known phrase opens no door: words of it that stand alone, and names around it, are
    masked.
    """
    expected = expected or '{"errors":{"email":["***@***.*** has already been taken"]}}'
    assert expected == redact(text)
