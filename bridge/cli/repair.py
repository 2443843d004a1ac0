"""What was put aside because it could not be read, and records that lost their tasks."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click
import orjson

from bridge.app import Runtime
from bridge.cli.common import agreed, config_option, json_option, operate, yes_option
from bridge.cli.operate import moment, print_rows
from bridge.core.queueing import QuarantineNote, ReconciliationReport


@click.group()
def quarantine() -> None:
    """What could not be read and was put aside."""


@quarantine.command("list")
@config_option
@json_option
def quarantine_list(config: Path, as_json: bool) -> None:
    """List what was put aside, oldest first."""

    async def act(runtime: Runtime) -> list[QuarantineNote]:
        return [note async for note in runtime.quarantine.notes()]

    found = sorted(operate(config, act), key=lambda note: note.since)
    rows = [
        {
            "id": note.name,
            "what": note.what,
            "partition": f"p{note.partition:x}",
            "reason": note.reason,
            "since": moment(note.since),
        }
        for note in found
    ]
    print_rows(rows, ("id", "what", "partition", "reason", "since"), as_json)


@quarantine.command("drop")
@click.argument("name", metavar="[ID]", required=False)
@click.option("--all", "everything", is_flag=True, help="Everything that was put aside.")
@yes_option
@config_option
def quarantine_drop(name: str | None, everything: bool, yes: bool, config: Path) -> None:
    """Delete for good what was put aside; of a damaged record, the record."""
    if (name is None) is not everything:
        raise click.UsageError("Give either an ID or --all.")
    if not agreed(f"Delete {name or 'everything that was put aside'} for good?", yes=yes):
        raise SystemExit(1)

    async def act(runtime: Runtime) -> int:
        chosen = [note async for note in runtime.quarantine.notes() if name in (None, note.name)]
        return sum([await runtime.quarantine.drop(note) for note in chosen])

    count = operate(config, act)
    if not count and name is not None:
        click.echo(f"Nothing called {name} was put aside.", err=True)
        raise SystemExit(1)
    click.echo(f"{count} dropped.")


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what is wrong.")
@config_option
@json_option
def reconcile(dry_run: bool, config: Path, as_json: bool) -> None:
    """Compare records with queues, and queue again what got lost.

    A daemon does this all the time, slowly; this is for the hour after a restore.
    """

    async def act(runtime: Runtime) -> ReconciliationReport:
        return await runtime.reconciler.run(dry_run=dry_run)

    found = operate(config, act)
    if as_json:
        click.echo(orjson.dumps({**asdict(found), "dry_run": dry_run}))
        return
    done = "to queue" if dry_run else "queued"
    click.echo(
        f"{found.records} records, {len(found.requeued)} tasks {done} again, {len(found.reindexed)} lanes put right."
    )
    for task_id in found.requeued:
        click.echo(f"  {task_id}")
    for lane in found.reindexed:
        click.echo(f"  lane {lane}")
    for invitation_id in found.damaged:
        click.echo(f"Damaged, see quarantine: {invitation_id}", err=True)
    if found.incomplete:
        click.echo("A part of Redis did not answer; run this again when it is back.", err=True)
        raise SystemExit(1)
