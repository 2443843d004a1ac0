"""``invitations_group`` and ``erase``: what became of a candidate's test, and its deletion."""

from __future__ import annotations

import contextlib
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from bridge import app
from bridge.cli.dead_letter_commands import convert_dead_letter_to_json
from bridge.cli.operator_session import (
    ask_for_confirmation,
    check_customer_name,
    require_signing_keys,
    run_on_stored_data,
)
from bridge.cli.options import customer_option, json_option, yes_option
from bridge.cli.output import format_time, print_json, print_rows
from bridge.cli.timeline_view import (
    choose_score_locale,
    convert_row_to_json,
    print_invitation,
    print_signature_verdict,
)
from bridge.core.history_chain import derive_history_keys, find_history_faults
from bridge.core.invitation import Invitation, State
from bridge.core.timeline import build_timeline
from bridge.service.evidence import describe_fault
from bridge.service.operations import DeadLetterFilter
from bridge.settings.durations import parse_duration

_ANONYMISE_TIMEOUT = timedelta(seconds=5)
"""For the daemon to anonymise at Equalture, where a command cannot."""
_COLUMNS = ("id", "customer", "state", "age", "test", "created", "attempts")
_REFRESHED = {
    "completed": "completed",
    "confirmed": "confirmed by Equalture",
    "updated": "the result is newer now",
    "unchanged": "nothing new",
    "not_ready": "Equalture has no result",
    "nothing_to_ask": "there is no application at Equalture that could be asked about",
}


class SinceParameter(click.ParamType[datetime]):
    """A duration before now, or a date."""

    name = "duration or date"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """The time from which on; what is neither is a usage error."""
        if isinstance(value, datetime):
            return value
        with contextlib.suppress(ValueError):
            return app.utc_now() - parse_duration(value)
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is neither a duration like 7d nor a date like 2026-11-20")
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


@click.group("invitations")
def invitations_group() -> None:
    """Look at invitations.

    \b
    assessment-bridge invitations list --since 7d
    """


@invitations_group.command("list")
@customer_option()
@click.option(
    "--state",
    metavar="STATE",
    type=click.Choice([state.value for state in State]),
    help=f"Only in this state: {', '.join(State)}.",
)
@click.option(
    "--uncertain",
    is_flag=True,
    help="Only those whose create was never answered: an application may exist at Equalture.",
)
@click.option(
    "--owed",
    is_flag=True,
    help="Only those with an application that Equalture still has to anonymise.",
)
@click.option(
    "--shared",
    is_flag=True,
    help="Only those to which Equalture gave the same application as to another one.",
)
@click.option(
    "--since",
    type=SinceParameter(),
    help="Only those ordered since then: a duration such as 36h or 7d, or a date (UTC).",
)
@click.option("--limit", type=click.IntRange(1), help="Only the newest so many.")
@json_option
@run_on_stored_data
async def invitations_list(
    runtime: app.Runtime,
    *,
    customer: str | None,
    state: str | None,
    since: datetime | None,
    limit: int | None,
    uncertain: bool,
    owed: bool,
    shared: bool,
    as_json: bool,
) -> None:
    """List invitations by customer, state and age, oldest first.

    \b
    assessment-bridge invitations list --customer acme --state invited --since 7d
    """
    await check_customer_name(runtime, customer)
    operations = runtime.services.operations
    others = await operations.shared() if shared else {}
    chosen = [
        invitation
        async for invitation in operations.invitations(
            customer, State(state) if state else None, uncertain=uncertain, owed=owed
        )
        if (invitation.id in others or not shared)
        and (since is None or invitation.created_at >= since)
    ]
    chosen.sort(key=lambda invitation: invitation.created_at)
    left_out = max(0, len(chosen) - limit) if limit else 0
    rows = [
        {
            **_summary(invitation),
            "created": format_time(invitation.created_at),
            "updated": format_time(invitation.updated_at),
            "age": _age(invitation.created_at),
            "attempts": ", ".join(attempt.outcome for attempt in invitation.attempts),
            "issued": invitation.issued,
            **({"shared_with": list(others[invitation.id])} if shared else {}),
        }
        for invitation in chosen[left_out:]
    ]
    print_rows(rows, (*_COLUMNS, "shared_with") if shared else _COLUMNS, as_json=as_json)
    if left_out:
        click.echo(f"{left_out} older ones are left out (--limit).", err=True)


@invitations_group.command("show")
@click.argument("invitation_id", metavar="ID")
@click.option(
    "--verify", is_flag=True, help="Check its signatures; exit code 1 where one does not hold."
)
@json_option
@run_on_stored_data
async def invitations_show(
    runtime: app.Runtime, invitation_id: str, *, verify: bool, as_json: bool
) -> None:
    """Show one invitation's timeline: everything that happened, and its dead letters.

    \b
    assessment-bridge invitations show iv_7yvH...
    assessment-bridge invitations show iv_7yvH... --verify
    """
    operations = runtime.services.operations
    invitation = await operations.invitation(invitation_id)
    letters = await operations.dead_letters(DeadLetterFilter(invitation_id))
    keys = derive_history_keys(require_signing_keys(runtime)) if verify else ()
    faults = find_history_faults(invitation, keys) if verify else ()
    if as_json:
        references = [attempt.reference_id for attempt in invitation.attempts]
        print_json(
            {
                **_summary(invitation),
                "deadline": format_time(invitation.deadline),
                "issued": invitation.issued,
                "references": [reference for reference in references if reference],
                "timeline": [convert_row_to_json(row) for row in build_timeline(invitation)],
                "dead_letters": [convert_dead_letter_to_json(letter) for letter in letters],
                **({"verified": not faults, "faults": list(map(asdict, faults))} if verify else {}),
            }
        )
    else:
        customer = runtime.customers().get(invitation.customer)
        print_invitation(invitation, choose_score_locale(customer))
        for letter in letters:
            click.echo(
                f"dead letter: {letter.kind}, {letter.reason}, since {format_time(letter.since)}"
            )
        if verify:
            print_signature_verdict(list(map(describe_fault, faults)), "The history")
    if faults:
        raise SystemExit(1)


@invitations_group.command("refresh")
@click.argument("invitation_id", metavar="ID")
@json_option
@run_on_stored_data
async def invitations_refresh(runtime: app.Runtime, invitation_id: str, as_json: bool) -> None:
    """Ask Equalture now, also about a completed one: newer scores, or another language.

    \b
    assessment-bridge invitations refresh iv_7yvH...
    """
    refreshed = await runtime.services.refreshing.refresh(invitation_id)
    invitation = refreshed.invitation
    if as_json:
        print_json(
            {
                **_summary(invitation),
                "outcome": refreshed.outcome,
                "completed": format_time(invitation.completed_at),
                "notified": refreshed.notified,
            }
        )
    else:
        notice = "; softgarden is notified" if refreshed.notified else ""
        outcome = _REFRESHED[refreshed.outcome]
        click.echo(f"{invitation.id}  {invitation.state}: {outcome}{notice}.")
    if refreshed.outcome == "nothing_to_ask":
        raise SystemExit(1)


@click.command()
@click.argument("invitation_id", metavar="INVITATION")
@yes_option
@run_on_stored_data
async def erase(runtime: app.Runtime, invitation_id: str, yes: bool) -> None:
    """Delete a candidate's data as softgarden's deletion would.

    \b
    assessment-bridge erase iv_7yvH...
    """
    invitation = await runtime.services.operations.invitation(invitation_id)
    question = (
        f"Delete what {invitation.customer}'s candidate achieved in {invitation.test_name!r}"
        f" (ordered {format_time(invitation.created_at)}, {invitation.state}),"
        " here and at Equalture, for good?"
    )
    if invitation.state is not State.ERASED and not ask_for_confirmation(question, yes=yes):
        raise click.Abort
    directory, erasure = runtime.customers(), runtime.services.erasure
    if customer := directory.get(invitation.customer):
        await erasure.erase(customer, invitation_id, by="operator")
    else:
        # Here perhaps only a secret is missing, which the daemon has: then it is done in a moment.
        unusable = invitation.customer in directory.set_aside
        await erasure.erase_unserved(invitation, _ANONYMISE_TIMEOUT if unusable else timedelta(0))
    click.echo(f"{invitation_id} is erased, and anonymised at Equalture.")


def _summary(invitation: Invitation) -> dict[str, str]:
    return {
        "id": invitation.id,
        "customer": invitation.customer,
        "state": str(invitation.state),
        "test": invitation.test_id,
    }


def _age(since: datetime) -> str:
    """How long ago, in its two largest units."""
    minutes = max(0, int((app.utc_now() - since).total_seconds() // 60))
    days, hours = divmod(minutes // 60, 24)
    return f"{days}d {hours}h" if days else f"{hours}h {minutes % 60}m"
