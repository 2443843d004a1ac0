"""Options that several commands have; free of imports that cost time."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def config_option(function: F) -> F:
    """``--config DIR``, else ``BRIDGE_CONFIG``, else ``config``."""
    return click.option(
        "--config",
        type=click.Path(path_type=Path, file_okay=False),
        default=lambda: Path(os.environ.get("BRIDGE_CONFIG") or "config"),
        help="Folder of bridge.yaml and customers/ (BRIDGE_CONFIG; default: config).",
    )(function)


def complete_customers(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The keys of customers for a shell: the names of their files, none of which is read."""
    folder = Path(ctx.params.get("config") or os.environ.get("BRIDGE_CONFIG") or "config")
    with contextlib.suppress(OSError, RuntimeError):
        files = folder.expanduser().joinpath("customers").glob("*.yaml")
        return sorted(file.stem for file in files if file.stem.startswith(incomplete))
    return []


def customer_argument(function: F) -> F:
    """``CUSTOMER``, the key of one that is configured."""
    return click.argument("customer", shell_complete=complete_customers)(function)


def customer_option(what: str = "Only this customer's.") -> Callable[[F], F]:
    """``--customer C``, to narrow a list."""
    return click.option("--customer", help=what, shell_complete=complete_customers)


def json_option(function: F) -> F:
    """``--json``: print data for machines."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)


def yes_option(function: F) -> F:
    """``--yes``: do not ask before an irreversible action."""
    return click.option("--yes", is_flag=True, help="Do not ask for confirmation.")(function)


def id_or_all_option(all_help: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """``[ID]`` or ``--all``; bad usage unless it is one of both. The command gets *chosen*."""

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @click.argument("chosen", metavar="[ID]", required=False)
        @click.option("--all", "everything", is_flag=True, help=all_help)
        @functools.wraps(function)
        def checked(chosen: str | None, everything: bool, **others: Any) -> None:
            if (chosen is None) is not everything:
                raise click.UsageError("Give either an ID or --all.")
            function(chosen=chosen, **others)

        return checked

    return decorate
