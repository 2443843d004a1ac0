"""The shapes of what Equalture sends, for the contract watch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bridge import response_parsing
from bridge.core.answer_shape import (
    REQUEST,
    Enumerations,
    Shape,
    names_shape,
    shape_of,
    undocumented,
)
from bridge.core.redaction import printable
from bridge.equalture.error_words import REDACTOR
from bridge.equalture.protocol import Call, Reply

REQUESTS = ("callback", "webhook")


def _event_name(text: str) -> str:
    """The name of an event, without what is no word of events: it is put together of parts."""
    return REDACTOR.redact(printable(text).encode())


_RESULT: Enumerations = {"$.fit": undocumented("low", "high"), "$.status": printable}
_ENUMERATIONS: dict[str, Enumerations] = {
    "status": {"$.status": printable},
    "results": _RESULT,
    "callback": _RESULT,
    "public_link": {"$.ttl_units": printable},
    "webhook": {"$.type": _event_name, "$.data.status": printable},
}
"""The fields that are known to be enumerations. How a person fits is shown only where the word is a
new one: those that the pages show say something of the person, not of the contract.
"""


def of_reply(call: Call[Any], reply: Reply) -> Shape:
    """The shape of an answer, with its status."""
    document = response_parsing.document_of(reply.body)
    private = frozenset(text.lower() for text in call.private)
    return shape_of(str(reply.status), document, _ENUMERATIONS.get(call.operation, {}), private)


def of_request(operation: str, document: object) -> Shape:
    """The shape of a callback's or webhook's body."""
    return shape_of(REQUEST, document, _ENUMERATIONS[operation])


def of_headers(headers: Iterable[str]) -> Shape:
    """The names of uncommon headers of a callback or webhook."""
    return names_shape((), headers)
