"""How commands print data."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click
import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

_WIDTH = 1000
"""Wider than any terminal: an id that was cut off can be neither copied nor searched for."""
_STATE_COLOURS = {
    "creating": "yellow",
    "uncertain": "bold yellow",
    "invited": "cyan",
    "started": "blue",
    "completed": "green",
    "expired": "magenta",
    "failed": "red",
    "erased": "dim",
}


def print_json(data: Any) -> None:
    """One line of JSON."""
    click.echo(orjson.dumps(data))


def print_rows(
    rows: Sequence[dict[str, Any]], columns: Sequence[str], *, as_json: bool = False
) -> None:
    """Rows as a table of these columns, or all of them as JSON.

    On a terminal that is too narrow for the table each row has its cells below each other. Nothing
    is ever cut off.
    """
    if as_json:
        print_json(rows)
        return
    console = Console(highlight=False)
    narrow = console.width if console.is_terminal else None
    cells = [[_cell(column, row[column]) for column in columns] for row in rows]
    if narrow is not None and _table_width(columns, cells) > narrow:
        for row_cells in cells:
            _print_below_each_other(console, columns, row_cells)
        return
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=True)
    for row_cells in cells:
        table.add_row(*row_cells)
    console.width = _WIDTH
    console.print(table if rows else "none")


def colour_state(state: str) -> Text:
    """An invitation's state, in its colour."""
    return Text(state, _STATE_COLOURS.get(state, ""))


def _cell(column: str, value: object) -> Text:
    text = "-" if value is None else str(value)
    return colour_state(text) if column == "state" else Text(text)


def _table_width(columns: Sequence[str], rows: Sequence[Sequence[Text]]) -> int:
    widths = [
        max([len(name), *(row[place].cell_len for row in rows)])
        for place, name in enumerate(columns)
    ]
    return sum(widths) + 2 * (len(columns) - 1)


def _print_below_each_other(
    console: Console, columns: Sequence[str], cells: Sequence[Text]
) -> None:
    """The first cell on a line of its own, so that it can be copied; the rest below, as many on a
    line as fit.
    """
    console.print(cells[0].copy(), style="bold", soft_wrap=True)
    line = Text(" ")
    for name, cell in list(zip(columns, cells, strict=True))[1:]:
        part = Text(" ").append(f"{name} ", "dim").append_text(cell)
        if line.cell_len > 1 and line.cell_len + part.cell_len > console.width:
            console.print(line, soft_wrap=True)
            line = Text(" ")
        line.append_text(part)
    console.print(line, soft_wrap=True)


def format_time(at: datetime | None) -> str | None:
    """A time as commands show it."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ") if at is not None else None
