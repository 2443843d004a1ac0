"""What commands share: reading the configuration, opening what an operator works on, and asking
before it is too late.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NoReturn, TypeVar

import click

from bridge import logs, settings
from bridge.app import Runtime, open_runtime
from bridge.cli.options import config_option, json_option, yes_option
from bridge.core.customers import Customer, CustomerDirectory
from bridge.errors import BridgeError, ConfigError
from bridge.settings import Settings
from bridge.settings.rules import suggest
from bridge.store.connect import read_url

__all__ = ["config_option", "json_option", "load", "load_usable", "operate", "yes_option"]

T = TypeVar("T")


def load(config: Path) -> Settings:
    """The settings in *config*, with the log down to warnings on standard error; raises
    ``ConfigError``.
    """
    return _checked(settings.load(config, os.environ))


def load_usable(config: Path, *, signing: bool = True) -> Settings:
    """The same with customers set aside whose files cannot be used; see ``settings.load_usable``."""
    return _checked(settings.load_usable(config, os.environ, signing=signing))


def _checked(loaded: Settings) -> Settings:
    if loaded.redis.url is not None:
        read_url(loaded.redis.url.reveal())
    logs.configure("warning", "console")
    return loaded


def operate(config: Path, act: Callable[[Runtime], Awaitable[T]]) -> T:
    """What *act* gives on what the daemons of this configuration have stored.

    It takes Redis and the keys of what is encrypted there, but no customer's secret. Raises
    ``NoData`` where no daemon has ever kept anything: a command in the wrong folder leaves no
    trace.
    """
    loaded = load_usable(config, signing=False)

    async def run() -> T:
        async with open_runtime(loaded, fresh=False) as runtime:
            await runtime.agree()
            return await act(runtime)

    return asyncio.run(run())


def customer_of(directory: CustomerDirectory, key: str) -> Customer:
    """The customer of this key; raises ``ConfigError`` for one that is set aside, ``BridgeError``
    where there is none.
    """
    if aside := directory.set_aside.get(key):
        raise ConfigError(aside.complaints)
    if customer := directory.get(key):
        return customer
    known = sorted(one.key for one in directory)
    near = suggest(key, known) or f"; configured: {', '.join(known) or 'none'}"
    raise BridgeError(f"there is no customer {key!r}{near}")


async def require_customer(runtime: Runtime, key: str | None) -> None:
    """Bad usage, unless *key* is None or a customer that is configured, set aside, or was once
    served.
    """
    directory = runtime.customers()
    configured = {*(one.key for one in directory), *directory.set_aside}
    if key is None or key in configured:
        return
    stored = await runtime.services.operations.customers()
    if key not in stored:
        _no_such_customer(key, configured | stored)


def _no_such_customer(key: str, known: set[str]) -> NoReturn:
    near = suggest(key, sorted(known)) or f"; known: {', '.join(sorted(known)) or 'none'}"
    raise click.UsageError(f"There is no customer {key!r}{near}")


def agreed(question: str, *, yes: bool) -> bool:
    """Whether to go on with what cannot be undone: on a terminal somebody is asked, scripts know
    what they do.
    """
    if yes or not sys.stdin.isatty():
        return True
    return click.confirm(question, err=True)
