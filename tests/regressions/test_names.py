"""People whose names hold joiners or marks of direction could not be invited, nor those whose ids
are numbers.
"""

from __future__ import annotations

from typing import Any

import pytest

from bridge.core.assessment import Order
from bridge.errors import InvalidRequest
from bridge.softgarden.schemas import AnswerFormat
from bridge.softgarden.settings import AssessmentListFormat

ZWNJ, ZWJ, LRM, RLM, SOFT_HYPHEN = "\u200c", "\u200d", "\u200e", "\u200f", "\u00ad"


def order(test_id: Any = "engineer", **changes: Any) -> Order:
    """What the bridge reads out of an order."""
    person = {
        "id": "application-1",
        "firstName": "Ada",
        "lastName": "Muster",
        "email": "ada@example.org",
    }
    body = {
        "testId": test_id,
        "candidate": person | changes,
        "callback": "https://acme.softgarden.io/notify",
    }
    return AnswerFormat(AssessmentListFormat()).order(body)


@pytest.mark.parametrize(
    "name",
    [
        f"می{ZWNJ}نا",
        f"ක්{ZWJ}ර",
        f"{LRM}Ada{RLM}",
        f"Muster{SOFT_HYPHEN}mann",
        "\u2066Ada\u2069",
        "\ufeffAda",
        "\ue000",
        "\U000e0041",
        "Z\u0351\u0302algo",
        "👩\u200d🔬",
        "\u0378",
    ],
    ids=ascii,
)
def test_every_letter_mark_and_joiner_is_a_name(name: str) -> None:
    """A name may hold whatever Unicode has besides control characters and line breaks, and arrives
    as it was sent.
    """
    assert name == order(firstName=name).candidate.first_name
    assert name == order(lastName=name).candidate.last_name
    assert name == order(id=name).candidate.id


@pytest.mark.parametrize("field", ["id", "firstName", "lastName", "email"])
@pytest.mark.parametrize(
    "character", [*"\x00\x01\t\n\r\x0b\x1f\x7f\x85\x9f\u2028\u2029", "\ud800"], ids=ascii
)
@pytest.mark.parametrize("place", ["{}ab@c.de", "a{}b@c.de", "ab@c.de{}"])
def test_control_characters_and_line_breaks_are_refused(
    field: str, character: str, place: str
) -> None:
    """A control character or line break anywhere in a text is an error that names the field."""
    with pytest.raises(InvalidRequest) as refused:
        order(**{field: place.format(character)})
    assert {f"candidate.{field}"} == set(refused.value.errors)


@pytest.mark.parametrize(
    ("number", "text"), [(7, "7"), (0, "0"), (-1, "-1"), (2**63, "9223372036854775808")]
)
def test_number_counts_as_its_text(number: int, text: str) -> None:
    """A whole number as ``candidate.id`` or ``testId`` is the same order as its text."""
    assert (text, text) == ((one := order(number, id=number)).test_id, one.candidate.id)


@pytest.mark.parametrize("value", [True, False, 1.5, 7.0, None, [7], {"id": 7}, ""])
def test_other_types_are_no_ids(value: Any) -> None:
    """A fraction, a truth value or anything else is an error that names the field."""
    with pytest.raises(InvalidRequest) as refused:
        order(value, id=value)
    assert {"testId", "candidate.id"} == set(refused.value.errors)


def test_white_space_is_folded() -> None:
    """Blanks of every width around and inside a text are one space each, as before."""
    assert "Ada Maria" == order(firstName="\u00a0 Ada \u2003\u3000Maria ").candidate.first_name


@pytest.mark.parametrize("field", ["firstName", "lastName"])
@pytest.mark.parametrize("value", [7, True, ["Ada"]])
def test_numbers_are_no_names(field: str, value: Any) -> None:
    """Only ids may be numbers."""
    with pytest.raises(InvalidRequest) as refused:
        order(**{field: value})
    assert {f"candidate.{field}"} == set(refused.value.errors)
