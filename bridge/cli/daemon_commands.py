"""``serve``: running the daemon."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click
import uvloop

from bridge import logs
from bridge.cli.operator_session import load_settings, load_usable_settings
from bridge.cli.options import config_option


@click.command()
@config_option
@click.option(
    "--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes."
)
@click.option(
    "--strict", is_flag=True, help="Refuse to start if any customer's file cannot be used."
)
def serve(config: Path, workers: int, strict: bool) -> None:
    """Run the daemon.

    Customers whose files cannot be used are set aside, and named in the log; all others are served.

    \b
    assessment-bridge serve --config /etc/assessment-bridge
    assessment-bridge serve --workers 4
    """
    # Here, so that help and completion do not wait for it.
    from bridge.serve import serve as run_daemon
    from bridge.supervisor import Supervisor

    settings = load_settings(config) if strict else load_usable_settings(config)
    logs.configure_logging(settings.log.level, settings.log.format, lasting=True)
    if workers > 1:
        supervisor = Supervisor(
            config, workers, settings.listen, settings.admin_listen, strict=strict
        )
        raise SystemExit(asyncio.run(supervisor.run()))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        raise SystemExit(runner.run(run_daemon(settings)))
