"""``demo`` and ``sandbox``: the bridge without a vendor at hand."""

from __future__ import annotations

import asyncio
import contextlib
import io
import signal
import sys
import time
from collections.abc import Coroutine
from typing import Any

import click
import uvloop

from bridge.cli import keep as kept
from bridge.cli.journey import Journey
from bridge.cli.options import config_option
from bridge.cli.people import People
from bridge.cli.sample import PUBLIC_CLIENT, add_account
from bridge.cli.screen import Screen
from bridge.cli.stage import Ports, open_stage
from bridge.cli.tape import EQUALTURE, SOFTGARDEN, Tape, heard
from bridge.errors import BridgeError
from bridge.sandbox import Entry, EqualtureSandbox, SoftgardenSandbox

FIXED = Ports(bridge=8080, admin=8081, equalture=8090, softgarden=8091)
"""Where ``--keep`` listens, as far as these are free."""


@click.command()
@click.option("--keep", is_flag=True, help="Leave everything running afterwards, to try by hand.")
@config_option
def demo(keep: bool, config: object) -> None:
    """Play one candidate's journey with both vendors as local fakes."""
    _finish(_demo(keep))


@click.command()
@click.option("--equalture-port", default=8090, show_default=True, type=click.IntRange(0, 65535))
@click.option("--softgarden-port", default=8091, show_default=True, type=click.IntRange(0, 65535))
@config_option
def sandbox(equalture_port: int, softgarden_port: int, config: object) -> None:
    """Run only the two fake vendors, for people who integrate. Port 0 is any free one."""
    _finish(_sandbox(equalture_port, softgarden_port))


def _finish(play: Coroutine[Any, Any, int]) -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # arrows and ticks, where a terminal knows none
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        code = runner.run(play)
    if code:
        raise SystemExit(code)


def _on_signals() -> asyncio.Event:
    """Set by Ctrl-C and SIGTERM."""
    quit_ = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, quit_.set)
    return quit_


async def _demo(keep: bool) -> int:
    began = time.monotonic()
    quit_, tape, screen = _on_signals(), Tape(), Screen()
    screen.text("The bridge between softgarden and Equalture, played with one candidate.", "bold")
    screen.text(
        "Both vendors are fakes on this machine; Redis and the bridge are real. Calls that happened while another"
        " one waited are indented below it. Ids are cut (…), and so are the secrets in links."
    )
    async with (
        open_stage(tape, FIXED if keep else Ports()) as stage,
        People(tape, stage.bridge_url) as people,
    ):
        journey = Journey(stage, screen, tape, people)
        if not await _until(quit_, journey.play()):
            screen.text("\nInterrupted.")
            return 1
        fine = all(check.fine for check in journey.checks)
        screen.text("\nWhat this has shown", "bold")
        screen.checks(journey.checks)
        spent = time.monotonic() - began
        ending = (
            "Everything went as it should"
            if fine
            else "Something did NOT go as it should, see above"
        )
        screen.text(f"\n{ending} ({spent:.1f} s).", "bold green" if fine else "bold red")
        if not fine:
            for line in kept.complaints(stage.log):
                screen.raw(f"   the bridge's log: {line}")
        if keep:
            await kept.offer(stage, screen, people)
            await quit_.wait()
            screen.text("\nStopping.")
    return 0 if fine else 1


async def _sandbox(equalture_port: int, softgarden_port: int) -> int:
    quit_, screen = _on_signals(), Screen()

    def show(vendor: str, entry: Entry) -> None:
        screen.call(heard(vendor, entry))

    equalture = EqualtureSandbox(port=equalture_port, on_call=lambda entry: show(EQUALTURE, entry))
    softgarden = SoftgardenSandbox(
        port=softgarden_port, client_id=PUBLIC_CLIENT, on_call=lambda entry: show(SOFTGARDEN, entry)
    )
    add_account(equalture)
    async with contextlib.AsyncExitStack() as stack:
        for fake, option in ((equalture, "--equalture-port"), (softgarden, "--softgarden-port")):
            try:
                await stack.enter_async_context(fake)
            except OSError as error:
                message = f"port {fake.port} cannot be used ({error.strerror}); choose another one with {option}"
                raise BridgeError(message) from None
        kept.introduce(screen, equalture, softgarden)
        await quit_.wait()
        screen.text("\nStopping.")
    return 0


async def _until(quit_: asyncio.Event, play: Coroutine[Any, Any, object]) -> bool:
    """Run *play* unless somebody wants to go; gives whether it came to its end."""
    playing, leaving = asyncio.create_task(play), asyncio.create_task(quit_.wait())
    try:
        await asyncio.wait((playing, leaving), return_when=asyncio.FIRST_COMPLETED)
        return playing.done()
    finally:
        for task in (playing, leaving):
            task.cancel()
        await asyncio.wait((playing, leaving))
