"""``preview``: what a customer's patterns, branding and interview guide make of sample results."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import tempfile
import webbrowser
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bridge import app
from bridge.cli.operator_session import load_usable_settings, require_usable_customer
from bridge.cli.options import config_option, customer_argument, json_option
from bridge.cli.output import print_json
from bridge.core.score import FIT_LABELS
from bridge.errors import BridgeError

if TYPE_CHECKING:
    from bridge.app.preview import ResultPreview

_COMMENT = re.compile(r"(?:^|(?<=\s))#.*")
_REQUIRED_VARIABLE = re.compile(r"(?<!\$)\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_STAND_IN = "A" * 43
"""Neither a secret nor a key of anybody, but in the form of both."""


@click.command()
@customer_argument
@click.option(
    "--to",
    "folder",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the pages and reports go; else a new folder for temporary files.",
)
@click.option(
    "--lang",
    type=click.Choice(tuple(FIT_LABELS)),
    help="The language of pages and reports; else the customer's own.",
)
@click.option("--open", "opens", is_flag=True, help="Open the pages in the browser.")
@config_option
@json_option
def preview(
    customer: str,
    *,
    folder: Path | None,
    lang: str | None,
    opens: bool,
    config: Path,
    as_json: bool,
) -> None:
    """Show what becomes of sample results with CUSTOMER's settings: score, page and PDF.

    \b
    assessment-bridge preview acme --open
    assessment-bridge preview acme --lang de --to preview

    Nobody's result is read, and neither Redis nor a vendor is asked. Variables of the files that
    are not set in this shell do not matter.
    """
    environ, missing = _fill_in_variables(config, customer)
    settings = load_usable_settings(config, signing=False, environ=environ)
    chosen = require_usable_customer(settings.customers, customer)
    previews = asyncio.run(app.preview_results(settings, chosen, datetime.now(UTC), lang))
    target = folder or Path(tempfile.mkdtemp(prefix=f"preview-{chosen.key}-"))
    rows = [_write(one, target) for one in previews]
    if as_json:
        print_json({"customer": chosen.key, "folder": str(target), "results": rows})
    else:
        _print(rows)
    if missing:
        names = ", ".join(sorted(missing))
        click.echo(f"Not set in this shell, so something else stands for it: {names}", err=True)
    if opens:
        _open_in_browser(Path(str(row["page"])) for row in rows)


def _fill_in_variables(config: Path, customer: str) -> tuple[Mapping[str, str], set[str]]:
    """The environment, with something for each variable that a file needs and that is not set; and
    the names of those that matter to *customer*. An operator's shell seldom has the secrets, and
    none is used.
    """
    needed: dict[str, set[str]] = {}
    for file in (config / "bridge.yaml", *config.joinpath("customers").glob("*.yaml")):
        with contextlib.suppress(OSError, ValueError):
            lines = (_COMMENT.sub("", line) for line in file.read_text("utf-8").splitlines())
            names = {name for line in lines for name in _REQUIRED_VARIABLE.findall(line)}
            needed[file.stem] = names - os.environ.keys()
    stand_ins = dict.fromkeys(set[str]().union(*needed.values()), _STAND_IN)
    told = needed.get("bridge", set()) | needed.get(customer, set())
    return {**stand_ins, **os.environ}, told


def _write(one: ResultPreview, target: Path) -> dict[str, str | None]:
    """Write both files; what is told of them."""
    page, report = target / f"{one.name}.html", target / f"{one.name}.pdf"
    try:
        target.mkdir(parents=True, exist_ok=True)
        page.write_text(one.page, "utf-8")
        if one.report is not None:
            report.write_bytes(one.report)
    except OSError as error:
        raise BridgeError(f"{error.filename}: {error.strerror}") from None
    return {
        "name": one.name,
        "score": one.score,
        "pattern": one.pattern,
        "page": str(page.absolute()),
        "pdf": str(report.absolute()) if one.report is not None else None,
    }


def _open_in_browser(pages: Iterable[Path]) -> None:
    for page in pages:
        if not webbrowser.open(page.as_uri()):
            click.echo("There is no browser here: open the pages yourself.", err=True)
            return


def _print(rows: list[dict[str, str | None]]) -> None:
    for row in rows:
        click.secho(row["name"], bold=True)
        by = f'  by "{row["pattern"]}"' if row["pattern"] is not None else ""
        click.echo(f"  score  {row['score'] or 'none: no pattern has all its values'}{by}")
        click.echo(f"  page   {row['page']}")
        click.echo(f"  PDF    {row['pdf'] or 'none: results.report is false'}")
