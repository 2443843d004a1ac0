"""What is odd about how both vendors treat one journey: all that their contracts leave open.

Drawn for each journey by itself, so that every oddity meets every other, every trouble and calm
worlds too; most journeys have none.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final

from tests.simulation.vendor_weather import FAULTS

CREATE_FAULTS: Final = (*FAULTS, "error 503 with a Retry-After of days")


@dataclass(frozen=True, slots=True)
class VendorQuirks:
    """The oddities of one journey; what a field is by itself is the usual."""

    first_create: str = ""
    """How its first create is answered, as one of ``CREATE_FAULTS``."""
    stalls_s: float = 0.0
    """How long the bridge process that makes its application stands still, at the instant at which
    it knows the id.
    """
    patience_s: float = 15.0
    """How long softgarden waits for an answer."""


NO_QUIRKS: Final = VendorQuirks()


def draw_quirks(draws: Random) -> VendorQuirks:
    """The oddities of the next journey."""

    def happens(rate: float) -> bool:
        return draws.random() < rate

    stalls = happens(0.015)
    impatient = stalls or happens(0.15)  # else nobody orders again while that process stands still
    return VendorQuirks(
        first_create=draws.choice(CREATE_FAULTS) if happens(0.05) else "",
        stalls_s=draws.uniform(10.0, 20.0) if stalls else 0.0,
        patience_s=draws.choice((2.0, 5.0)) if impatient else 15.0,
    )
