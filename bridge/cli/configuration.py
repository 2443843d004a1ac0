"""Looking at the configuration: what is in force, what may stand in the files, and how it meets Equalture's jobs."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path

import click
import orjson
import yaml
from rich.console import Console
from rich.table import Table

from bridge.app import open_provider
from bridge.cli.common import config_option, json_option, load
from bridge.core import translate
from bridge.core.customers import Customer
from bridge.core.models import Job
from bridge.errors import UnknownInvitation
from bridge.settings import masked
from bridge.settings.json_schema import json_schema


@click.group("config")
def configuration() -> None:
    """Look at the configuration."""


@configuration.command("show")
@config_option
@json_option
def config_show(config: Path, as_json: bool) -> None:
    """Print the effective configuration, with every secret as ***."""
    shown = masked(load(config))
    if as_json:
        click.echo(orjson.dumps(shown))
    else:
        click.echo(yaml.safe_dump(shown, sort_keys=False, allow_unicode=True, width=120).rstrip())


@configuration.command("schema")
@config_option
@json_option
def config_schema(config: object, as_json: bool) -> None:
    """Print a JSON Schema of both files, for editors."""
    click.echo(orjson.dumps(json_schema(), option=0 if as_json else orjson.OPT_INDENT_2))
