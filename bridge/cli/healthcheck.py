"""``healthcheck``, as a command with options and help; in most cases ``bridge/__main__.py`` has
answered already.
"""

from __future__ import annotations

import os
from pathlib import Path

import click

from bridge.cli.options import config_option
from bridge.readiness_probe import READY, probe_readiness
from bridge.settings.listen import read_listen_address


@click.command()
@config_option
def healthcheck(config: Path) -> None:
    """Exit with 0 if the local daemon is ready, for containers without curl.

    \b
    assessment-bridge healthcheck
    """
    address = read_listen_address(config, os.environ)
    outcome = probe_readiness(address.host, address.port)
    click.echo(outcome)
    if outcome != READY:
        raise SystemExit(1)
