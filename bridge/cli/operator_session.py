"""What commands share: the configuration, the stored data, and confirmation of irreversible
actions.
"""

from __future__ import annotations

import asyncio
import functools
import os
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

import click

from bridge import app, logs
from bridge.cli.options import config_option
from bridge.core.customers import Customer, CustomerDirectory
from bridge.core.declaration import suggest_similar_word
from bridge.errors import BridgeError, ConfigError, ConfigMistake
from bridge.settings.daemon import DaemonSettings

P = ParamSpec("P")


def load_settings(config: Path) -> DaemonSettings:
    """The settings in *config*; the log is down to warnings. Raises ``ConfigError``."""
    return _checked(app.CONFIGURATION.load(config, os.environ))


def load_usable_settings(
    config: Path, *, signing: bool = True, environ: Mapping[str, str] = os.environ
) -> DaemonSettings:
    """The same with unusable customers set aside; without *signing* keys no links are made."""
    return _checked(app.CONFIGURATION.load(config, environ, strict=False, signing=signing))


def _checked(loaded: DaemonSettings) -> DaemonSettings:
    logs.configure_logging("warning", "console")
    return loaded


def run_on_stored_data(
    command: Callable[Concatenate[app.Runtime, P], Awaitable[None]],
) -> Callable[..., None]:
    """Have *command* work on what the daemons of ``--config`` have stored.

    It takes Redis and the keys of what is encrypted there, but no customer's secret. Signing keys
    are used where there are any: without, what it writes into a history is unsigned. Raises
    ``NoStoredData`` where no daemon has ever kept anything: a command in the wrong folder leaves no
    trace.
    """

    @config_option
    @functools.wraps(command)
    def run(config: Path, **arguments: Any) -> None:
        try:
            loaded = load_usable_settings(config)
        except ConfigError:
            loaded = load_usable_settings(config, signing=False)

        async def work() -> None:
            async with app.open_runtime(loaded, fresh=False) as runtime:
                await runtime.synchronise_clock()
                await command(runtime, **arguments)  # type: ignore[call-arg]

        asyncio.run(work())

    return run


def require_signing_keys(runtime: app.Runtime) -> tuple[bytes, ...]:
    """The keys that histories and evidence are signed with; raises ``ConfigError`` without any."""
    if not runtime.settings.signing_keys:
        message = "they cannot be used, and nothing can be verified or signed without them"
        raise ConfigError([ConfigMistake("signing_keys", 0, 0, message)])
    return runtime.settings.signing_keys


def require_usable_customer(directory: CustomerDirectory, key: str) -> Customer:
    """The customer of this key.

    Raises ``ConfigError`` for one that is set aside, ``BridgeError`` where there is none.
    """
    if unusable := directory.set_aside.get(key):
        raise ConfigError(unusable.mistakes)
    if customer := directory.get(key):
        return customer
    known = [customer.key for customer in directory]
    raise BridgeError(f"there is no customer {key!r}{_known(key, known, 'configured')}")


async def check_customer_name(runtime: app.Runtime, key: str | None) -> None:
    """Bad usage, unless *key* is None or a customer that is configured, set aside, or was once
    served.
    """
    directory = runtime.customers()
    configured = {*(customer.key for customer in directory), *directory.set_aside}
    if key is None or key in configured:
        return
    stored = await runtime.services.operations.customers()
    if key not in stored:
        known = _known(key, configured | stored, "known")
        raise click.UsageError(f"There is no customer {key!r}{known}")


def _known(key: str, known: Iterable[str], word: str) -> str:
    names = sorted(known)
    return suggest_similar_word(key, names) or f"; {word}: {', '.join(names) or 'none'}"


def ask_for_confirmation(question: str, *, yes: bool) -> bool:
    """Whether to go on with an irreversible action; asks only on a terminal."""
    return yes or not sys.stdin.isatty() or click.confirm(question, err=True)
