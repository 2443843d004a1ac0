"""``check``, ``config`` and ``tests``: is the configuration right, and how does it meet Equalture's
jobs?
"""

from __future__ import annotations

import asyncio
import os
from importlib.resources import files
from pathlib import Path

import click
import orjson
import yaml

from bridge import app
from bridge.cli import check_report, online_check
from bridge.cli.operator_session import load_settings, load_usable_settings, require_usable_customer
from bridge.cli.options import config_option, customer_argument, json_option
from bridge.cli.output import print_json, print_rows
from bridge.core.assessment import Job
from bridge.core.customers import Customer
from bridge.errors import BridgeError, ConfigError, ConfigMistake
from bridge.service.assessments import compare_jobs_with_mapping
from bridge.settings.daemon import DaemonSettings
from bridge.settings.masking import mask_settings

SAMPLES = (
    "HILFE.md",
    "README.md",
    "SETTINGS.md",
    "bridge.yaml",
    "customers/example.yaml.sample",
    "schema/bridge.schema.json",
    "schema/customer.schema.json",
)


@click.group("config")
def config_group() -> None:
    """Look at the configuration, or make one.

    \b
    assessment-bridge config show
    """


@config_group.command("init")
@click.argument(
    "folder", metavar="[DIR]", type=click.Path(path_type=Path, file_okay=False), required=False
)
@config_option
def config_init(folder: Path | None, config: Path) -> None:
    """Write the commented sample configuration into DIR; nothing that is there is overwritten.

    \b
    assessment-bridge config init /etc/assessment-bridge
    """
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


@config_group.command("show")
@config_option
@json_option
def config_show(config: Path, as_json: bool) -> None:
    """Print the effective configuration, with every secret as ***.

    \b
    assessment-bridge config show
    assessment-bridge config show --json
    """
    shown = mask_settings(load_settings(config))
    if as_json:
        print_json(shown)
    else:
        text = yaml.safe_dump(shown, sort_keys=False, allow_unicode=True, width=120)
        click.echo(text.rstrip())


@config_group.command("schema")
@click.argument("file", type=click.Choice(["bridge", "customer"]), required=False)
@config_option
@json_option
def config_schema(file: str | None, config: object, as_json: bool) -> None:
    """Print the JSON Schema of FILE for editors; without it both, by name.

    \b
    assessment-bridge config schema customer > customer.json
    """
    schemas = app.CONFIGURATION
    shown = schemas.schema(file) if file else {kind: schemas.schema(kind) for kind in schemas.types}
    click.echo(orjson.dumps(shown, option=0 if as_json else orjson.OPT_INDENT_2))


@click.command()
@customer_argument
@config_option
@json_option
def tests(customer: str, config: Path, as_json: bool) -> None:
    """Show Equalture's jobs beside CUSTOMER's mapping: what softgarden is offered, and what not.

    \b
    assessment-bridge tests acme
    """
    settings = load_usable_settings(config, signing=False)
    chosen = require_usable_customer(settings.customers, customer)
    rows = [
        {"test": job.test_id, "job": job.job_id, "name": job.name, "status": job.publication}
        for job in compare_jobs_with_mapping(
            asyncio.run(_list_jobs(settings, chosen)), chosen.tests
        )
    ]
    print_rows(rows, ("test", "job", "name", "status"), as_json=as_json)


@click.command()
@config_option
@click.option(
    "--online",
    is_flag=True,
    help="Also ask Equalture for a token and the jobs, and compare the mapping.",
)
@click.option(
    "--github", is_flag=True, help="Print the mistakes as annotations of a GitHub workflow."
)
@json_option
def check(config: Path, online: bool, github: bool, as_json: bool) -> None:
    """Validate every configuration file; each mistake is shown with its line.

    \b
    assessment-bridge check --config /etc/assessment-bridge
    assessment-bridge check --online
    """
    if github and as_json:
        raise click.UsageError("Give either --github or --json.")
    mistakes: list[ConfigMistake] = []
    settings: DaemonSettings | None = None
    try:
        settings = load_settings(config)
    except ConfigError as error:
        mistakes = check_report.add_key_paths(error.mistakes)
    warnings = settings.warnings if settings else ()
    for_people = not (as_json or github)
    if github:
        check_report.print_github_annotations(mistakes, warnings)
    elif mistakes and for_people:
        check_report.print_mistakes(mistakes)
    if settings is not None and for_people:
        for warning in warnings:
            click.echo(f"Warning: {warning}")
        click.echo(f"{config}: fine, {len(settings.customers)} customer(s).")
    reports = None
    if settings is not None and online:
        reports = asyncio.run(
            online_check.check_customers_online(settings, tuple(settings.customers))
        )
    if as_json:
        keys = [customer.key for customer in settings.customers] if settings else []
        found = {"mistakes": check_report.convert_mistakes_to_json(mistakes), "warnings": warnings}
        more = {} if reports is None else {"online": online_check.convert_reports_to_json(reports)}
        print_json({"config": str(config), "customers": keys, **found, **more})
    elif reports is not None and github:
        for report in reports:
            for problem in report.problems:
                check_report.print_github_problem(report.customer, problem)
    elif reports is not None and settings is not None:
        online_check.print_online_reports(reports)
        asyncio.run(_print_unknown_words(settings))
    if settings is None:
        raise SystemExit(2)
    if any(report.problems for report in reports or ()):
        raise SystemExit(1)


async def _list_jobs(settings: DaemonSettings, customer: Customer) -> tuple[Job, ...]:
    async with app.open_providers(settings) as provider_of:
        return await provider_of(customer).list_jobs(customer)


async def _print_unknown_words(settings: DaemonSettings) -> None:
    """The words of Equalture's status that the daemons did not understand.

    They are in Redis, which need not be there.
    """
    try:
        async with app.open_runtime(settings, fresh=False) as runtime:
            words = {
                customer.key: await runtime.services.words.unknown_words(customer)
                for customer in settings.customers
            }
    except BridgeError as error:
        click.echo(f"Unknown words of Equalture's status: not looked for. {error}")
        return
    for key, unknown in words.items():
        if unknown:
            click.echo(
                f"{key}: Equalture's status said {', '.join(unknown)}, which counts as not"
                " finished; if it means finished, add it to equalture.done_words."
            )
