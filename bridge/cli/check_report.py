"""How ``check`` shows what is wrong: to people with the file's lines, to programs, to GitHub."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import click

from bridge import app
from bridge.errors import ConfigMistake
from bridge.settings.key_paths import find_key_path
from bridge.settings.source_excerpt import KnownKeys, read_excerpt


def add_key_paths(mistakes: Iterable[ConfigMistake]) -> list[ConfigMistake]:
    """The same, each with the path of its key as far as that can be told."""
    keys = KnownKeys(app.CONFIGURATION.types.values()).keys
    return [
        one
        if one.path or not one.line
        else replace(one, path=find_key_path(Path(one.file), one.line, one.column, keys))
        for one in mistakes
    ]


def convert_mistakes_to_json(mistakes: Iterable[ConfigMistake]) -> list[dict[str, object]]:
    """The mistakes for ``--json``."""
    return [asdict(one) for one in mistakes]


def print_mistakes(mistakes: Sequence[ConfigMistake]) -> None:
    """Each mistake with the line where it is, and how many there are, on standard error."""
    known = KnownKeys(app.CONFIGURATION.types.values())
    colored = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    for one in mistakes:
        click.echo("\n".join(_told(one, known)), err=True, color=colored)
        click.echo(err=True)
    files = len({one.file for one in mistakes})
    summary = f"{_count(len(mistakes), 'mistake')} in {_count(files, 'file')}."
    click.echo(click.style(summary, bold=True), err=True, color=colored)


def print_github_annotations(mistakes: Iterable[ConfigMistake], warnings: Iterable[str]) -> None:
    """The mistakes and warnings as a GitHub workflow shows them beside the changed lines."""
    for one in mistakes:
        place = {"file": one.file, "title": one.code}
        if one.line:
            place |= {"line": str(one.line), "col": str(one.column)}
        shown = ",".join(f"{name}={_property(place[name])}" for name in sorted(place, key=_order))
        click.echo(f"::error {shown}::{_data(_message(one))}")
    for warning in warnings:
        click.echo(f"::warning::{_data(warning)}")


def print_github_problem(customer: str, problem: str) -> None:
    """What Equalture's answers say against a customer's file, as an annotation of none."""
    click.echo(f"::error title=online::{_data(f'{customer}: {problem}')}")


def _told(one: ConfigMistake, known: KnownKeys) -> Iterator[str]:
    place = f"{one.file}:{one.line}:{one.column}" if one.line else one.file
    code = click.style(f"[{one.code}]", fg="red")
    yield f"{click.style(place, bold=True)}: {_message(one)}  {code}"
    lines = read_excerpt(Path(one.file), one.line, one.column, known) if one.line else ()
    margin = max((len(str(line.number)) for line in lines), default=0)
    for line in lines:
        yield f"{click.style(f'{line.number:>{margin + 2}} |', fg='blue')} {line.text}".rstrip()
        if line.caret is not None:
            bar = click.style(f"{'':>{margin + 2}} |", fg="blue")
            yield f"{bar} {' ' * line.caret}{click.style('^', fg='red', bold=True)}"


def _message(one: ConfigMistake) -> str:
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
