"""What every log line of a request or a task has: its id, customer and invitation.

In place of ``structlog.contextvars``, which keeps a variable for each field and searches all of
them for each line: here is one for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Final

_NONE: Final[dict[str, Any]] = {}
_FIELDS: ContextVar[dict[str, Any]] = ContextVar("log_fields", default=_NONE)


def get_log_fields() -> Mapping[str, Any]:
    """The fields of the request or task that is under way here; not a copy."""
    return _FIELDS.get()


def begin_log_fields(**fields: Any) -> None:
    """A request or a task begins, in a context of its own: from here on its lines have these
    *fields*, and those of nothing else.
    """
    _FIELDS.set(fields)


def bind_log_fields(**fields: Any) -> None:
    """From here on the lines of the request or task that is under way here have these *fields*,
    too: also those of what it has started.
    """
    known = _FIELDS.get()
    if known is _NONE:
        _FIELDS.set(fields)
    else:
        known.update(fields)
