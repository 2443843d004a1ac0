"""``contract_group``: what the vendors' answers look like, and what changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click

from bridge import app
from bridge.cli.operator_session import run_on_stored_data
from bridge.cli.options import json_option
from bridge.cli.output import format_time, print_json
from bridge.core.answer_shape import ObservedFact
from bridge.core.contract_diff import describe_fact, list_contract_changes
from bridge.settings.durations import parse_duration

DEFAULT_SINCE = timedelta(days=7)


@click.group("contract")
def contract_group() -> None:
    """The shapes of what the vendors send, as the daemons have seen them.

    \b
    assessment-bridge contract diff
    """


@contract_group.command("show")
@json_option
@run_on_stored_data
async def contract_show(runtime: app.Runtime, as_json: bool) -> None:
    """Show every name, type, word and status that was ever seen, with when.

    \b
    assessment-bridge contract show
    assessment-bridge contract show --json
    """
    facts = sorted(await runtime.contract.facts())
    if as_json:
        print_json([_row(fact) for fact in facts])
        return
    heading = ""
    for fact in facts:
        if heading != (heading := f"{fact.vendor} {fact.operation}"):
            click.echo(click.style(heading, bold=True))
        times = f"{format_time(fact.first_at)} .. {format_time(fact.last_at)}"
        click.echo(f"  {fact.text}\n      {times}")
    if not facts:
        click.echo("nothing seen yet")


@contract_group.command("diff")
@click.option(
    "--since",
    metavar="T",
    help="A time (2026-01-31, 2026-01-31T15:00:00Z) or an age (2d, 12h). Default: 7d.",
)
@json_option
@run_on_stored_data
async def contract_diff(runtime: app.Runtime, since: str | None, as_json: bool) -> None:
    """Say what the vendors send since T that they did not send before, and what no more.

    \b
    assessment-bridge contract diff --since 2d
    """
    begin = _moment(since) if since is not None else app.utc_now() - DEFAULT_SINCE
    found = list_contract_changes(await runtime.contract.facts(), begin)
    if as_json:
        print_json(
            [
                {**_row(one.fact), "change": "new" if one.new else "gone", "words": one.words}
                for one in found
            ]
        )
        return
    for one in found:
        sign = click.style("+", fg="yellow") if one.new else click.style("-", fg="cyan")
        at = format_time(one.fact.first_at if one.new else one.fact.last_at)
        click.echo(f"{sign} {one.fact.vendor} {one.fact.operation}: {one.words}  {at}")
    if not found:
        click.echo(f"nothing changed since {format_time(begin)}")


def _row(fact: ObservedFact) -> dict[str, object]:
    return {
        "vendor": fact.vendor,
        "operation": fact.operation,
        "fact": fact.text,
        "words": describe_fact(fact.text),
        "first": format_time(fact.first_at),
        "last": format_time(fact.last_at),
    }


def _moment(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        try:
            return app.utc_now() - parse_duration(text)
        except ValueError:
            message = f"{text!r} is neither a time such as 2026-01-31 nor an age such as 2d."
            raise click.BadParameter(message, param_hint="--since") from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at
