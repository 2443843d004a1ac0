"""Looking at the configuration: what is in force, what may stand in the files, and how it meets
Equalture's jobs.
"""

from __future__ import annotations

import asyncio
import os
from importlib.resources import files
from pathlib import Path

import click
import orjson
import yaml
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bridge.app import open_provider
from bridge.cli.common import config_option, customer_of, json_option, load, load_usable
from bridge.core.assessment import Job
from bridge.core.customers import Customer
from bridge.errors import BridgeError
from bridge.service.assessments import compare
from bridge.settings import Settings, masked
from bridge.settings.json_schema import json_schema

SAMPLES = ("README.md", "bridge.yaml", "customers/example.yaml.sample")


@click.group("config")
def configuration() -> None:
    """Look at the configuration, or make one."""


@configuration.command("init")
@click.argument(
    "folder", metavar="[DIR]", type=click.Path(path_type=Path, file_okay=False), required=False
)
@config_option
def config_init(folder: Path | None, config: Path) -> None:
    """Write the commented sample configuration into DIR; nothing that is there is overwritten."""
    target = folder or config
    samples = {name: files("bridge").joinpath("samples", name).read_bytes() for name in SAMPLES}
    if there := [str(target / name) for name in samples if (target / name).exists()]:
        raise BridgeError(f"nothing was written, since this is there already: {', '.join(there)}")
    try:
        for name, text in samples.items():
            file = target / name
            file.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            # Secrets may come to stand in it: its owner may read and write it, and the group that
            # the service runs as.
            with os.fdopen(
                os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640), "wb"
            ) as stream:
                stream.write(text)
            click.echo(file)
    except OSError as error:
        raise BridgeError(f"{error.filename}: {error.strerror}") from None
    click.echo(f"Next: read {target / 'README.md'}", err=True)


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


@click.command()
@click.argument("customer")
@config_option
@json_option
def tests(customer: str, config: Path, as_json: bool) -> None:
    """Show Equalture's jobs beside CUSTOMER's mapping: what softgarden is offered, and what not."""
    loaded = load_usable(config, signing=False)
    found = customer_of(loaded.customers, customer)
    lines = compare(asyncio.run(_jobs(loaded, found)), found.tests)
    if as_json:
        rows = [
            {"test": one.test_id, "job": one.job_id, "name": one.name, "status": one.appearance}
            for one in lines
        ]
        click.echo(orjson.dumps(rows))
        return
    table = Table("test", "job", "name", "status", box=None, pad_edge=False)
    for one in lines:
        table.add_row(
            *(escape(text) for text in (one.test_id or "-", one.job_id, one.name, one.appearance))
        )
    Console().print(table if lines else "none", highlight=False)


async def _jobs(settings: Settings, customer: Customer) -> tuple[Job, ...]:
    async with open_provider(settings) as provider:
        return await provider.list_jobs(customer)
