"""What every log line of a request or a task has: its id, customer and invitation.

In place of ``structlog.contextvars``, which keeps a variable for each field and searches all of
them for each line: here is one, whose value is never changed but replaced.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

_FIELDS: ContextVar[Mapping[str, Any]] = ContextVar("log_fields", default=MappingProxyType({}))


def get_log_fields() -> Mapping[str, Any]:
    """The fields of what is under way here; not a copy."""
    return _FIELDS.get()


def bind_log_fields(**fields: Any) -> None:
    """From here on lines have these *fields*, too: those of this request or task, and of what it
    starts from now on.
    """
    _FIELDS.set({**_FIELDS.get(), **fields})


@contextlib.contextmanager
def bound_log_fields(**fields: Any) -> Iterator[None]:
    """Until the end lines have these *fields*; then those that they had before.

    Whoever has a context of its own, such as a task that is made for one piece of work, needs no
    end: ``bind_log_fields`` costs a quarter of this.
    """
    before = _FIELDS.get()
    _FIELDS.set({**before, **fields})
    try:
        yield
    finally:
        _FIELDS.set(before)
