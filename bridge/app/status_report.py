"""What the status page shows: put together from this process, its log and Redis."""

from __future__ import annotations

import asyncio
import os
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import TypeVar

from bridge import __version__
from bridge.app.contact_keeper import LastContactSaver
from bridge.app.troubles import describe_open_circuit, list_troubles
from bridge.call_observer import CallObserver
from bridge.core.invitation import Invitation, State
from bridge.core.queueing import DeadLetter
from bridge.errors import StoreUnavailable
from bridge.ports import Clock, InvitationStore, Monotonic, Quarantine, TaskQueue
from bridge.process_state import CustomersInForce
from bridge.readiness import ReadinessProbe
from bridge.recent_problems import RecentProblems
from bridge.service.stocktaking import (
    InvitationCounts,
    WaitingResult,
    count_invitations,
    list_untold_results,
)
from bridge.settings.daemon import DaemonSettings
from bridge.settings.masking import compute_settings_digest
from bridge.single_flight import SingleFlight
from bridge.store.backlog import RedisBacklog
from bridge.store.last_contacts import RedisLastContacts
from bridge.vendors import Vendors
from bridge.web.status_page import (
    ConfigurationState,
    CustomerRow,
    OrderRow,
    SearchResult,
    SearchRow,
    Status,
    StoredState,
    VendorRow,
)

KEPT_S = 5.0
"""How long what was read from Redis is shown at least."""
COST_SHARE = 20
"""It is shown for as many times as long as it took to read: so a page that is looked at all the
time takes a twentieth of a process.
"""
STORE_S = 6.0
SEARCH_S = 3.0
_TOGETHER = 50
"""Customers that are searched at once."""
_READ_AT_MOST = 500
"""Dead letters and notes that are read; there may be more."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusSources:
    """Whom the report asks."""

    settings: DaemonSettings
    vendors: Vendors
    customers: CustomersInForce
    readiness: ReadinessProbe
    inspect_redis: Callable[[], Awaitable[tuple[list[str], str | None]]]
    store: InvitationStore
    queue: TaskQueue
    quarantine: Quarantine
    backlog: RedisBacklog
    contacts: RedisLastContacts
    keeper: LastContactSaver
    observer: CallObserver
    problems: RecentProblems
    clock: Clock
    monotonic: Monotonic


@dataclass(frozen=True, slots=True)
class _FromRedis:
    until: float
    stored: StoredState | None = None
    failure: str = ""
    durability: list[str] | None = None
    heard: Mapping[tuple[str, str], datetime] = field(default_factory=dict)


class StatusReport:
    """Reads Redis once for all who look within some seconds."""

    def __init__(self, sources: StatusSources) -> None:
        self._sources = sources
        self._flights: SingleFlight[str, _FromRedis] = SingleFlight()
        self._known: _FromRedis | None = None
        self._searching = asyncio.Lock()
        self._started = self._loaded = sources.clock()
        self._refused_at: datetime | None = None
        self._digest = compute_settings_digest(sources.settings, sources.customers())
        sources.customers.watch(self._note_reload)

    async def get_status(self) -> Status:
        """How everything is now; of what Redis holds, how it was some seconds ago at most."""
        sources, now = self._sources, self._sources.clock()
        known, readiness = await asyncio.gather(self._from_redis(), sources.readiness.check())
        configuration = self._configuration()
        vendors = [one.name for one in sources.vendors.ats]
        vendors += [one.name for one in sources.vendors.providers]
        heard = {**known.heard, **sources.observer.contacts.get_last_contacts()}
        circuits = sources.observer.contacts.list_open_circuits()
        return Status(
            now=now,
            version=__version__,
            process=f"{os.getpid()} on {socket.gethostname()}",
            started=self._started,
            public_url=sources.settings.public_url,
            troubles=list(
                list_troubles(
                    known.stored, known.failure, known.durability, readiness, configuration
                )
            )
            + [describe_open_circuit(one) for one in circuits],
            stored=known.stored,
            store_failure=known.failure,
            durability=known.durability,
            vendors=[
                VendorRow(
                    name=vendor,
                    heard=max(
                        (at for (_, name), at in heard.items() if name == vendor), default=None
                    ),
                    silent=sorted({one.customer for one in circuits if one.vendor == vendor}),
                )
                for vendor in vendors
            ],
            configuration=configuration,
            problems=sources.problems.newest(),
        )

    async def search(self, term: str) -> SearchResult:
        """The invitations for this application of the ATS, or the one with this id."""
        async with self._searching:
            try:
                found, complete = await self._find(term)
            except StoreUnavailable as error:
                return SearchResult(term=term, failure=str(error))
        stored = self._known.stored if self._known is not None else None
        letters = stored.dead if stored is not None else ()
        return SearchResult(
            term=term,
            complete=complete,
            rows=[
                SearchRow(
                    id=one.id,
                    customer=one.customer,
                    test=one.test_name or one.test_id,
                    state=str(one.state),
                    ordered=one.created_at,
                    changed=one.updated_at,
                    dead=[
                        f"{letter.kind}: {letter.reason}"
                        for letter in letters
                        if letter.invitation_id == one.id
                    ],
                )
                for one in found
            ],
        )

    def _note_reload(self) -> None:
        sources = self._sources
        if sources.customers.refused:
            self._refused_at = sources.clock()
            return
        self._loaded, self._refused_at = sources.clock(), None
        self._digest = compute_settings_digest(sources.settings, sources.customers())

    def _configuration(self) -> ConfigurationState:
        sources = self._sources
        customers = sources.customers()
        return ConfigurationState(
            digest=self._digest,
            folder=str(sources.settings.config_dir),
            served=len(customers),
            set_aside=sorted(customers.set_aside),
            loaded=self._loaded,
            refused=sources.customers.refused,
            refused_at=self._refused_at,
            restart_needed=sources.readiness.state.restart_needed,
        )

    async def _from_redis(self) -> _FromRedis:
        known = self._known
        if known is None or self._sources.monotonic() >= known.until:
            known = self._known = await self._flights.run("redis", self._ask_redis)
        return known

    async def _ask_redis(self) -> _FromRedis:
        monotonic = self._sources.monotonic
        begun = monotonic()
        try:
            async with asyncio.timeout(STORE_S):
                await self._sources.keeper.save()
                durability, isolation = await self._sources.inspect_redis()
                heard = await self._sources.contacts.all()
                stored = await self._stored(heard)
        except (StoreUnavailable, TimeoutError) as error:
            failure = str(error) or "Redis is too slow"
            return _FromRedis(monotonic() + KEPT_S, failure=failure)
        took = monotonic() - begun
        return _FromRedis(
            monotonic() + max(KEPT_S, COST_SHARE * took),
            stored,
            durability=[*durability, *([isolation] if isolation else [])],
            heard=heard,
        )

    async def _stored(self, heard: Mapping[tuple[str, str], datetime]) -> StoredState:
        sources, now = self._sources, self._sources.clock()
        backlog = await sources.backlog.count(now, sources.customers().is_configured)
        letters = await _first(sources.queue.dead_letters(), _READ_AT_MOST)
        notes = await _first(sources.quarantine.notes(), _READ_AT_MOST)
        stock = await count_invitations(sources.store, sources.clock, sources.monotonic)
        return StoredState(
            at=now,
            complete=stock.complete and not backlog.missing,
            records=stock.records,
            customers=self._rows(stock, backlog.due_of, letters, heard),
            orders=_orders(stock),
            due=[(str(kind), number) for kind, number in backlog.due.items()],
            oldest_due_s=backlog.oldest_due_s,
            waiting=await self._longest_waiting(stock),
            dead=sorted(letters, key=lambda letter: letter.since, reverse=True),
            dead_count=max(backlog.dead, len(letters)),
            quarantine=sorted(notes, key=lambda note: note.since, reverse=True),
            quarantine_count=max(backlog.quarantined, len(notes)),
        )

    def _rows(
        self,
        stock: InvitationCounts,
        due: dict[str, int],
        letters: Iterable[DeadLetter],
        heard: Mapping[tuple[str, str], datetime],
    ) -> list[CustomerRow]:
        customers = self._sources.customers()
        dead = Counter(letter.customer for letter in letters)
        silent = self._sources.observer.contacts.list_open_circuits()
        served = {one.key: one for one in customers}
        rows = []
        for key in sorted({*served, *customers.set_aside, *stock.customers, *dead}):
            counted, customer = stock.customers[key], served.get(key)
            vendors = [customer.ats.vendor, customer.provider.vendor] if customer else []
            rows.append(
                CustomerRow(
                    key=key,
                    set_aside=customer is None,
                    open=[(str(state), number) for state, number in sorted(counted.open.items())],
                    young=counted.young,
                    older=counted.older,
                    old=counted.old,
                    ordered_today=counted.ordered_today,
                    completed_today=counted.completed_today,
                    due=due.get(key, 0),
                    dead=dead[key],
                    heard=[(vendor, heard.get((key, vendor))) for vendor in vendors],
                    silent=sorted({one.vendor for one in silent if one.customer == key}),
                )
            )
        return rows

    async def _longest_waiting(self, stock: InvitationCounts) -> WaitingResult | None:
        """The result that the ATS has not been told of for the longest time."""
        found = [stock.unconfirmed] if stock.unconfirmed else []
        ids = await self._sources.backlog.list_unnotified()
        found += await list_untold_results(self._sources.store, ids)
        return min(found, key=lambda one: one.since, default=None)

    async def _find(self, term: str) -> tuple[list[Invitation], bool]:
        store, directory = self._sources.store, self._sources.customers()
        one = await store.load(term)
        if one is not None:
            return [one], True
        keys = iter([*(customer.key for customer in directory), *directory.set_aside])
        found: list[Invitation] = []
        deadline = self._sources.monotonic() + SEARCH_S
        while batch := list(islice(keys, _TOGETHER)):
            if self._sources.monotonic() > deadline:
                return found, False
            calls = (store.find_by_application(key, term) for key in batch)
            found += [one for some in await asyncio.gather(*calls) for one in some]
        return found, True


async def _first(items: AsyncIterator[T], limit: int) -> list[T]:
    found = []
    async for item in items:
        found.append(item)
        if len(found) >= limit:
            break
    return found


def _orders(stock: InvitationCounts) -> list[OrderRow]:
    return [
        OrderRow(customer, test, [(str(state), numbers[state]) for state in State])
        for (customer, test), numbers in sorted(stock.orders.items())
    ]
