"""Repairs stored data: data that could not be read, lost tasks, changed encryption keys."""

from __future__ import annotations

from dataclasses import asdict

import click

from bridge import app
from bridge.cli.operator_session import ask_for_confirmation, run_on_stored_data
from bridge.cli.options import id_or_all_option, json_option, yes_option
from bridge.cli.output import format_time, print_json, print_rows


@click.group("quarantine")
def quarantine_group() -> None:
    """Show or delete data that could not be read.

    \b
    assessment-bridge quarantine list
    """


@quarantine_group.command("list")
@json_option
@run_on_stored_data
async def quarantine_list(runtime: app.Runtime, as_json: bool) -> None:
    """List quarantined data, oldest first.

    \b
    assessment-bridge quarantine list
    """
    notes = [note async for note in runtime.quarantine.notes()]
    rows = [
        {
            "id": note.name,
            "what": note.what,
            "partition": f"p{note.partition:x}",
            "reason": note.reason,
            "since": format_time(note.since),
        }
        for note in sorted(notes, key=lambda note: note.since)
    ]
    print_rows(rows, ("id", "what", "partition", "reason", "since"), as_json=as_json)


@quarantine_group.command("drop")
@id_or_all_option("Everything in the quarantine.")
@yes_option
@run_on_stored_data
async def quarantine_drop(runtime: app.Runtime, chosen: str | None, yes: bool) -> None:
    """Delete quarantined data for good; of a damaged record, the record.

    \b
    assessment-bridge quarantine drop iv_7yvH...
    """
    question = f"Delete {chosen or 'everything in the quarantine'} for good?"
    if not ask_for_confirmation(question, yes=yes):
        raise SystemExit(1)
    notes = [note async for note in runtime.quarantine.notes() if chosen in (None, note.name)]
    count = sum([await runtime.quarantine.drop(note) for note in notes])
    if not count and chosen is not None:
        click.echo(f"Nothing called {chosen} is in the quarantine.", err=True)
        raise SystemExit(1)
    click.echo(f"{count} dropped.")


@click.command()
@click.option("--dry-run", is_flag=True, help="Only show what is wrong.")
@json_option
@run_on_stored_data
async def reconcile(runtime: app.Runtime, dry_run: bool, as_json: bool) -> None:
    """Compare records with queues, and queue lost tasks again.

    A daemon does this all the time, slowly; this is for the hour after a restore.

    \b
    assessment-bridge reconcile --dry-run
    assessment-bridge reconcile
    """
    report = await runtime.reconciler.run(dry_run=dry_run)
    if as_json:
        print_json({**asdict(report), "dry_run": dry_run})
        return
    done = "to queue" if dry_run else "queued"
    click.echo(
        f"{report.records} records, {len(report.requeued)} tasks {done} again,"
        f" {len(report.reindexed)} lanes repaired."
    )
    if report.indexed:
        click.echo(f"{report.indexed} records can now be found by their application.")
    for task_id in report.requeued:
        click.echo(f"  {task_id}")
    for lane in report.reindexed:
        click.echo(f"  lane {lane}")
    for invitation_id in report.damaged:
        click.echo(f"Damaged, see quarantine: {invitation_id}", err=True)
    if report.incomplete:
        click.echo("A part of Redis did not answer; run this again when it is back.", err=True)
        raise SystemExit(1)


@click.command()
@json_option
@run_on_stored_data
async def reencrypt(runtime: app.Runtime, as_json: bool) -> None:
    """Encrypt everything stored with the newest key; then older ones can be taken off the list.

    May run beside daemons that have the newest key already, and may be repeated. Exit code 1:
    something could not be read, or a part of Redis did not answer.

    \b
    assessment-bridge reencrypt
    """
    tallies = await runtime.reencrypt()
    if as_json:
        print_json({name: asdict(tally) for name, tally in tallies.items()})
    for name, tally in tallies.items():
        if not as_json:
            click.echo(
                f"{name.replace('_', ' ')}: {tally.renewed} re-encrypted,"
                f" {tally.current} up to date, {len(tally.left)} left"
            )
        for reason in tally.left:
            click.echo(f"Not re-encrypted: {reason}", err=True)
    if any(tally.left for tally in tallies.values()):
        raise SystemExit(1)
