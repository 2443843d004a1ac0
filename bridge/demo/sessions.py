"""What ``assessment-bridge demo`` and ``assessment-bridge sandbox`` run, until they end or are
ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time

from bridge.demo import demo_config, hints
from bridge.demo.environment import open_demo_environment
from bridge.demo.journey import Journey
from bridge.demo.terminal import Terminal
from bridge.errors import BridgeError
from bridge.sandbox import EqualtureSandbox, SandboxClock, SoftgardenSandbox
from bridge.sandbox_page import add_sandbox_page

KEPT_PORTS = (8080, 8081, 8090, 8091)
"""Where ``--keep`` listens, as far as these are free; see ``open_demo_environment``."""


async def play_demo(*, keep: bool) -> int:
    """Play the journey; with *keep* leave everything running afterwards. The exit code."""
    began = time.monotonic()
    interrupted, terminal = _interruption(), Terminal()
    terminal.text("The bridge between softgarden and Equalture, played with one candidate.", "bold")
    terminal.text(
        "Both vendors are fakes on this machine; Redis and the bridge are real. Calls that"
        " happened while another one waited are indented below it. Ids are cut (…),"
        " and so are the secrets in links."
    )
    async with open_demo_environment(KEPT_PORTS if keep else (0, 0, 0, 0)) as environment:
        journey = Journey(environment, terminal)
        playing = asyncio.create_task(journey.play())
        leaving = asyncio.create_task(interrupted.wait())
        await asyncio.wait((playing, leaving), return_when=asyncio.FIRST_COMPLETED)
        leaving.cancel()
        if not playing.done():
            playing.cancel()
            await asyncio.wait((playing,))
            terminal.text("\nInterrupted.")
            return 1
        fine = all(check.fine for check in journey.checks)
        terminal.text("\nWhat this has shown", "bold")
        terminal.checks(journey.checks)
        spent = f"({time.monotonic() - began:.1f} s)"
        if fine:
            terminal.text(f"\nEverything went as it should {spent}.", "bold green")
        else:
            terminal.text(f"\nSomething did NOT go as it should, see above {spent}.", "bold red")
            for line in hints.read_log_problems(environment.log):
                terminal.lines(f"   the bridge's log: {line}")
        if keep:
            lines = await hints.write_environment_hints(environment)
            terminal.text("\nEverything goes on running. Try it by hand", "bold")
            terminal.lines(lines)
            terminal.text("\nCtrl-C ends it, and clears everything away.")
            await interrupted.wait()
            terminal.text("\nStopping.")
    return 0 if fine else 1


async def run_sandbox(
    equalture_port: int, softgarden_port: int, bridge: tuple[str, str] | None
) -> int:
    """Run the two fakes until Ctrl-C or SIGTERM; the exit code.

    *bridge*: URL and bearer token of one that softgarden uses from the beginning.
    Raises ``BridgeError`` for a port that is taken.
    """
    interrupted, terminal = _interruption(), Terminal()
    clock = SandboxClock()
    equalture = EqualtureSandbox(port=equalture_port, clock=clock, on_call=terminal.call)
    softgarden = SoftgardenSandbox(
        port=softgarden_port,
        clock=clock,
        client_id=demo_config.PUBLIC_CLIENT,
        read_results="after",
        on_call=terminal.call,
    )
    demo_config.add_demo_account(equalture)
    add_sandbox_page(equalture, softgarden)
    if bridge is not None:
        softgarden.connect(*bridge)
    async with contextlib.AsyncExitStack() as stack:
        for fake, option in ((equalture, "--equalture-port"), (softgarden, "--softgarden-port")):
            try:
                await stack.enter_async_context(fake)
            except OSError as error:
                message = f"port {fake.port} cannot be used ({error.strerror})"
                raise BridgeError(f"{message}; choose another one with {option}") from None
        terminal.text("Two fake vendors, for a bridge of yours", "bold")
        terminal.lines(hints.write_sandbox_hints(equalture, softgarden))
        terminal.text("\nCalls are listed below; Ctrl-C ends it.\n")
        await interrupted.wait()
        terminal.text("\nStopping.")
    return 0


def _interruption() -> asyncio.Event:
    """Set by Ctrl-C and SIGTERM."""
    interrupted = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, interrupted.set)
    return interrupted
