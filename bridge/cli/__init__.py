"""``assessment-bridge``: commands that call services; exit code 0 fine, 1 something is wrong, 2 bad
usage or configuration.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module

import click

import bridge
from bridge.errors import BridgeError, ConfigError

_COMMANDS: Mapping[str, str] = {
    "serve": "daemon_commands:serve",
    "check": "configuration_commands:check",
    "healthcheck": "healthcheck:healthcheck",
    "config": "configuration_commands:config_group",
    "customer": "customer_commands:customer_group",
    "tests": "configuration_commands:tests",
    "token": "secret_commands:token_group",
    "key": "secret_commands:key_group",
    "invitations": "invitation_commands:invitations_group",
    "find": "find_command:find",
    "tail": "tail_command:tail",
    "evidence": "evidence_command:evidence",
    "dead": "dead_letter_commands:dead_letter_group",
    "hire": "hire_command:hire",
    "erase": "invitation_commands:erase",
    "quarantine": "repair_commands:quarantine_group",
    "reconcile": "repair_commands:reconcile",
    "reencrypt": "repair_commands:reencrypt",
    "preview": "preview_command:preview",
    "onboard": "going_live_commands:onboard",
    "doctor": "going_live_commands:doctor",
    "contract": "contract_commands:contract_group",
    "alerts": "alert_commands:alerts_group",
    "demo": "demo_commands:demo",
    "sandbox": "demo_commands:sandbox",
}
"""The command objects, as ``module:name`` in this package.

Only the module of the requested command is imported, so ``healthcheck`` costs little.
"""


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(f"{__name__}.{module}"), name)
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(bridge.__version__, prog_name="assessment-bridge")
def cli() -> None:
    """The daemon between softgarden's Assessment API and Equalture.

    \b
    assessment-bridge demo
    assessment-bridge find app-3001
    """


def main() -> None:
    """Run a command; errors become messages on standard error and an exit code."""
    try:
        cli.main(standalone_mode=False, complete_var="_ASSESSMENT_BRIDGE_COMPLETE")
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except click.Abort:
        sys.exit(1)
    except ConfigError as error:
        click.echo("The configuration cannot be used:", err=True)
        for mistake in error.mistakes:
            click.echo(f"  {mistake}", err=True)
        sys.exit(2)
    except BridgeError as error:
        click.echo(f"Failed: {error}", err=True)
        sys.exit(1)
    sys.exit(0)
