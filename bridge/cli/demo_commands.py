"""``demo`` and ``sandbox``: the bridge without access to a vendor."""

from __future__ import annotations

import asyncio
import io
import re
import sys
from collections.abc import Coroutine
from typing import Any

import click
import uvloop

from bridge.cli.options import config_option

_PORT = click.IntRange(0, 65535)


@click.command()
@click.option("--keep", is_flag=True, help="Leave everything running afterwards, to try by hand.")
@config_option
def demo(keep: bool, config: object) -> None:
    """Play one candidate's journey with both vendors as local fakes.

    \b
    assessment-bridge demo
    assessment-bridge demo --keep
    """
    from bridge.demo.sessions import play_demo  # here, so that help does not wait for it

    _run(play_demo(keep=keep))


@click.command()
@click.option("--equalture-port", default=8090, show_default=True, type=_PORT)
@click.option("--softgarden-port", default=8091, show_default=True, type=_PORT)
@click.option("--bridge-url", metavar="URL", help="A bridge that softgarden uses at once.")
@click.option(
    "--token",
    metavar="T",
    envvar="BRIDGE_SANDBOX_TOKEN",
    help="Its customer's bearer token (or BRIDGE_SANDBOX_TOKEN, which no process list shows).",
)
@config_option
def sandbox(
    equalture_port: int,
    softgarden_port: int,
    *,
    bridge_url: str | None,
    token: str | None,
    config: object,
) -> None:
    """Run only the two fake vendors, for people who integrate. Port 0 is any free one.

    \b
    assessment-bridge sandbox
    assessment-bridge sandbox --bridge-url http://127.0.0.1:8080 --token ...

    Its page, to play both by hand, is at the printed address; a bridge may also be connected there.
    """
    from bridge.demo.sessions import run_sandbox  # here, so that help does not wait for it

    if bridge_url is None:
        _run(run_sandbox(equalture_port, softgarden_port, None))
        return
    if token is None:
        raise click.UsageError("--bridge-url needs --token, too (or BRIDGE_SANDBOX_TOKEN)")
    if not re.fullmatch(r"https?://[^/\s]\S*", bridge_url):
        raise click.BadParameter("is no absolute http(s) URL", param_hint="--bridge-url")
    if not re.fullmatch(r"[!-~]+", token):
        raise click.BadParameter("has to be one word of visible characters", param_hint="--token")
    _run(run_sandbox(equalture_port, softgarden_port, (bridge_url, token)))


def _run(session: Coroutine[Any, Any, int]) -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(
            errors="replace"
        )  # arrows and ticks, if the terminal's encoding lacks them
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.exit(runner.run(session))
