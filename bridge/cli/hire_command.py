"""``hire``: a candidate got the job, and Equalture is told so."""

from __future__ import annotations

from datetime import datetime

import click

from bridge import app
from bridge.cli.operator_session import require_usable_customer, run_on_stored_data
from bridge.cli.options import json_option
from bridge.cli.output import format_time, print_json
from bridge.core.queueing import TaskKind, format_task_id
from bridge.service.hiring import HireOutcome
from bridge.service.operations import DeadLetterFilter

_DONE = (HireOutcome.HIRED, HireOutcome.ALREADY_HIRED)


@click.command()
@click.argument("invitation_id", metavar="INVITATION")
@click.option(
    "--start-date",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="D",
    help="First day of work, such as 2026-03-01; kept only until Equalture has it.",
)
@click.option("--no-team", is_flag=True, help="Do not add the person to the team of the job.")
@json_option
@run_on_stored_data
async def hire(
    runtime: app.Runtime,
    *,
    invitation_id: str,
    start_date: datetime | None,
    no_team: bool,
    as_json: bool,
) -> None:
    """Tell Equalture that this candidate was hired; once, and it cannot be taken back.

    Needs no hire.enabled, which is about softgarden's data export.

    \b
    assessment-bridge hire iv_7yvH... --start-date 2026-03-01
    assessment-bridge hire iv_7yvH... --no-team
    """
    operations = runtime.services.operations
    invitation = await operations.invitation(invitation_id)
    customer = require_usable_customer(runtime.customers(), invitation.customer)
    invitation, outcome = await runtime.services.hiring.hire(
        customer,
        invitation,
        team=not no_team,
        start_date=f"{start_date:%Y-%m-%d}" if start_date else None,
    )
    letter_id = format_task_id(invitation.id, TaskKind.HIRE)
    letters = await operations.dead_letters(DeadLetterFilter(letter_id))
    hired_at = format_time(invitation.hire.hired_at) if invitation.hire else None
    if as_json:
        print_json(
            {
                "id": invitation.id,
                "customer": invitation.customer,
                "outcome": str(outcome),
                "hired": hired_at,
                "reason": letters[0].reason if letters else None,
            }
        )
    else:
        words = {
            HireOutcome.HIRED: "hired at Equalture.",
            HireOutcome.ALREADY_HIRED: f"already hired, at {hired_at}.",
            HireOutcome.NOTHING_TO_HIRE: "there is no application at Equalture to hire.",
            HireOutcome.UNKNOWN: (
                "Equalture never said whether it hired this candidate. Look there; if it did not:"
                f" assessment-bridge dead replay {letter_id}"
            ),
            HireOutcome.WAITING: (
                f"not hired ({letters[0].reason}); what Equalture answered:"
                f" assessment-bridge dead list, and to try again: hire {invitation.id}"
                if letters
                else "not hired yet; a running daemon goes on trying."
            ),
        }
        click.echo(f"{invitation.id}: {words[outcome]}", err=outcome not in _DONE)
    if outcome not in _DONE:
        raise SystemExit(1)
