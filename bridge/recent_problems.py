"""The last warnings and errors of this process, for the status page: what the log had, in short."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bridge import logs

KEPT = 20
_LONGEST = 300
_SAID_BY = ("text", "reason", "error", "complaints", "outcome")
"""Fields of an event in which it says what is wrong."""
_ABOUT = ("vendor", "purpose", "kind", "method", "route", "status")
"""Fields that say what it is about."""


@dataclass(frozen=True, slots=True)
class LoggedProblem:
    """One line of the log."""

    at: datetime
    level: str
    event: str
    customer: str
    invitation_id: str
    text: str


class RecentProblems:
    """Keeps the newest."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept: deque[LoggedProblem] = deque(maxlen=kept)

    def add(self, level: str, event: Mapping[str, Any]) -> None:
        """Keep a line; see ``listen_to_problems``."""
        self._kept.append(
            LoggedProblem(
                event["timestamp"],
                level,
                str(event["event"]),
                str(event.get("customer") or ""),
                str(event.get("invitation_id") or ""),
                _text(event),
            )
        )

    def newest(self) -> list[LoggedProblem]:
        """What is kept, newest first."""
        return list(self._kept)[::-1]


@contextlib.contextmanager
def collect_recent_problems() -> Iterator[RecentProblems]:
    """Keep what is logged meanwhile."""
    problems = RecentProblems()
    with logs.listen_to_problems(problems.add):
        yield problems


def _text(event: Mapping[str, Any]) -> str:
    said = [event[name] for name in _SAID_BY if event.get(name)]
    texts = ["; ".join(map(str, one)) if isinstance(one, list) else str(one) for one in said]
    about = " ".join(str(event[name]) for name in _ABOUT if event.get(name))
    return ": ".join(filter(None, [about, ", ".join(texts)]))[:_LONGEST]
