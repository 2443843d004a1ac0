"""An ordinary order is read in straight-line code, exactly as its schema reads it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError

from bridge.core.assessment import Candidate, Order
from bridge.errors import InvalidRequest
from bridge.softgarden.ordinary_order import read_ordinary_order
from bridge.softgarden.schemas import AnswerFormat, InviteSchema, flatten_messages
from bridge.softgarden.settings import AssessmentListFormat

ORDINARY = {
    "testId": "engineer",
    "candidate": {
        "id": "c-1",
        "firstName": "Ada  Marie",
        "lastName": "Müster ",
        "email": "ada@example.org",
        "phone": "1",
    },
    "callback": "https://api.softgarden.io/callbacks/1",
}
_LENGTHS = st.sampled_from([1, 2, 199, 200, 201, 320, 321, 1000, 1001, 2000, 2001])
_TEXTS = (
    st.sampled_from(
        [
            *("ada@example.org", "a@b@c", "@b", "a@", "a @b", " a@b ", "a@b\n", "a\u200d@b"),
            *(
                "Ada",
                " ",
                "",
                "Ada  M",
                "a\tb",
                "a\u00a0b",
                "a\u2028b",
                "\ud800",
                "\u200e",
                "\u3000",
            ),
        ]
    )
    | st.text(max_size=6)
    | st.builds(lambda text, length: (text * length)[:length], st.sampled_from("aä "), _LENGTHS)
)
_VALUES = _TEXTS | st.none() | st.integers() | st.booleans() | st.just(["x"]) | st.just({"x": 1})


@st.composite
def _bodies(draw: st.DrawFn) -> Any:
    """An ordinary body of which some parts are others, or missing."""
    body: dict[str, Any] = {**ORDINARY, "candidate": dict(ORDINARY["candidate"])}
    for part in (body, body["candidate"]):
        for name in draw(st.lists(st.sampled_from(sorted(part)), max_size=2, unique=True)):
            if draw(st.booleans()):
                part[name] = draw(_VALUES)
            else:
                del part[name]
    return body


@given(_bodies() | _VALUES)
def test_an_order_is_what_its_schema_says(body: Any) -> None:
    """The order, or the messages of all that is wrong with it, are the schema's."""
    try:
        expected: Any = InviteSchema().load(body)
    except ValidationError as error:
        expected = flatten_messages(error.messages_dict)
    try:
        found: Any = AnswerFormat(AssessmentListFormat()).order(body)
    except InvalidRequest as error:
        found = error.errors
    assert found == expected


def test_ordinary_orders_need_no_schema() -> None:
    """What softgarden's page shows is of the ordinary kind."""
    assert read_ordinary_order(ORDINARY) == Order(
        "engineer",
        Candidate("c-1", "Ada Marie", "Müster", "ada@example.org"),
        "https://api.softgarden.io/callbacks/1",
    )


@pytest.mark.parametrize("part", ["testId", "candidate", "callback"])
def test_others_are_left_to_the_schema(part: str) -> None:
    """A number for a text may be fine, but it is not ordinary."""
    assert read_ordinary_order(ORDINARY | {part: 12}) is None
