"""The vendors, and how their clients are opened."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator

from bridge import egress
from bridge.call_observer import CallObserver
from bridge.configuration import Configuration
from bridge.connection_limits import OutwardConnections
from bridge.equalture.package import EQUALTURE
from bridge.meter import NO_METER, Meter
from bridge.ports import (
    Ats,
    AtsOf,
    Monotonic,
    ProviderOf,
)
from bridge.settings.daemon import DaemonSettings
from bridge.softgarden.package import SOFTGARDEN
from bridge.vendors import Vendors

VENDORS = Vendors(providers=(EQUALTURE,), ats=(SOFTGARDEN,))
"""The vendors that the bridge works with: a new one is one more here."""
CONFIGURATION = Configuration(VENDORS)
"""How the configuration files are read."""
OUTWARD_CONNECTIONS = OutwardConnections(1024)
"""Per vendor, for all customers (the daemon: ``sockets``); each has a bound of its own
(``resilience.ALL``).
"""


@contextlib.asynccontextmanager
async def open_providers(
    settings: DaemonSettings,
    *,
    vendors: Vendors = VENDORS,
    outward: OutwardConnections = OUTWARD_CONNECTIONS,
    monotonic: Monotonic = time.monotonic,
    meter: Meter = NO_METER,
    observer: CallObserver | None = None,
) -> AsyncIterator[ProviderOf]:
    """The providers alone, for commands that need nothing else."""
    async with egress.create_session(
        connections=outward.limit, proxy=get_proxy(settings), connect=outward.connect
    ) as session:
        watched = observer or CallObserver()
        opened = {
            one.name: one.open(session, monotonic, meter, watched) for one in vendors.providers
        }
        yield lambda customer: opened[customer.provider.vendor]


@contextlib.asynccontextmanager
async def open_ats(
    settings: DaemonSettings,
    vendors: Vendors,
    outward: OutwardConnections,
    monotonic: Monotonic,
    *,
    meter: Meter,
    observer: CallObserver,
) -> AsyncIterator[AtsOf]:
    """Every ATS, each with a session that reaches only allowed hosts."""
    opened: dict[str, Ats] = {}
    async with contextlib.AsyncExitStack() as stack:
        for package in vendors.ats:
            section = getattr(settings, package.name)
            guarded = egress.create_guarded_session(
                allow_private=package.allows_private(section),
                connections=outward.limit,
                proxy=get_proxy(settings),
                connect=outward.connect,
            )
            session = await stack.enter_async_context(guarded)
            opened[package.name] = package.open(session, section, monotonic, meter, observer)
        yield lambda customer: opened[customer.ats.vendor]


def get_proxy(settings: DaemonSettings) -> str | None:
    """The proxy that calls to the outside go through."""
    return settings.proxy.reveal() if settings.proxy else None
