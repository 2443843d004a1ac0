"""What goes wrong in a world: drawn from the seed, each with a beginning and an end."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final

from tests.simulation.customer_changes import SECRET, SECRET_AT_ONCE, SETTINGS, TOKEN, UNNOTICED
from tests.simulation.damaged_entries import DAMAGES, EVICTS
from tests.simulation.key_changes import ENCRYPTION, KEY_CHANGES, SIGNING
from tests.simulation.older_version import DEPLOY, ROLL_BACK
from tests.simulation.partial_outages import OUTAGES
from tests.simulation.stage_settings import CUSTOMERS, LASTS, LASTS_AT_SOFTGARDEN

CALM = 0.15
"""How many worlds have no trouble at all."""
TOGETHER = 0.4
"""In how many of the others all trouble begins at almost the same time."""
SILENT = (
    "Equalture is away",
    "Equalture fails",
    "softgarden fails",
    "softgarden is broken",
    "softgarden is away",
    "a customer's account is dead",
    SECRET_AT_ONCE,
    "clocks are set in a silence",
)
"""Incidents in which a vendor does not answer, so that breakers may open."""
ECHO_S = 12.0
"""How long after an incident's end its effects may still show in an answer."""


@dataclass(frozen=True, slots=True)
class Incident:
    """One thing that goes wrong."""

    kind: str
    at: float
    lasts_s: float
    customer: str = ""
    """Whom it concerns, where it concerns one only."""
    number: int = 0
    """What it draws while it happens follows from this, whatever else happens."""
    extent: float | None = None
    """How much of it there is: how often a call fails, by how many seconds a clock jumps. None: it
    is drawn.
    """

    @property
    def end(self) -> float:
        """When it is over."""
        return self.at + self.lasts_s

    @property
    def echo_s(self) -> float:
        """How long after the end work may still wait: a breaker's pause is as long as the vendor
        was silent, at most half a minute, and what it refuses waits up to twice as long.
        """
        return ECHO_S + (2 * min(self.lasts_s, 30.0) if self.kind in SILENT else 0.0)

    def concerns(self, customer: str) -> bool:
        """Whether it may disturb the work of this customer."""
        if self.kind in OF_ONE:
            return self.customer == customer
        return self.kind not in OF_NOBODY and self.kind not in ALONE


WEIGHTS: Final = {
    "process killed": 5,
    "process stands still": 3,
    "process restarted": 2,
    "all processes killed": 1,
    "a start without Redis": 3,
    "Redis refuses connections": 3,
    "Redis restarts": 2,
    "Redis hangs": 2,
    "Redis loses replies": 4,
    "Redis loses requests": 2,
    "Redis is slow": 2,
    "Redis is full": 2,
    "Redis is read-only": 2,
    "Redis loses its unsynced tail": 2,
    "Redis fails over to a replica that was behind": 2,
    "Redis is restored from a backup": 1,
    "Equalture fails": 5,
    "Equalture is away": 2,
    "Equalture is slow": 2,
    "Equalture forgets its tokens": 2,
    "softgarden fails": 5,
    "softgarden is broken": 3,
    "softgarden is away": 2,
    "softgarden is slow": 1,
    "a customer's account is dead": 3,
    "a customer's account is slow": 2,
    "a customer is removed": 2,
    "a customer's file is broken": 2,
    TOKEN: 3,
    SECRET: 3,
    SECRET_AT_ONCE: 1,
    SETTINGS: 3,
    "a clock jumps": 2,
    "clocks are set in a silence": 4,
    "Redis's clock jumps": 1,
    DEPLOY: 3,
    ROLL_BACK: 1,
    ENCRYPTION: 3,
    SIGNING: 2,
    "a part of Redis refuses connections": 2,
    "a part of Redis hangs": 2,
    "a part of Redis has no primary": 1,
    EVICTS: 3,
    "a record is damaged": 3,
    "a task's entry is damaged": 2,
    "a queue holds nonsense": 2,
    "a key holds a wrong type": 2,
    "an order's entry is damaged": 1,
    "a side note is damaged": 1,
}
ALONE: Final = (*DAMAGES, *OUTAGES)
"""Kinds that may disturb no more than ``DamagedEntries`` and ``PartialOutages`` say."""
LONGEST_S: Final = {
    "process killed": 8.0,
    "process stands still": 28.0,
    "Redis hangs": 4.0,
    **dict.fromkeys(OUTAGES, 20.0),
    DEPLOY: 20.0,
    ROLL_BACK: 20.0,
    **dict.fromkeys(KEY_CHANGES, 20.0),
    "a customer is removed": 10.0,
    "a customer's file is broken": 12.0,
    SECRET_AT_ONCE: 20.0,
    SETTINGS: 30.0,
    "a customer's account is dead": 40.0,
    "a customer's account is slow": 40.0,
    "clocks are set in a silence": 60.0,
    "Equalture is away": 90.0,
    "softgarden is broken": 150.0,
    "softgarden is away": 60.0,
}
SHORTEST_S: Final = {
    "process stands still": 4.0,
    "clocks are set in a silence": 15.0,
    "softgarden is broken": 90.0,
    "Equalture is away": 20.0,
}
USUAL_S = 6.0
OF_ONE: Final = (
    "a customer's account is dead",
    "a customer's account is slow",
    "a customer is removed",
    SECRET_AT_ONCE,
    "clocks are set in a silence",
)
"""What concerns one customer, and must not concern another."""
OF_NOBODY: Final = ("a clock jumps", *UNNOTICED)
"""What must delay nothing at all."""


def _get_longest_s(kind: str) -> float:
    lasts = LASTS_AT_SOFTGARDEN if kind.startswith("softgarden") else LASTS
    return lasts * LONGEST_S.get(kind, USUAL_S)


def draw_incidents(draws: Random, until: float, kinds: tuple[str, ...]) -> list[Incident]:
    """The trouble of a world, in order: often of a few kinds only, which then meet more often."""
    if not kinds or draws.random() < CALM:
        return []
    kinds = tuple(draws.sample(kinds, min(len(kinds), draws.choice((1, 2, 3, 5, len(kinds))))))
    until *= draws.choice((1, 1, 3))  # expiries and what comes after them are later than all orders
    chosen = draws.choices(kinds, [WEIGHTS[kind] for kind in kinds], k=draws.randint(1, 10))
    meets = draws.uniform(5.0, until) if draws.random() < TOGETHER else None
    incidents = [
        Incident(
            kind,
            draws.uniform(0.5, until) if meets is None else meets - draws.uniform(0.0, 5.0),
            draws.uniform(SHORTEST_S.get(kind, 0.2), _get_longest_s(kind)),
            draws.choice(CUSTOMERS),
            number,
        )
        for number, kind in enumerate(chosen)
    ]
    return sorted(incidents, key=lambda one: one.at)
