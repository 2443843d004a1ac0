"""``dead_letter_group``: tasks that were given up and wait for an operator's decision."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import click

from bridge import app
from bridge.cli.operator_session import (
    ask_for_confirmation,
    check_customer_name,
    run_on_stored_data,
)
from bridge.cli.options import customer_option, id_or_all_option, json_option, yes_option
from bridge.cli.output import format_time, print_rows
from bridge.core.queueing import DeadLetter
from bridge.service.operations import DeadLetterFilter
from bridge.settings.durations import parse_duration


class AgeParameter(click.ParamType[timedelta]):
    """A duration like 30s, 15m, 2h or 7d."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """The duration; a wrong one is a usage error."""
        try:
            return value if isinstance(value, timedelta) else parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _filtered(function: Callable[..., None]) -> Callable[..., None]:
    """``--customer`` and ``--older-than``; with the ID they are the command's *wanted*."""

    @customer_option()
    @click.option("--older-than", type=AgeParameter(), help="Only older than this, for example 2d.")
    @functools.wraps(function)
    def run(
        chosen: str | None, customer: str | None, older_than: timedelta | None, **others: Any
    ) -> None:
        function(wanted=DeadLetterFilter(chosen, customer, older_than), **others)

    return run


_id_or_all = id_or_all_option("Every dead letter (that --customer and --older-than leave).")


@click.group("dead")
def dead_letter_group() -> None:
    """Dead letters: tasks that were given up and wait for your decision.

    \b
    assessment-bridge dead list
    """


@dead_letter_group.command("list")
@click.argument("chosen", metavar="[ID]", required=False)
@_filtered
@json_option
@run_on_stored_data
async def dead_list(runtime: app.Runtime, wanted: DeadLetterFilter, as_json: bool) -> None:
    """List dead letters; with --json their attempt logs too.

    \b
    assessment-bridge dead list --customer acme
    assessment-bridge dead list --older-than 2d --json
    """
    letters = await _letters(runtime, wanted)
    columns = ("id", "customer", "kind", "attempts", "reason", "since")
    print_rows(
        [convert_dead_letter_to_json(letter) for letter in letters], columns, as_json=as_json
    )
    if wanted.id is not None and not letters:
        raise SystemExit(1)


@dead_letter_group.command("replay")
@_id_or_all
@_filtered
@run_on_stored_data
async def dead_replay(runtime: app.Runtime, wanted: DeadLetterFilter) -> None:
    """Queue tasks again, from the first attempt.

    \b
    assessment-bridge dead replay iv_7yvH...
    assessment-bridge dead replay --all --customer acme
    """
    letters = await _letters(runtime, wanted)
    _report(await runtime.services.operations.replay(letters), "queued again", wanted)


@dead_letter_group.command("drop")
@_id_or_all
@_filtered
@yes_option
@run_on_stored_data
async def dead_drop(runtime: app.Runtime, wanted: DeadLetterFilter, yes: bool) -> None:
    """Delete tasks for good.

    \b
    assessment-bridge dead drop iv_7yvH...
    """
    letters = await _letters(runtime, wanted)
    counts = Counter(f"{letter.kind} of {letter.customer}" for letter in letters)
    which = ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
    question = f"Forget for good, without ever doing it: {which}?"
    if letters and not ask_for_confirmation(question, yes=yes):
        raise click.Abort
    _report(await runtime.services.operations.drop(letters), "dropped", wanted)


async def _letters(runtime: app.Runtime, wanted: DeadLetterFilter) -> list[DeadLetter]:
    await check_customer_name(runtime, wanted.customer)
    return await runtime.services.operations.dead_letters(wanted)


def _report(count: int, what: str, wanted: DeadLetterFilter) -> None:
    if not count and wanted.id is not None:
        click.echo(f"There is no dead letter {wanted.id} that matches the filters.", err=True)
        raise SystemExit(1)
    click.echo(f"{count} {what}.")


def convert_dead_letter_to_json(letter: DeadLetter) -> dict[str, Any]:
    """A dead letter as data."""
    return {
        "id": letter.task_id,
        "invitation": letter.invitation_id,
        "customer": letter.customer,
        "kind": str(letter.kind),
        "attempts": letter.attempts,
        "reason": letter.reason,
        "since": format_time(letter.since),
        "log": [
            {
                "at": format_time(note.at),
                "outcome": note.outcome,
                "status": note.status,
                "latency_ms": note.latency_ms,
                "body": note.excerpt,
            }
            for note in letter.history
        ],
    }
