"""What is odd about how both vendors treat one journey: all that their contracts leave open.

Drawn for each journey by itself, so that every oddity meets every other, every trouble and calm
worlds too; most journeys have none.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final, Literal, get_args

from tests.simulation.vendor_weather import FAULTS

Reference = Literal["plain", "odd", "same"]
"""What an application's id looks like: with characters that mean something in paths; or the one
that a create of the same person got before.
"""
ReportBody = Literal["whole", "empty", "bare", "odd", "packed", "unreadable", "other scores"]
"""What a callback brings: all; an empty object; only the fit; fields of wrong types and unknown
ones; all, packed by gzip; no JSON; or another result than Equalture's own.
"""
REPORT_BODIES: Final[tuple[ReportBody, ...]] = get_args(ReportBody)[1:]
DONE_WORDS: Final = ("COMPLETED", " completed ", "Completed", "hired")
OPEN_WORDS: Final = ("expired", "Abgelaufen", "in progress", "complete_soon", "\u2713", "x" * 500)
REFUSALS: Final = ((302,), (307,), (400,), (401,), (404, 404), (409,), (410,), (500, 200, 500))
"""What softgarden answers to the first notifications of one invitation, without reading them."""
CREATE_FAULTS: Final = (*FAULTS, "error 503 with a Retry-After of days")


@dataclass(frozen=True, slots=True)
class VendorQuirks:
    """The oddities of one journey; what a field is by itself is the usual."""

    first_create: str = ""
    """How its first create is answered, as one of ``CREATE_FAULTS``."""
    create_takes_s: float = 0.0
    """How long after a create was done it is answered."""
    stalls_s: float = 0.0
    """How long the bridge process that makes its application stands still, at the instant at which
    it knows the id.
    """
    patience_s: float = 15.0
    """How long softgarden waits for an answer."""
    reference: Reference = "plain"
    done_word: str = ""
    """Its status once it is done; empty: as documented."""
    open_word: str = ""
    """Its status before; empty: one that was seen or can be thought of."""
    report_body: ReportBody = "whole"
    refusals: tuple[int, ...] = ()
    """How softgarden answers its first notifications; then as documented."""
    accepts_with: int = 204
    """The status with which softgarden takes a notification."""
    changes: bool = False
    """softgarden's repeated order has other data of the candidate."""
    deletes_again: bool = False
    """softgarden deletes from two places at once, and once more afterwards."""
    opens_pages: bool = False
    """A recruiter opens the links of the result whenever something has happened."""
    hired: bool = False
    """softgarden exports that the candidate was hired."""
    asks_strangely: bool = False
    """softgarden asks for what does not exist, and for what is not its customer's."""


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
        reference=draws.choice(("odd", "odd", "same")) if happens(0.1) else "plain",
        done_word=draws.choice(DONE_WORDS) if happens(0.15) else "",
        open_word=draws.choice(OPEN_WORDS) if happens(0.1) else "",
        report_body=draws.choice(REPORT_BODIES) if happens(0.15) else "whole",
        refusals=draws.choice(REFUSALS) if happens(0.08) else (),
        accepts_with=draws.choice((200, 202)) if happens(0.1) else 204,
        changes=happens(0.3),
        deletes_again=happens(0.3),
        opens_pages=happens(0.08),
        hired=happens(0.1),
        asks_strangely=happens(0.06),
    )
