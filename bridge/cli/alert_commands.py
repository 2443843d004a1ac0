"""``alerts_group``: whether those who are to be told can be."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from bridge import app
from bridge.cli.operator_session import load_usable_settings
from bridge.cli.options import config_option, json_option
from bridge.cli.output import print_rows


@click.group("alerts")
def alerts_group() -> None:
    """Who is told when somebody has to act (`alerts` in bridge.yaml).

    \b
    assessment-bridge alerts test
    """


@alerts_group.command("test")
@config_option
@json_option
def alerts_test(config: Path, as_json: bool) -> None:
    """Post a trial to every receiver at once; exit code 1 if one does not take it.

    \b
    assessment-bridge alerts test --config /etc/assessment-bridge
    """
    answers = asyncio.run(app.try_alerts(load_usable_settings(config, signing=False)))
    rows = [
        {"receiver": name, "format": form, "outcome": failure or "took it"}
        for name, form, failure in answers
    ]
    print_rows(rows, ("receiver", "format", "outcome"), as_json=as_json)
    if any(failure for _, _, failure in answers):
        raise SystemExit(1)
