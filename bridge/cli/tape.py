"""Who called whom: what the two fakes' observers hear, and the calls of people, put into the order
in which they began.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from bridge.sandbox import Entry

SOFTGARDEN = "softgarden"
BRIDGE = "bridge"
EQUALTURE = "Equalture"
CANDIDATE = "candidate"
RECRUITER = "recruiter"
COLLEAGUE = "colleague"

_VISITORS = {"assessment_page": CANDIDATE, "assessment_finish": CANDIDATE, "public_page": COLLEAGUE}


@dataclass(frozen=True, slots=True)
class Heard:
    """One call that has ended; *status* 0: no answer.

    *remark*: where a redirect leads, or what went wrong.
    """

    who: str
    whom: str
    operation: str
    method: str
    path: str
    status: int
    began: float
    duration_ms: float
    sent: Any = None
    answer: Any = None
    remark: str | None = None

    @property
    def ended(self) -> float:
        """On the clock of *began*."""
        return self.began + self.duration_ms / 1000


def heard(vendor: str, entry: Entry) -> Heard:
    """An entry of the ledger of *vendor*'s fake, with the parties' names."""
    if entry.direction == "made":
        who, whom = vendor, BRIDGE
    else:
        who, whom = _VISITORS.get(entry.operation, BRIDGE), vendor
    path = urlsplit(entry.path).path
    wrong = [
        f"{name}: {text}"
        for name in ("fault", "violation", "error")
        if (text := getattr(entry, name))
    ]
    return Heard(
        who,
        whom,
        entry.operation,
        entry.method,
        f"{path}?{urlencode(entry.query)}" if entry.query else path,
        entry.status,
        entry.began,
        entry.duration_ms,
        entry.request_json,
        entry.response_json,
        "; ".join(wrong) or None,
    )


class Tape:
    """Keeps calls until they are shown.

    Observers hear of a call when it ends; people want to see it where it began.
    """

    def __init__(self) -> None:
        self._kept: list[Heard] = []

    def listen(self, vendor: str, entry: Entry) -> None:
        """Keep a call that a fake took or made."""
        self.keep(heard(vendor, entry))

    def keep(self, call: Heard) -> None:
        """Keep a call."""
        self._kept.append(call)

    def take(self, *operations: str) -> list[tuple[int, Heard]]:
        """Hand out the calls so far, of these operations or all, each with the number of calls that
        waited for it.
        """
        taken = [call for call in self._kept if not operations or call.operation in operations]
        self._kept = [call for call in self._kept if call not in taken]
        return list(_nested(taken))


def _nested(calls: Iterable[Heard]) -> Iterable[tuple[int, Heard]]:
    waiting: list[Heard] = []
    for call in sorted(calls, key=lambda one: one.began):
        while waiting and waiting[-1].ended < call.ended:
            waiting.pop()
        yield len(waiting), call
        waiting.append(call)
