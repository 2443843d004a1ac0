"""How commands print data."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click
import orjson
from rich.console import Console
from rich.markup import escape
from rich.table import Table

_WIDTH = 1000
"""Wider than any terminal: an id that was cut off can be neither copied nor searched for."""


def print_json(data: Any) -> None:
    """One line of JSON."""
    click.echo(orjson.dumps(data))


def print_rows(
    rows: Sequence[dict[str, Any]], columns: Sequence[str], *, as_json: bool = False
) -> None:
    """Rows as a table of these columns, or all of them as JSON."""
    if as_json:
        print_json(rows)
        return
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=True)
    for row in rows:
        cells = ("-" if row[column] is None else str(row[column]) for column in columns)
        table.add_row(*map(escape, cells))
    Console(width=_WIDTH).print(table if rows else "none", highlight=False)


def moment(at: datetime | None) -> str | None:
    """A time as commands show it."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ") if at is not None else None
