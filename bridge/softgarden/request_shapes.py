"""The shapes of what softgarden sends and answers, for the contract watch."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from bridge import response_parsing
from bridge.core.answer_shape import REQUEST, Shape, list_shape_facts, list_shape_facts_of_names
from bridge.core.redaction import EXCERPT_BYTES
from bridge.web.app_keys import OBSERVER

VENDOR = "softgarden"
REQUESTS = ("tests", "invite", "result", "delete", "hired")
_NO_FACTS: Shape = frozenset()
_REQUEST_ALONE: Shape = frozenset({REQUEST})


def list_answer_facts(status: int, body: bytes) -> Shape:
    """The shape of an answer to a notification; of a success and of a long body the status alone,
    for they are not read to the end.
    """
    if 200 <= status < 300 or len(body) >= EXCERPT_BYTES:
        return frozenset({str(status)})
    return list_shape_facts(str(status), response_parsing.parse_json_or_classify(body), {})


def record_request_shape(request: web.Request, operation: str, document: object = None) -> None:
    """Have the shape of softgarden's request kept; *document* is its body, if it has one."""
    shape = list_shape_facts_of_names(request.query) if request.query_string else _NO_FACTS
    if document is not None:
        facts = list_shape_facts(REQUEST, document, {}, _list_private_texts(document))
        shape = shape | facts if shape else facts
    request.app[OBSERVER].record_shape(VENDOR, operation, shape or _REQUEST_ALONE)


def _list_private_texts(document: Any) -> frozenset[str]:
    """Who the candidate is, in lower case."""
    candidate = document.get("candidate") if isinstance(document, dict) else None
    values = candidate.values() if isinstance(candidate, dict) else ()
    return frozenset([value.lower() for value in values if isinstance(value, str)])
