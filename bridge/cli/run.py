"""Running the daemon, and asking whether it could run."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click
import uvloop

from bridge import logs
from bridge.app import open_provider, open_runtime
from bridge.cli.common import config_option, load, load_usable
from bridge.core import assessment_mapping
from bridge.errors import BridgeError, UpstreamError
from bridge.serve import serve as run_daemon
from bridge.settings import Settings
from bridge.supervisor import Supervisor


@click.command()
@config_option
@click.option(
    "--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes."
)
@click.option(
    "--strict", is_flag=True, help="Refuse to start where any customer's file cannot be used."
)
def serve(config: Path, workers: int, strict: bool) -> None:
    """Run the daemon.

    Customers whose files cannot be used are set aside, and told in the log; all others are served.
    """
    settings = load(config) if strict else load_usable(config)
    logs.configure(settings.log.level, settings.log.format)
    if workers > 1:
        code = asyncio.run(
            Supervisor(config, workers, settings.listen, settings.admin_listen, strict=strict).run()
        )
        raise SystemExit(code)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        code = runner.run(run_daemon(settings))
    if code:
        raise SystemExit(code)


@click.command()
@config_option
@click.option(
    "--online",
    is_flag=True,
    help="Also ask Equalture for a token and the jobs, and compare the mapping.",
)
def check(config: Path, online: bool) -> None:
    """Validate every configuration file."""
    settings = load(config)
    for warning in settings.warnings:
        click.echo(f"Warning: {warning}")
    click.echo(f"{config}: fine, {len(settings.customers)} customer(s).")
    if online and not asyncio.run(_check_online(settings)):
        raise SystemExit(1)


async def _check_online(settings: Settings) -> bool:
    fine = True
    async with open_provider(settings) as provider:
        for customer in settings.customers:
            try:
                jobs = await provider.list_jobs(customer)
            except UpstreamError as error:
                click.echo(f"{customer.key}: {error}")
                fine = False
                continue
            known = {job.id for job in jobs}
            missing = [item for item in customer.tests.items if item.job_id not in known]
            offered = assessment_mapping.offered_assessments(jobs, customer.tests)
            click.echo(
                f"{customer.key}: token fine, {len(jobs)} job(s), {len(offered)} test(s) offered."
            )
            for item in missing:
                click.echo(
                    f"{customer.key}: test {item.id}: job {item.job_id} is not listed by Equalture;"
                    " publish it there as type assessment, or correct job_id."
                )
            fine = fine and not missing
    await _tell_words(settings)
    return fine


async def _tell_words(settings: Settings) -> None:
    """The words of Equalture's status that the daemons did not understand; they are in Redis, which
    need not be there.
    """
    try:
        async with open_runtime(settings, fresh=False) as runtime:
            found = [
                (customer.key, await runtime.services.words.known(customer))
                for customer in settings.customers
            ]
    except BridgeError as error:
        click.echo(f"Unknown words of Equalture's status: not looked for. {error}")
        return
    for key, words in found:
        if words:
            click.echo(
                f"{key}: Equalture's status said {', '.join(words)}, which counts as not finished;"
                " if it means finished, add it to equalture.done_words."
            )
