"""``assessment-bridge``: commands that call services; exit code 0 fine, 1 something is wrong, 2 bad usage or configuration."""

from __future__ import annotations

import sys

import click

import bridge
from bridge.cli import configuration, demo, keys, operate, reencrypt, run
from bridge.errors import BridgeError, ConfigError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(bridge.__version__, prog_name="assessment-bridge")
def cli() -> None:
    """The daemon between softgarden's Assessment API and Equalture."""


for command in (
    run.serve,
    run.check,
    run.healthcheck,
    configuration.configuration,
    configuration.tests,
    keys.token,
    keys.key,
    operate.invitations,
    operate.dead,
    operate.erase,
    reencrypt.reencrypt,
    demo.demo,
    demo.sandbox,
):
    cli.add_command(command)


def main() -> None:
    """Run a command; errors become words on standard error and an exit code."""
    try:
        cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except click.Abort:
        sys.exit(1)
    except ConfigError as error:
        click.echo("The configuration cannot be used:", err=True)
        for complaint in error.complaints:
            click.echo(f"  {complaint}", err=True)
        sys.exit(2)
    except BridgeError as error:
        click.echo(f"Failed: {error}", err=True)
        sys.exit(1)
    sys.exit(0)
