"""How ``check`` shows what is wrong: to people with the file's lines, to programs, to GitHub."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import click

from bridge import app
from bridge.errors import Complaint
from bridge.settings.key_paths import key_path
from bridge.settings.source_excerpt import Vocabulary, excerpt


def with_paths(complaints: Iterable[Complaint]) -> list[Complaint]:
    """The same, each with the path of its key as far as that can be told."""
    keys = Vocabulary(app.CONFIGURATION.types.values()).keys
    return [
        one
        if one.path or not one.line
        else replace(one, path=key_path(Path(one.file), one.line, one.column, keys))
        for one in complaints
    ]


def as_data(complaints: Iterable[Complaint]) -> list[dict[str, object]]:
    """The mistakes for ``--json``."""
    return [asdict(one) for one in complaints]


def print_mistakes(complaints: Sequence[Complaint]) -> None:
    """Each mistake with the line where it is, and how many there are, on standard error."""
    known = Vocabulary(app.CONFIGURATION.types.values())
    colored = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    for one in complaints:
        click.echo("\n".join(_told(one, known)), err=True, color=colored)
        click.echo(err=True)
    files = len({one.file for one in complaints})
    summary = f"{_count(len(complaints), 'mistake')} in {_count(files, 'file')}."
    click.echo(click.style(summary, bold=True), err=True, color=colored)


def print_annotations(complaints: Iterable[Complaint], warnings: Iterable[str]) -> None:
    """The mistakes and warnings as a GitHub workflow shows them beside the changed lines."""
    for one in complaints:
        place = {"file": one.file, "title": one.code}
        if one.line:
            place |= {"line": str(one.line), "col": str(one.column)}
        shown = ",".join(f"{name}={_property(place[name])}" for name in sorted(place, key=_order))
        click.echo(f"::error {shown}::{_data(_message(one))}")
    for warning in warnings:
        click.echo(f"::warning::{_data(warning)}")


def annotate_problem(customer: str, problem: str) -> None:
    """What Equalture's answers say against a customer's file, as an annotation of none."""
    click.echo(f"::error title=online::{_data(f'{customer}: {problem}')}")


def _told(one: Complaint, known: Vocabulary) -> Iterator[str]:
    place = f"{one.file}:{one.line}:{one.column}" if one.line else one.file
    code = click.style(f"[{one.code}]", fg="red")
    yield f"{click.style(place, bold=True)}: {_message(one)}  {code}"
    lines = excerpt(Path(one.file), one.line, one.column, known) if one.line else ()
    margin = max((len(str(line.number)) for line in lines), default=0)
    for line in lines:
        yield f"{click.style(f'{line.number:>{margin + 2}} |', fg='blue')} {line.text}".rstrip()
        if line.caret is not None:
            bar = click.style(f"{'':>{margin + 2}} |", fg="blue")
            yield f"{bar} {' ' * line.caret}{click.style('^', fg='red', bold=True)}"


def _message(one: Complaint) -> str:
    """With the whole path of the key, once."""
    told = not one.path or one.message.startswith(f"{one.path}: ")
    return one.message if told else f"{one.path}: {one.message}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _order(name: str) -> int:
    return ("file", "line", "col", "title").index(name)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
