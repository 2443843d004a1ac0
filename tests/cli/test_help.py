"""What the commands say of themselves, on any terminal, and to shells that complete them."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from bridge.cli import cli
from bridge.core.invitation import State
from tests.cli.test_commands import run

PROGRAM = "assessment-bridge"
UNSUITABLE = ("|", ">")
"""Where a shell's own words begin."""


def every_command(
    command: click.Command = cli, *names: str
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """All commands, sub-commands and groups, with the words that call them."""
    yield names, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from every_command(inner, *names, name)


COMMANDS = dict(every_command())
SUB_COMMANDS = {names: one for names, one in COMMANDS.items() if not isinstance(one, click.Group)}


def examples(command: click.Command) -> list[list[str]]:
    """The words of each example in a command's help."""
    lines = [line.strip() for line in inspect.cleandoc(command.help or "").splitlines()]
    found = []
    for line in (one for one in lines if f"{PROGRAM} " in one):
        words = shlex.split(line[line.index(PROGRAM) :].rstrip(")"))[1:]
        end = next((n for n, word in enumerate(words) if word in UNSUITABLE), len(words))
        found.append(words[:end])
    return found


def parse(words: list[str]) -> click.Command:
    """The command that *words* call, with everything behind its name parsed."""
    command: click.Command = cli
    context = click.Context(cli, info_name=PROGRAM)
    while isinstance(command, click.Group):
        name, *words = words
        inner = command.get_command(context, name)
        assert inner is not None, name
        command = inner
        context = click.Context(command, info_name=name, parent=context)
    command.make_context(command.name, list(words), parent=context.parent)
    return command


@pytest.mark.parametrize("names", COMMANDS, ids=" ".join)
def test_every_help_has_examples(names: tuple[str, ...]) -> None:
    """Every command shows one or two real command lines of its own, and each of them parses."""
    shown = examples(COMMANDS[names])
    assert 1 <= len(shown) <= 2
    for words in shown:
        assert words[: len(names)] == list(names)
        parse(words)


@pytest.mark.parametrize("width", [60, 200])
@pytest.mark.parametrize("names", COMMANDS, ids=" ".join)
def test_help_fits_the_terminal(names: tuple[str, ...], width: int) -> None:
    """Help is no wider than the terminal; examples, which are to be copied, are never broken."""
    command = COMMANDS[names]
    context = click.Context(
        command, info_name=" ".join((PROGRAM, *names)), terminal_width=width - 2
    )
    lines = [line.rstrip() for line in command.get_help(context).splitlines()]
    assert [line for line in lines if len(line) > width and PROGRAM not in line] == []
    told = inspect.cleandoc(command.help or "").splitlines()
    shown = [line.strip() for line in told if f"{PROGRAM} " in line]
    assert [line for line in shown if f"  {line}" not in lines] == []
    assert run(*names, "--help").code == 0


# -- completion


def complete(shell: str, line: str, **environment: str) -> list[str]:
    """What a shell is offered at the end of *line*."""
    words = line.split(" ")
    last = words[-1] if shell == "fish" else str(len(words) - 1)
    said = run(
        _ASSESSMENT_BRIDGE_COMPLETE=f"{shell}_complete",
        COMP_WORDS=line,
        COMP_CWORD=last,
        **environment,
    )
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    if shell == "zsh":
        return lines[1::3]
    return [one.partition(",")[2].partition("\t")[0] for one in lines if one]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Customers' files that nobody could use, without keys, Redis or any secret."""
    (tmp_path / "customers").mkdir()
    for name in ("acme.yaml", "acorn.yaml", "globex.yaml", "example.yaml.sample"):
        (tmp_path / "customers" / name).write_text("client_secret: ${NOWHERE}\n")
    return tmp_path


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_customers_are_completed(folder: Path, shell: str) -> None:
    """Every command that takes a customer completes its key, by --config or BRIDGE_CONFIG, though
    no file can be read.
    """
    taking = [
        " ".join(names) + (" " if isinstance(param, click.Argument) else " --customer ")
        for names, command in SUB_COMMANDS.items()
        for param in command.params
        if param.name == "customer"
    ]
    assert len(taking) >= 8
    for line in taking:
        found = complete(shell, f"{PROGRAM} {line}ac", BRIDGE_CONFIG=str(folder))
        assert found == ["acme", "acorn"], line
    by_option = f"{PROGRAM} tests --config {folder} "
    assert complete(shell, by_option) == ["acme", "acorn", "globex"]
    assert complete(shell, f"{PROGRAM} tests ", BRIDGE_CONFIG=str(folder / "none")) == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_words_are_completed(shell: str) -> None:
    """Commands, sub-commands, options and the states of invitations are completed."""
    assert complete(shell, f"{PROGRAM} inv") == ["invitations"]
    assert complete(shell, f"{PROGRAM} invitations ") == ["list", "refresh", "show"]
    assert complete(shell, f"{PROGRAM} dead list --old") == ["--older-than"]
    states = complete(shell, f"{PROGRAM} invitations list --state ")
    assert states == [state.value for state in State]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_given_its_script(shell: str) -> None:
    """Each shell gets a script of its own, which asks the command itself."""
    said = run(_ASSESSMENT_BRIDGE_COMPLETE=f"{shell}_source")
    assert said.code == 0
    assert f"_ASSESSMENT_BRIDGE_COMPLETE={shell}_complete" in said.out


def test_help_and_completion_load_no_server() -> None:
    """Neither help nor completion waits for web servers or PDF, of whatever command."""
    import subprocess
    import sys

    heavy = ("aiohttp", "typst", "marshmallow")
    program = (
        "import sys, click; from bridge.cli import cli\n"
        "for name in cli.list_commands(click.Context(cli)):\n"
        "    cli.get_command(click.Context(cli), name)\n"
        f"print([one for one in {heavy} if one in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
