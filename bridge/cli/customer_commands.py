"""``customer add``: from four answers to a customer that is served."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

import click

from bridge import app
from bridge.cli import online_check
from bridge.cli.customer_file import NewCustomer, read_variable_name, write_private_file
from bridge.cli.online_check import OnlineReport
from bridge.cli.operator_session import load_usable_settings
from bridge.cli.options import config_option, json_option
from bridge.cli.output import print_json
from bridge.cli.running_daemon import ReloadAnswer, ask_daemon_to_reload
from bridge.core import ids
from bridge.core.customers import Customer
from bridge.errors import BridgeError, ConfigError
from bridge.settings.customer_files import CUSTOMER_KEY, FOLDER
from bridge.settings.daemon import DaemonSettings

_SECRETS = "secrets"


@click.group("customer")
def customer_group() -> None:
    """Add customers.

    \b
    assessment-bridge customer add acme
    """


@customer_group.command("add")
@click.argument("name")
@config_option
@click.option("--softgarden-client-id", metavar="ID", help="As softgarden's support tells it.")
@click.option("--equalture-client-id", metavar="ID", help="As Equalture gives it.")
@click.option(
    "--secret-file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="The file that holds Equalture's client secret, and nothing else.",
)
@click.option("--secret-env", metavar="VARIABLE", help="The variable that holds it.")
@click.option("--locale", metavar="CODE", help="Language of results, such as de.")
@click.option("--offline", is_flag=True, help="Do not ask Equalture.")
@json_option
def customer_add(
    *,
    name: str,
    config: Path,
    softgarden_client_id: str | None,
    equalture_client_id: str | None,
    secret_file: Path | None,
    secret_env: str | None,
    locale: str | None,
    offline: bool,
    as_json: bool,
) -> None:
    """Add the customer NAME: asks what it needs, makes its token, writes its file, tries it online,
    and has a running daemon serve it.

    What is given by options is not asked. In place of the secret a variable may be named:
    ${VARIABLE}.

    \b
    assessment-bridge customer add acme
    assessment-bridge customer add acme --secret-env ACME_SECRET
    """
    settings = load_usable_settings(config, signing=False)
    file = config / FOLDER / f"{name}.yaml"
    _require_new(name, file)
    if secret_file and secret_env:
        raise click.UsageError("Give either --secret-file or --secret-env.")
    bearer = secrets.token_urlsafe(32)
    answers = {
        "softgarden_client_id": softgarden_client_id or _ask("softgarden's client id"),
        "equalture_client_id": equalture_client_id or _ask("Equalture's client id"),
    }
    given: str | Path = f"${{{secret_env}}}" if secret_env else secret_file or _ask_secret()
    default = str(getattr(getattr(settings, "equalture", None), "locale", "en"))
    answers["locale"] = locale or _ask("Language of results", default)
    typed = isinstance(given, str) and read_variable_name(given) is None
    apart = (config / _SECRETS / f"{name}-equalture").absolute()
    secret = apart if typed else given.absolute() if isinstance(given, Path) else given
    new = NewCustomer(key=name, token_sha256=ids.hash_secret(bearer), secret=secret, **answers)
    if typed:
        write_private_file(apart, f"{given}\n")
    try:
        made = _validated(settings, new, file, os.environ)
        write_private_file(file, new.render_file())
    except BridgeError:
        if typed:
            apart.unlink()
        raise
    if not as_json:
        _print_token(file, bearer)
    report = None
    variable = read_variable_name(secret) if isinstance(secret, str) else None
    unset = variable if variable and variable not in os.environ else None
    if not offline and not unset:
        (report,) = asyncio.run(online_check.check_customers_online(settings, [made]))
    reloaded = ask_daemon_to_reload(settings.admin_listen)
    if as_json:
        shown = {"customer": name, "file": str(file), "token": bearer, "sha256": new.token_sha256}
        told = {"status": reloaded.status, "errors": reloaded.errors}
        print_json({**shown, "online": asdict(report) if report else None, "reload": told})
    else:
        _print_rest(name, report, reloaded, unset)
    if (report and report.problems) or reloaded.status not in (200, None):
        raise SystemExit(1)


def _require_new(name: str, file: Path) -> None:
    if not CUSTOMER_KEY.fullmatch(name):
        words = "lower-case letters, digits, - and _, at most 63"
        raise click.UsageError(f"{name!r} cannot be the name of a customer's file: {words}.")
    if file.exists():
        raise BridgeError(f"{file} is there already; nothing was changed")


def _ask(what: str, default: str | None = None) -> str:
    answer: str = click.prompt(what, default=default, err=True)
    return answer.strip()


def _ask_secret() -> str:
    what = "Equalture's client secret, or ${VARIABLE}"
    answer: str = click.prompt(what, hide_input=sys.stdin.isatty(), err=True)
    return answer.strip()


def _validated(
    settings: DaemonSettings, new: NewCustomer, file: Path, environ: Mapping[str, str]
) -> Customer:
    """The customer as a daemon will read it; raises ConfigError where an answer cannot be used.

    A variable that this shell does not have may well be set where the daemon runs.
    """
    variable = read_variable_name(new.secret) if isinstance(new.secret, str) else None
    if variable:
        environ = {variable: "not-known-here", **environ}
    with tempfile.TemporaryDirectory() as place:
        draft = Path(place) / FOLDER / file.name
        write_private_file(draft, new.render_file())
        read, _ = app.CONFIGURATION.load_customers(
            replace(settings, config_dir=Path(place)), environ
        )
    if read.set_aside:
        raise ConfigError([replace(one, file=str(file)) for one in read.list_mistakes()])
    (made,) = read
    return made


def _print_token(file: Path, bearer: str) -> None:
    click.echo(f"{file} is written.")
    click.echo("Token, to be typed into softgarden's settings (shown only now):")
    click.echo(f"\n  {bearer}\n")


def _print_rest(
    name: str, report: OnlineReport | None, reloaded: ReloadAnswer, unset: str | None
) -> None:
    if report is not None:
        online_check.print_online_reports([report])
    elif unset:
        click.echo(f"{unset} is not set here, so Equalture was not asked: check --online does.")
    if reloaded.status is None:
        click.echo(f"No daemon answers at {reloaded.place}: {name} is served once one is started.")
    elif reloaded.status == 200:
        click.echo(f"The running daemon serves {name} now.")
        click.echo(f"Next: assessment-bridge onboard {name}")
    else:
        click.echo("The running daemon refused to reload, and serves on as before:", err=True)
        for one in reloaded.errors or [f"status {reloaded.status}"]:
            click.echo(f"  {one}", err=True)
