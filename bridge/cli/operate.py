"""What operators look at and put right: invitations, dead letters, erasure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click
import orjson
from rich.console import Console
from rich.table import Table

from bridge.app import Runtime, utc_now
from bridge.cli.common import (
    agreed,
    config_option,
    json_option,
    operate,
    require_customer,
    yes_option,
)
from bridge.core.invitation import Invitation, State
from bridge.core.queueing import DeadLetter
from bridge.service.operations import Choice, timeline
from bridge.service.result_refresh import Refreshed
from bridge.settings.durations import parse_duration

_WIDTH = 1000
_PATIENCE = timedelta(seconds=5)
"""For the daemon to anonymise at Equalture, where a command cannot."""


class Age(click.ParamType[timedelta]):
    """A duration like 30s, 15m, 2h or 7d."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """The duration; a wrong one is a usage error."""
        if isinstance(value, timedelta):
            return value
        try:
            return parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.group()
def invitations() -> None:
    """Look at invitations."""


@invitations.command("list")
@click.option("--customer", help="Only this customer's.")
@click.option(
    "--state", type=click.Choice([state.value for state in State]), help="Only in this state."
)
@click.option(
    "--uncertain",
    is_flag=True,
    help="Only with a create that was never answered: look for an orphan there.",
)
@click.option(
    "--owed", is_flag=True, help="Only deleted ones that Equalture has not anonymised yet."
)
@click.option(
    "--shared",
    is_flag=True,
    help="Only those to which Equalture gave the same application as to another one.",
)
@config_option
@json_option
def invitations_list(
    customer: str | None,
    state: str | None,
    uncertain: bool,
    owed: bool,
    shared: bool,
    config: Path,
    as_json: bool,
) -> None:
    """List invitations by customer, state and age."""

    async def act(runtime: Runtime) -> tuple[list[Invitation], dict[str, tuple[str, ...]]]:
        await require_customer(runtime, customer)
        wanted, operations = State(state) if state else None, runtime.services.operations
        known = [
            one
            async for one in operations.invitations(
                customer, wanted, uncertain=uncertain, owed=owed
            )
        ]
        others = await operations.shared() if shared else {}
        return [one for one in known if one.id in others or not shared], others

    found, others = operate(config, act)
    rows = [
        {
            "id": one.id,
            "customer": one.customer,
            "state": str(one.state),
            "test": one.test_id,
            "created": moment(one.created_at),
            "updated": moment(one.updated_at),
            "age": _age(one.created_at),
            "attempts": ", ".join(attempt.outcome for attempt in one.attempts),
            "issued": one.issued,
            **({"shared_with": list(others[one.id])} if shared else {}),
        }
        for one in sorted(found, key=lambda one: one.created_at)
    ]
    columns = ("id", "customer", "state", "age", "test", "created", "attempts")
    print_rows(rows, (*columns, "shared_with") if shared else columns, as_json)


@invitations.command("show")
@click.argument("invitation_id", metavar="ID")
@config_option
@json_option
def invitations_show(invitation_id: str, config: Path, as_json: bool) -> None:
    """Show one invitation's timeline."""

    async def act(runtime: Runtime) -> tuple[Invitation, list[DeadLetter]]:
        invitation = await runtime.services.operations.invitation(invitation_id)
        return invitation, await runtime.services.operations.dead_letters(Choice(invitation_id))

    one, letters = operate(config, act)
    moments = [{"at": moment(event.at), "what": event.what} for event in timeline(one)]
    if as_json:
        shown = {
            "id": one.id,
            "customer": one.customer,
            "state": str(one.state),
            "test": one.test_id,
            "deadline": moment(one.deadline),
            "issued": one.issued,
            "references": [
                attempt.reference_id for attempt in one.attempts if attempt.reference_id
            ],
            "timeline": moments,
            "dead_letters": [_letter(letter) for letter in letters],
        }
        click.echo(orjson.dumps(shown))
        return
    click.echo(f"{one.id}  {one.customer}  {one.state}  {one.test_id}")
    print_rows(moments, ("at", "what"), as_json=False)
    for letter in letters:
        click.echo(f"dead letter: {letter.kind}, {letter.reason}, since {moment(letter.since)}")


_REFRESHED = {
    "completed": "completed",
    "confirmed": "confirmed by Equalture",
    "updated": "the result is newer now",
    "unchanged": "nothing new",
    "not_ready": "Equalture has no result",
    "nothing_to_ask": "there is no application at Equalture that could be asked about",
}


@invitations.command("refresh")
@click.argument("invitation_id", metavar="ID")
@config_option
@json_option
def invitations_refresh(invitation_id: str, config: Path, as_json: bool) -> None:
    """Ask Equalture now, also about a completed one: newer scores, or another language."""

    async def act(runtime: Runtime) -> Refreshed:
        return await runtime.services.refreshing.refresh(invitation_id)

    done = operate(config, act)
    one = done.invitation
    if as_json:
        shown = {
            "id": one.id,
            "customer": one.customer,
            "state": str(one.state),
            "outcome": done.outcome,
            "completed": moment(one.completed_at),
            "notified": done.notified,
        }
        click.echo(orjson.dumps(shown))
    else:
        told = "; softgarden is notified" if done.notified else ""
        click.echo(f"{one.id}  {one.state}: {_REFRESHED[done.outcome]}{told}.")
    if done.outcome == "nothing_to_ask":
        raise SystemExit(1)


@click.group()
def dead() -> None:
    """Dead letters: debts that were given up until somebody decides."""


def _choice_options(function: Callable[..., None]) -> Callable[..., None]:
    function = click.option("--customer", help="Only this customer's.")(function)
    return click.option("--older-than", type=Age(), help="Only older than this, for example 2d.")(
        function
    )


@dead.command("list")
@click.argument("an_id", metavar="[ID]", required=False)
@_choice_options
@config_option
@json_option
def dead_list(
    an_id: str | None,
    customer: str | None,
    older_than: timedelta | None,
    config: Path,
    as_json: bool,
) -> None:
    """List dead letters; with --json their attempt logs too."""
    choice = Choice(an_id, customer, older_than)

    async def act(runtime: Runtime) -> list[DeadLetter]:
        await require_customer(runtime, customer)
        return await runtime.services.operations.dead_letters(choice)

    rows = [_letter(letter) for letter in operate(config, act)]
    print_rows(rows, ("id", "customer", "kind", "attempts", "reason", "since"), as_json)
    if an_id is not None and not rows:
        raise SystemExit(1)


@dead.command("replay")
@click.argument("an_id", metavar="[ID]", required=False)
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Every dead letter (that --customer and --older-than leave).",
)
@_choice_options
@config_option
def dead_replay(
    an_id: str | None,
    everything: bool,
    customer: str | None,
    older_than: timedelta | None,
    config: Path,
) -> None:
    """Try again from the first attempt."""
    choice = _chosen(an_id, everything, customer, older_than)

    async def act(runtime: Runtime) -> int:
        await require_customer(runtime, customer)
        return await runtime.services.operations.replay(choice)

    _report(operate(config, act), "queued again", an_id)


@dead.command("drop")
@click.argument("an_id", metavar="[ID]", required=False)
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Every dead letter (that --customer and --older-than leave).",
)
@_choice_options
@yes_option
@config_option
def dead_drop(
    an_id: str | None,
    everything: bool,
    customer: str | None,
    older_than: timedelta | None,
    yes: bool,
    config: Path,
) -> None:
    """Forget for good."""
    choice = _chosen(an_id, everything, customer, older_than)

    async def act(runtime: Runtime) -> int | None:
        await require_customer(runtime, customer)
        letters = await runtime.services.operations.dead_letters(choice)
        counts = Counter(f"{letter.kind} of {letter.customer}" for letter in letters)
        which = ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
        if letters and not agreed(f"Forget for good, without ever doing it: {which}?", yes=yes):
            return None
        return await runtime.services.operations.drop(letters)

    _report(operate(config, act), "dropped", an_id)


@click.command()
@click.argument("invitation_id", metavar="INVITATION")
@yes_option
@config_option
def erase(invitation_id: str, yes: bool, config: Path) -> None:
    """Delete a candidate's data as softgarden's deletion would."""

    async def act(runtime: Runtime) -> bool:
        invitation = await runtime.services.operations.invitation(invitation_id)
        question = (
            f"Delete what {invitation.customer}'s candidate achieved in {invitation.test_name!r}"
            f" (ordered {moment(invitation.created_at)}, {invitation.state}), here and at Equalture, for good?"
        )
        if invitation.state is not State.ERASED and not agreed(question, yes=yes):
            return False
        directory = runtime.customers()
        if customer := directory.get(invitation.customer):
            await runtime.services.erasure.erase(customer, invitation_id)
        else:
            # Here perhaps only a secret is missing, which the daemon has: then it is done in a
            # moment.
            aside = invitation.customer in directory.set_aside
            await runtime.services.erasure.erase_unserved(
                invitation, _PATIENCE if aside else timedelta(0)
            )
        return True

    if not operate(config, act):
        raise click.Abort
    click.echo(f"{invitation_id} is erased, and anonymised at Equalture.")


def _chosen(
    an_id: str | None, everything: bool, customer: str | None, older_than: timedelta | None
) -> Choice:
    if (an_id is None) is not everything:
        raise click.UsageError("Give either an ID or --all.")
    return Choice(an_id, customer, older_than)


def _report(count: int | None, what: str, an_id: str | None) -> None:
    if count is None:
        raise click.Abort
    if not count and an_id is not None:
        click.echo(f"There is no dead letter {an_id} that fits.", err=True)
        raise SystemExit(1)
    click.echo(f"{count} {what}.")


def _letter(letter: DeadLetter) -> dict[str, Any]:
    return {
        "id": letter.task_id,
        "invitation": letter.invitation_id,
        "customer": letter.customer,
        "kind": str(letter.kind),
        "attempts": letter.attempts,
        "reason": letter.reason,
        "since": moment(letter.since),
        "log": [
            {
                "at": moment(note.at),
                "outcome": note.outcome,
                "status": note.status,
                "latency_ms": note.latency_ms,
                "body": note.excerpt,
            }
            for note in letter.history
        ],
    }


def _age(since: datetime) -> str:
    """How long ago, in its two largest units."""
    minutes = max(0, int((utc_now() - since).total_seconds() // 60))
    days, hours = divmod(minutes // 60, 24)
    return f"{days}d {hours}h" if days else f"{hours}h {minutes % 60}m"


def moment(at: datetime | None) -> str | None:
    """A time as commands show it."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ") if at is not None else None


def print_rows(rows: list[dict[str, Any]], columns: tuple[str, ...], as_json: bool) -> None:
    """Rows as a table, or as JSON."""
    if as_json:
        click.echo(orjson.dumps(rows))
        return
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=True)
    for row in rows:
        table.add_row(*(str(row[column]) for column in columns))
    # Wider than any terminal: an id that was cut off can be neither copied nor searched for.
    Console(width=_WIDTH).print(table if rows else "none")
