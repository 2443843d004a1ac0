"""Running the daemon, and asking whether it could run and does."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from pathlib import Path

import click
import uvloop

from bridge import logs
from bridge.app import open_provider
from bridge.cli.common import config_option, load
from bridge.core import translate
from bridge.errors import UpstreamError
from bridge.serve import serve as run_daemon
from bridge.settings import Settings
from bridge.supervisor import Supervisor

_HEALTH_TIMEOUT_S = 3.0


@click.command()
@config_option
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes.")
def serve(config: Path, workers: int) -> None:
    """Run the daemon."""
    settings = load(config)
    logs.configure(settings.log.level, settings.log.format)
    if workers > 1:
        code = asyncio.run(Supervisor(config, workers, settings.listen, settings.admin_listen).run())
        raise SystemExit(code)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        code = runner.run(run_daemon(settings))
    if code:
        raise SystemExit(code)


@click.command()
@config_option
@click.option("--online", is_flag=True, help="Also ask Equalture for a token and the jobs, and compare the mapping.")
def check(config: Path, online: bool) -> None:
    """Validate every configuration file."""
    settings = load(config)
    for warning in settings.warnings:
        click.echo(f"Warning: {warning}")
    click.echo(f"{config}: fine, {len(settings.customers)} customer(s).")
    if online and not asyncio.run(_check_online(settings)):
        raise SystemExit(1)


@click.command()
@config_option
def healthcheck(config: Path) -> None:
    """Exit with 0 if the local daemon is ready, for containers without curl."""
    listen = load(config).listen
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(listen.host, listen.host)  # noqa: S104 - compared, not bound
    url = f"http://{host}:{listen.port}/readyz"
    try:
        with urllib.request.urlopen(url, timeout=_HEALTH_TIMEOUT_S) as answer:
            found = "ready" if answer.status == 200 else "not ready"
    except urllib.error.HTTPError:
        found = "not ready: it runs, but cannot work; the admin listener's /readyz says why"
    except (OSError, ValueError):
        found = f"not running: nobody answers at {url}"
    click.echo(found)
    if found != "ready":
        raise SystemExit(1)


async def _check_online(settings: Settings) -> bool:
    fine = True
    async with open_provider() as provider:
        for customer in settings.customers:
            try:
                jobs = await provider.list_jobs(customer)
            except UpstreamError as error:
                click.echo(f"{customer.key}: {error}")
                fine = False
                continue
            known = {job.id for job in jobs}
            missing = [item for item in customer.tests.items if item.job_id not in known]
            offered = translate.offered(jobs, customer.tests)
            click.echo(f"{customer.key}: token fine, {len(jobs)} job(s), {len(offered)} test(s) offered.")
            for item in missing:
                click.echo(
                    f"{customer.key}: test {item.id}: job {item.job_id} is not listed by Equalture;"
                    " publish it there as type assessment, or correct job_id."
                )
            fine = fine and not missing
    return fine
