"""``tail``: the running daemon's calls in both directions, live."""

from __future__ import annotations

import http.client
import os
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click
import orjson
from rich.console import Console
from rich.text import Text

from bridge.cli.options import config_option, customer_option, json_option
from bridge.errors import BridgeError
from bridge.settings.listen import read_admin_address

_SILENCE_S = 15.0
"""The daemon says something every two seconds."""
_BRIDGE = "bridge"
_COLOURS = {"softgarden": "green", _BRIDGE: "bold cyan", "equalture": "magenta"}
_PEOPLE = "yellow"
_WIDE = 110
"""Columns that a line takes, about."""


@click.command()
@customer_option("Only this customer's calls.")
@json_option
@config_option
def tail(config: Path, customer: str | None, as_json: bool) -> None:
    """Show the running daemon's calls in both directions as they end, until Ctrl-C.

    Of all its workers, and of every daemon on the same Redis; those of other processes may come a
    second late. No names, no secrets. It asks the admin listener of this machine.

    \b
    assessment-bridge tail --customer acme
    assessment-bridge tail --json | jq 'select(.status >= 400)'
    """
    console = Console(highlight=False)
    narrow = console.is_terminal and console.width < _WIDE
    try:
        for line in _lines(config, customer):
            if as_json:
                click.echo(line)
            else:
                console.print(format_call(orjson.loads(line), narrow=narrow), soft_wrap=True)
            sys.stdout.flush()
    except KeyboardInterrupt:
        return
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def format_call(call: dict[str, Any], *, narrow: bool = False) -> Text:
    """A call as one line: when, who called whom, what, how it went, whose it was; *narrow*: in
    lines of their own.
    """
    party = str(call["party"])
    pair = [party, _BRIDGE] if call["direction"] == "in" else [_BRIDGE, party]
    status, code = call.get("status"), str(call.get("code", ""))
    fine = not code and status is not None and status < 400
    at = datetime.fromisoformat(call["at"]).astimezone()
    head = Text.assemble((f"{at:%H:%M:%S}  ", "dim"))
    for number, name in enumerate(pair):
        head.append(" → " if number else "").append(name, _COLOURS.get(name, _PEOPLE))
    what = Text(f"{call.get('method', '')} {call['operation']}".strip(), "bold")
    outcome = Text.assemble(
        (f"{status or 'none':>4}", "green" if fine else "red"), (f"{call['ms']:>8.0f} ms", "dim")
    )
    whose = Text(" ".join(str(call[one]) for one in ("customer", "invitation_id") if one in call))
    reason = f": {call['reason']}" if call.get("reason") else ""
    why = Text(f"{code}{reason}", "red")
    if narrow:
        below = [part for part in (what, whose, why) if part.plain]
        return Text("\n          ").join([Text.assemble(head, "  ", outcome), *below])
    head.pad_right(max(1, 34 - len(head)))
    what.pad_right(max(0, 48 - len(what)))
    return Text("  ").join([head + what, outcome, whose, *([why] if why.plain else [])])


def _lines(config: Path, customer: str | None) -> Iterator[bytes]:
    place = read_admin_address(config, os.environ)
    connection = http.client.HTTPConnection(place.host, place.port, timeout=_SILENCE_S)
    query = f"?customer={quote(customer, safe='')}" if customer else ""
    try:
        try:
            connection.request("GET", f"/-/calls{query}")
            response = connection.getresponse()
        except OSError as error:
            msg = f"nobody answers at http://{place}: is the daemon of this configuration running?"
            raise BridgeError(msg) from error
        if response.status == 400:
            raise click.UsageError(_refusal(response))
        if response.status != 200:
            raise BridgeError(_refusal(response))
        while line := response.readline():
            if line.strip():
                yield line.strip()
    except (OSError, http.client.HTTPException) as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise BridgeError("the daemon has gone") from error
    finally:
        connection.close()
    raise BridgeError("the daemon has ended this: it stops, or more came than could be shown")


def _refusal(response: http.client.HTTPResponse) -> str:
    try:
        return str(orjson.loads(response.read(10_000))["detail"])
    except (ValueError, KeyError, TypeError):
        return f"the admin listener answers {response.status}: it is of another version"
