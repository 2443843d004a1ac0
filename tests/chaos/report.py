"""What a run has to say: a table for people, JSON for machines, and the exit code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.chaos.audit import HARMLESS, Findings
from tests.chaos.evidence import Evidence

_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Report:
    """The numbers of a run and what was found; see ``audit.Findings``."""

    scenario: str
    seed: int
    wanted: int
    journeys: int
    invitations: int
    calls: int
    faults: dict[str, int]
    findings: Findings
    unsettled: dict[str, int]
    """What was still owed when the wait for the end was over."""
    recovery_s: float
    """The longest time from the end of a kill or an outage to the next step of any journey."""
    longest_wait_s: float
    """The longest time from the end of a test to softgarden's learning of it."""
    typical_wait_s: float
    """The median of it."""
    journeys_s: float
    settling_s: float
    wall_s: float

    @property
    def fine(self) -> bool:
        """Whether everything promised was kept, in a run that came to its end."""
        broken = [
            name for name, found in asdict(self.findings).items() if found and name not in HARMLESS
        ]
        return not broken and not self.unsettled and self.journeys == self.wanted

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        return asdict(self) | {"fine": self.fine}


def recovery(evidence: Evidence) -> float:
    """See ``Report``."""
    gaps = [
        next((step - incident.until for step in evidence.steps if step > incident.until), 0.0)
        for incident in evidence.incidents
    ]
    return max(gaps, default=0.0)


def waits(evidence: Evidence) -> list[float]:
    """From the end of each test to softgarden's learning of it, shortest first."""
    told = {
        entry.invitation_id: entry.began
        for entry in reversed(evidence.notifications)
        if entry.status == 204 and entry.response_json["read"] == "COMPLETED"
    }
    return sorted(
        max(0.0, told[known.invitation_id] - known.finished_at)
        for known in evidence.rounds
        if known.finished_at is not None and known.invitation_id in told
    )


def show(report: Report, console: Console) -> None:
    """Print the table, and of what was found the first few."""
    table = Table(
        title=f"{report.scenario}, seed {report.seed}", title_justify="left", show_header=False
    )
    table.add_column()
    table.add_column(justify="right")
    table.add_row("journeys", f"{report.journeys} of {report.wanted}")
    table.add_row("invitations, calls", f"{report.invitations}, {report.calls}")
    table.add_section()
    for name, count in sorted(report.faults.items()):
        table.add_row(name, str(count))
    table.add_row("faults in all", str(sum(report.faults.values())), style="bold")
    table.add_section()
    findings = asdict(report.findings)
    for name, found in findings.items():
        style = "red" if found and name not in HARMLESS else "green" if name not in HARMLESS else ""
        table.add_row(name.replace("_", " "), str(len(found)), style=style)
    table.add_row(
        "unsettled in the end",
        str(sum(report.unsettled.values())),
        style="red" if report.unsettled else "green",
    )
    table.add_section()
    table.add_row("longest recovery", f"{report.recovery_s:.1f} s")
    table.add_row(
        "a result's way to softgarden",
        f"{report.typical_wait_s:.1f} s, at most {report.longest_wait_s:.1f} s",
    )
    table.add_row(
        "wall time",
        f"{report.wall_s:.0f} s: {report.journeys_s:.0f} s, settling {report.settling_s:.0f} s",
    )
    console.print(table)
    for name, found in findings.items():
        if found and name not in ("duplicate_notifications", "orphans", "forgotten"):
            _list(console, name.replace("_", " "), found)
    if report.unsettled:
        console.print(f"[red]unsettled: {report.unsettled}")
    console.print(
        "[bold green]Nothing is lost."
        if report.fine
        else "[bold red]Promises were broken, or time ran out."
    )


def _list(console: Console, title: str, found: Sequence[str]) -> None:
    console.print(f"[bold]{title}")
    for line in found[:_SHOWN]:
        console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)
    if len(found) > _SHOWN:
        console.print(f"  and {len(found) - _SHOWN} more")


def counted(faults: Counter[str]) -> dict[str, int]:
    """By name, for the report."""
    return dict(sorted(faults.items()))
