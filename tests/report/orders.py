"""Results of which reports are wanted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from bridge.core.assessment import Result, Trait
from bridge.core.display import DisplaySettings
from bridge.core.invitation import Invitation, State
from bridge.report.report_text import ReportOrder

AT = datetime(2026, 11, 24, 15, 18, tzinfo=UTC)
NAME = "Entwickler \N{EN DASH} „Denken & Handeln“ (m/w/d)"
TRAITS = (
    Trait("problem", "Problemlösestil", 2, "(2) Methodisch.", (1, 2, 3), "medium"),
    Trait("flex", "Kognitive Flexibilität", 5, "Sehr flexibel.", (4, 5), "high"),
    Trait("risk", "Risikoverhalten", 3, "Abwägend.", (2, 3, 4), "low"),
    Trait("collab", "Zusammenarbeit", 5, "Teamorientiert.", (2, 3), "high"),
    Trait("focus", "Konzentration unter Druck", 2, "Ablenkbar.", (3, 4), "medium"),
    Trait("joy", "Entscheidungsfreude", 3, "Mal so, mal so.", (1, 5), "low"),
    Trait("care", "Sorgfalt", None, "", (4, 5)),
    Trait("calm", "Ruhe", 4, "Gelassen."),
)
"""One for each place of a value."""
USUAL = Result("high", None, (("Lernstil", "Lernt aus Beispielen."),), TRAITS)
NOTHING = Result()
LONGEST = Result(
    "medium",
    None,
    tuple((f"Zeile {number}", "Wort für Wort. " * 33) for number in range(100)),
    tuple(
        TRAITS[number % 7]._replace(name=f"Merkmal {number}", description="Wort für Wort. " * 33)
        for number in range(100)
    ),
)


def ordered(
    result: Result | None = USUAL,
    *,
    name: str = NAME,
    application: str = "app-1001",
    display: DisplaySettings | None = None,
) -> ReportOrder:
    """A report of this result, which a German employer asked for."""
    invitation = Invitation(
        id="iv_0dBjvCrpmQxYzAbCdEfGhIjK",
        customer="acme",
        application_id=application,
        test_id="engineer",
        test_name=name,
        state=State.COMPLETED,
        created_at=AT,
        updated_at=AT,
        completed_at=AT,
        result=result,
    )
    employer = display or DisplaySettings(name="ACME GmbH")
    return ReportOrder(invitation, employer, "Provider", AT + timedelta(days=365))
