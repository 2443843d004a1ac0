"""What fails in which run: the standard one, in which everything may meet everything, and one for
each kind of trouble, in which nothing else fails, so that all that is seen is that trouble's.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from tests.chaos.faults import (
    BACKLOG,
    BACKUP_RESTORED,
    CLOCK_SET,
    DAMAGE,
    KILL,
    KILL_ALL,
    LOST_REPLIES,
    PRIMARY_FROZEN,
    PRIMARY_KILLED,
    REDIS_HANG,
    REDIS_KILL,
    REFUSED_DISK,
    REFUSED_MEMORY,
    REFUSED_REPLICA,
    RELOAD,
    REMOVAL,
    RESTART,
)
from tests.chaos.plan import Options

STANDARD: Final = "standard"


@dataclass(frozen=True, slots=True)
class Scenario:
    """What fails, and what has to hold."""

    promise: str
    """In a few words; the whole of it is section 6 of the interface."""
    strikes: tuple[str, ...] = ()
    """In no order; of the standard run see ``list_strikes``."""
    clustered: bool = False
    vendors_fail: bool = False
    journeys: int = 150
    abreast: int = 30
    until: float = 0.93
    """The part of the journeys by whose end the last strike has begun."""


SCENARIOS: Final = MappingProxyType(
    {
        STANDARD: Scenario(
            "nothing is lost and nothing doubled, whatever meets whatever",
            vendors_fail=True,
            journeys=2000,
            abreast=90,
        ),
        "lost-replies": Scenario(
            "a command whose answer was lost is not done twice",
            (LOST_REPLIES,) * 8,
        ),
        "refusals": Scenario(
            "nothing is acknowledged while Redis refuses, and nothing lost",
            (REFUSED_MEMORY, REFUSED_DISK, REFUSED_REPLICA) * 2,
        ),
        "damage": Scenario(
            "what cannot be read is put aside, said once, and harms nobody else",
            (DAMAGE,) * 4,
        ),
        "clocks": Scenario(
            "a host's wrong clock changes nothing, and is told",
            (*(CLOCK_SET,) * 5, KILL),
        ),
        "reloads": Scenario(
            "files are in force all or none, and a customer who comes back lost nothing",
            (*(RELOAD,) * 3, *(REMOVAL,) * 2),
        ),
        "cluster": Scenario(
            "other partitions go on while one is away",
            (PRIMARY_FROZEN, PRIMARY_KILLED),
            clustered=True,
            journeys=240,
            abreast=60,  # a third of them waits for the missing part
            until=0.4,
        ),
        "backup": Scenario(
            "only what is younger than the backup is unknown",
            (BACKUP_RESTORED,),
            until=0.3,
        ),
        "backlog": Scenario(
            "one customer's backlog does not slow another's, and is caught up with",
            (BACKLOG,),
            until=0.3,
        ),
    }
)


def list_strikes(options: Options) -> list[str]:
    """What fails in a run, in no order."""
    if named := SCENARIOS[options.scenario].strikes:
        return [*named]
    often = {
        KILL: options.kills,
        REDIS_KILL: options.outages,
        **dict.fromkeys((KILL_ALL, RESTART, REDIS_HANG), options.extras),
        **dict.fromkeys(_LATER, options.later),
    }
    return [*Counter(often).elements()]


_LATER = (
    *(LOST_REPLIES, REFUSED_MEMORY, REFUSED_DISK, REFUSED_REPLICA),
    *(DAMAGE, CLOCK_SET, RELOAD, REMOVAL),
)
