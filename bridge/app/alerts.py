"""Alerts: hears and looks for what somebody must act on, and posts it once to every endpoint.

What use cases report is stored before they commit; what only shows from outside (work that waits,
refused credentials, refused files) is looked for now and then. Posts are tried again until they
arrive or are given up, each endpoint's by themselves, by any process on this Redis.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from bridge import egress
from bridge.alert_poster import TIMEOUT_S, AlertPoster
from bridge.app import alert_words
from bridge.app.adapters import get_proxy
from bridge.call_observer import CallObserver
from bridge.core.incident import (
    AlertPost,
    Incident,
    IncidentKind,
    OpenIncident,
    decide_next_attempt,
)
from bridge.core.queueing import TaskKind
from bridge.errors import StoreUnavailable
from bridge.ports import Clock, InvitationStore, TaskQueue
from bridge.process_state import CustomersInForce
from bridge.service.stocktaking import list_untold_results
from bridge.settings.alert_endpoints import AlertEndpoint, AlertFormat
from bridge.settings.daemon import DaemonSettings
from bridge.store.alert_queue import RedisAlertQueue
from bridge.store.backlog import RedisBacklog
from bridge.store.redis_access import RedisAccess
from bridge.vendor_contacts import Contact

LOOK_EVERY_S = 10.0
"""How often it is looked for what is wrong."""
POLL_S = 1.0
"""How often an endpoint's queue is read: posts that another process queued go out within this."""
POST_LEASE_LIFE = timedelta(seconds=TIMEOUT_S + 4)
"""After that another process posts what a killed one had taken (promised of all work: 15 s)."""
CONNECTIONS = 32
LONGEST_REST_S = 30.0
"""How long an endpoint that takes no posts is left alone at most."""
_LETTERS_LIMIT = 500
"""Dead letters that are looked at; where there are more, none of their alerts is over."""
_SETTLING = timedelta(minutes=1)
"""An alert of a task is stored before its dead letter is."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class AlertSources:
    """What alerts are made of."""

    customers: CustomersInForce
    observer: CallObserver
    store: InvitationStore
    tasks: TaskQueue
    backlog: RedisBacklog
    clock: Clock


class Alerts:
    """``AlertRaiser``, and what runs beside the daemon; without endpoints all of it does nothing.

    *owner* names this process.
    """

    def __init__(
        self,
        settings: DaemonSettings,
        queue: RedisAlertQueue,
        poster: AlertPoster,
        sources: AlertSources,
        *,
        owner: str,
    ) -> None:
        self._endpoints = {_compute_queue_key(one): one for one in settings.alerts}
        self._names = {key: f"alerts[{i}]" for i, key in enumerate(self._endpoints)}
        self._after = settings.alert_after
        self._queue = queue
        self._poster = poster
        self._sources = sources
        self._owner = owner
        self._clock = sources.clock
        self._awake = {key: asyncio.Event() for key in self._endpoints}
        self._reloaded_at = sources.clock()
        self._refused_at: datetime | None = None
        self._reported: dict[Contact, datetime] = {}
        sources.customers.watch(self._note_reload)

    @property
    def keys(self) -> tuple[str, ...]:
        """By what the endpoints' queues are known, in the order of the file."""
        return tuple(self._endpoints)

    async def report_dead_letter(
        self, customer: str, invitation_id: str, kind: TaskKind, reason: str
    ) -> None:
        """See ``AlertRaiser``."""
        await self._try(alert_words.describe_dead_letter(customer, invitation_id, kind, reason))

    async def report_orphan(self, customer: str, invitation_id: str) -> None:
        """See ``AlertRaiser``."""
        await self._try(alert_words.describe_orphan(customer, invitation_id))

    async def report(self, incident: Incident, last_at: datetime | None = None) -> None:
        """Store it, and have it posted unless it was a short time ago; raises
        ``StoreUnavailable``.
        """
        now = self._clock()
        last_at = min(last_at or now, now)  # it may be of another clock
        queued = await self._queue.report(incident, last_at, now, list(self._endpoints))
        if queued is None:
            return
        for event in self._awake.values():
            event.set()
        log.warning(
            "alert.raised", kind=incident.kind, customer=incident.customer, endpoints=queued
        )
        if queued < len(self._endpoints):
            log.error("alert.dropped", text="too many posts wait for an endpoint that takes none")

    async def look(self) -> None:
        """Look once for what is wrong or over; raises ``StoreUnavailable``."""
        if not self._endpoints:
            return
        await self._report_what_was_heard()
        over = [one for one in await self._queue.open_incidents() if self._has_ended(one)]
        await self._queue.end(one.incident for one in over)
        life = timedelta(seconds=LOOK_EVERY_S / 2)
        if await self._queue.claim_look(self._owner, life):
            await self.look_into_store()

    async def look_into_store(self) -> None:
        """The part that one process does for all; raises ``StoreUnavailable``."""
        now, sources = self._clock(), self._sources
        directory = sources.customers()
        backlog = await sources.backlog.count(now, directory.is_configured)
        waiting = [*await self._list_waiting_results(now)]
        overdue = timedelta(seconds=backlog.oldest_due_s)
        if overdue >= self._after:
            waiting.append(alert_words.describe_waiting_work(overdue, directory.set_aside))
        known = await self._queue.open_incidents()
        for incident in waiting:
            await self.report(incident)
        keys = {incident.key for incident in waiting}
        dead = None
        has_letters = any(one.incident.kind is IncidentKind.DEAD_LETTER for one in known)
        if has_letters and not backlog.missing:
            dead = await self._customers_with_dead_letters(sources.tasks)
        over = []
        for one in known:
            kind, customer = one.incident.kind, one.incident.customer
            seen = kind is not IncidentKind.WAITING or one.incident.key in keys or backlog.missing
            removed = dead is not None and customer not in dead and now - one.last_at > _SETTLING
            replayed = kind is IncidentKind.DEAD_LETTER and removed
            if not seen or replayed or one.ends_by_itself(now):
                over.append(one.incident)
            elif one.is_repeated(now):
                await self.report(one.incident)
        await self._queue.end(over)

    async def run(self) -> None:
        """Look and post for as long as the daemon runs."""
        async with asyncio.TaskGroup() as group:
            if self._endpoints:
                group.create_task(self._repeat("look", self._look_and_wait))
            for key in self._endpoints:
                group.create_task(self._repeat(self._names[key], _Delivery(self, key)))

    async def deliver(self, key: str) -> bool | None:
        """Post what is due next for the endpoint of this key; None: nothing is due, False: it
        did not arrive. Raises ``StoreUnavailable``.
        """
        self._awake[key].clear()
        now = self._clock()
        post = await self._queue.take(key, now, now + POST_LEASE_LIFE)
        if post is None:
            return None
        failure = await self._poster.post(self._endpoints[key], post)
        said = {"endpoint": self._names[key], "kind": post.incident.kind, "attempt": post.attempt}
        if not failure:
            await self._queue.finish(key, post)
            log.info("alert.posted", customer=post.incident.customer, **said)
            return True
        again = decide_next_attempt(post, self._clock())
        if again is None:
            await self._queue.finish(key, post)
            log.error("alert.given_up", reason=failure, **said)
        else:
            await self._queue.postpone(key, post, again)
            log.warning("alert.not_posted", reason=failure, **said)
        return False

    async def wait(self, key: str) -> None:
        """Return when something may be due for this endpoint."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(POLL_S):
                await self._awake[key].wait()

    async def _try(self, incident: Incident) -> None:
        if not self._endpoints:
            return
        try:
            await self.report(incident)
        except StoreUnavailable as error:
            log.warning("alert.not_raised", kind=incident.kind, error=str(error))

    async def _look_and_wait(self) -> None:
        await self.look()
        await asyncio.sleep(LOOK_EVERY_S)

    async def _repeat(self, name: str, step: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await step()
            except StoreUnavailable:
                await asyncio.sleep(POLL_S)  # the worker says so
            except Exception:
                log.exception("alert.failed", part=name)
                await asyncio.sleep(LONGEST_REST_S)

    def _note_reload(self) -> None:
        refused = bool(self._sources.customers.refused)
        if refused:
            self._refused_at = self._clock()
        else:
            self._reloaded_at, self._refused_at = self._clock(), None

    async def _report_what_was_heard(self) -> None:
        for contact, at in self._sources.observer.contacts.get_refusal_times().items():
            if self._reported.get(contact) != at:
                await self.report(alert_words.describe_refused_credentials(*contact), at)
                self._reported[contact] = at
        if self._refused_at is not None:
            refused = self._sources.customers.refused
            await self.report(alert_words.describe_refused_reload(len(refused)), self._refused_at)
            self._refused_at = None

    def _has_ended(self, one: OpenIncident) -> bool:
        """As far as this process knows."""
        match one.incident.kind:
            case IncidentKind.UNAUTHORIZED:
                contact = (one.incident.customer, one.incident.about)
                accepted_at = self._sources.observer.contacts.get_acceptance_times().get(contact)
                return accepted_at is not None and accepted_at > one.last_at
            case IncidentKind.RELOAD_REFUSED:
                corrected = not self._sources.customers.refused
                return corrected and self._reloaded_at > one.last_at
            case _:
                return False

    async def _list_waiting_results(self, now: datetime) -> Iterable[Incident]:
        """The one of each customer that has waited for the longest time."""
        sources, directory = self._sources, self._sources.customers()
        found: dict[str, Incident] = {}
        told = await list_untold_results(sources.store, await sources.backlog.list_unnotified())
        for one in sorted(told, key=lambda one: one.since):
            waits = now - one.since >= self._after and directory.is_configured(one.customer)
            if waits and one.customer not in found:
                words = alert_words.describe_waiting_result(
                    one.customer, one.invitation_id, one.since
                )
                found[one.customer] = words
        return found.values()

    @staticmethod
    async def _customers_with_dead_letters(tasks: TaskQueue) -> set[str] | None:
        """None: there are too many to know."""
        found, number = set(), 0
        async for letter in tasks.dead_letters():
            found.add(letter.customer)
            number += 1
            if number >= _LETTERS_LIMIT:
                return None
        return found


@contextlib.asynccontextmanager
async def open_alerts(
    settings: DaemonSettings, commands: RedisAccess, sources: AlertSources
) -> AsyncIterator[Alerts]:
    """Alerts as they are configured."""
    async with _open_poster(settings) as poster:
        prefix = settings.redis.key_prefix
        queue = RedisAlertQueue(commands, prefix=prefix, new_secret=_new_id)
        yield Alerts(settings, queue, poster, sources, owner=_new_id())


async def try_alerts(settings: DaemonSettings) -> list[tuple[str, AlertFormat, str]]:
    """Post a trial to every endpoint, once: its name in the file, its format, and why it did not
    arrive (empty: it did).
    """
    trial = AlertPost(f"alert_{_new_id()}", alert_words.describe_trial(), datetime.now(UTC))
    async with _open_poster(settings) as poster:
        failures = await asyncio.gather(*(poster.post(one, trial) for one in settings.alerts))
    endpoints = zip(settings.alerts, failures, strict=True)
    return [
        (f"alerts[{number}]", endpoint.format, failure)
        for number, (endpoint, failure) in enumerate(endpoints)
    ]


@contextlib.asynccontextmanager
async def _open_poster(settings: DaemonSettings) -> AsyncIterator[AlertPoster]:
    session = egress.create_session(connections=CONNECTIONS, proxy=get_proxy(settings))
    async with session as opened:
        # Posts are signed by this host's time, which is what their receiver has, too.
        yield AlertPoster(opened, lambda: datetime.now(UTC), bridge=settings.public_url)


def _new_id() -> str:
    return secrets.token_urlsafe(16)


class _Delivery:
    """Posts to one endpoint, one post at a time; while it takes none it is left alone."""

    def __init__(self, alerts: Alerts, key: str) -> None:
        self._alerts = alerts
        self._key = key
        self._rest_s = POLL_S

    async def __call__(self) -> None:
        arrived = await self._alerts.deliver(self._key)
        if arrived is False:
            await asyncio.sleep(self._rest_s)
            self._rest_s = min(2 * self._rest_s, LONGEST_REST_S)
            return
        if arrived:
            self._rest_s = POLL_S
        else:
            await self._alerts.wait(self._key)


def _compute_queue_key(endpoint: AlertEndpoint) -> str:
    """By what its queue is known: two processes with the same settings share it."""
    return hashlib.sha256(endpoint.url.reveal().encode()).hexdigest()[:24]
