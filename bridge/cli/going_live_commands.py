"""``onboard`` and ``doctor``: what the vendors have to be told, and whether a deployed bridge keeps
the contract.
"""

from __future__ import annotations

import asyncio
import re
import signal
from dataclasses import asdict
from pathlib import Path

import click

from bridge import app
from bridge.cli.operator_session import load_usable_settings, require_usable_customer
from bridge.cli.options import config_option, customer_argument, json_option
from bridge.cli.output import print_json

_SIGNS = {
    "fine": click.style("ok     ", fg="green"),
    "warning": click.style("warning", fg="yellow"),
    "wrong": click.style("WRONG  ", fg="red", bold=True),
}
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9])?", re.ASCII)
_URL = re.compile(r"https?://[^\s/@?#\\]+(/[^\s?#\\]*)?", re.ASCII | re.IGNORECASE)
_TOKEN = re.compile(r"[\x21-\x7e]+", re.ASCII)


@click.command()
@customer_argument
@config_option
@json_option
def onboard(customer: str, config: Path, as_json: bool) -> None:
    """Print what softgarden and Equalture have to be told about CUSTOMER, in German and English.

    \b
    assessment-bridge onboard acme
    assessment-bridge onboard acme --json

    No secret is among it.
    """
    settings = load_usable_settings(config, signing=False)
    facts = app.onboarding.collect_onboarding_facts(
        settings, require_usable_customer(settings.customers, customer)
    )
    texts = app.onboarding.write_onboarding_letters(facts)
    if as_json:
        print_json({**facts.as_json(), "text": texts})
        return
    click.echo("\n\n".join(text.rstrip() for text in texts.values()))


@click.command()
@click.argument("url")
@click.option(
    "--token",
    metavar="T",
    required=True,
    envvar="BRIDGE_DOCTOR_TOKEN",
    help="The bearer token of a customer (or BRIDGE_DOCTOR_TOKEN, which no process list shows).",
)
@click.option(
    "--callback-host",
    metavar="HOST",
    default="softgarden.io",
    show_default=True,
    help="The host that the artificial order wants to be notified at.",
)
@click.option("--test", metavar="ID", help="The test to order; else the first that is listed.")
@config_option
@json_option
def doctor(
    url: str, *, token: str, callback_host: str, test: str | None, config: object, as_json: bool
) -> None:
    """Run softgarden's whole contract against the deployed bridge at URL.

    \b
    assessment-bridge doctor https://bridge.example.com --token ...

    An artificial candidate is invited at Equalture, too, and always deleted again. Exit code 1:
    something is wrong.
    """
    _require(_URL.fullmatch(url), "URL", "is no absolute http(s) URL")
    _require(_TOKEN.fullmatch(token), "--token", "has to be one word of visible characters")
    _require(_HOST.fullmatch(callback_host), "--callback-host", "is no host")
    examination = app.Examination(
        url=url,
        token=token,
        callback_host=callback_host,
        test=test,
        told=(lambda _: None) if as_json else _tell,
    )
    try:
        asyncio.run(_examine(examination))
    except KeyboardInterrupt:  # for the second time: somebody does not want to wait
        left = ", ".join(examination.made) or "an invitation of its artificial candidate, perhaps"
        click.echo(f"Left behind: {left}. Delete it: assessment-bridge erase ID", err=True)
        raise SystemExit(1) from None
    if as_json:
        print_json(
            {
                "url": url,
                "fine": examination.fine,
                "findings": [asdict(one) for one in examination.findings],
                "made": examination.made,
                "left_behind": examination.left_behind,
            }
        )
    else:
        _conclude(examination)
    if not examination.fine:
        raise SystemExit(1)


async def _examine(examination: app.Examination) -> None:
    task = asyncio.current_task()
    if task is not None:
        # Also a service manager's way to end it leaves nothing behind.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await app.examine_deployed_bridge(examination)


def _require(fine: object, what: str, problem: str) -> None:
    if not fine:
        raise click.UsageError(f"{what} {problem}.")


def _tell(finding: app.CheckResult) -> None:
    click.echo(f"{_SIGNS[finding.verdict]}  {finding.check}: {finding.detail}")
    if finding.remedy:
        click.echo(f"         -> {finding.remedy}")


def _conclude(examination: app.Examination) -> None:
    wrong = sum(one.verdict == "wrong" for one in examination.findings)
    made = len(examination.made) - len(examination.left_behind)
    click.echo(
        f"\n{len(examination.findings)} findings, {wrong or 'nothing'} wrong;"
        f" {max(made, 0)} artificial invitation(s) made and deleted."
    )
