"""The composition root: the only module that names concrete adapters.

Server, commands and tests share it.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Middleware

from bridge import egress, sweep, worker
from bridge.configuration import Configuration
from bridge.core.links import LinkSigner as Signer
from bridge.equalture.package import EQUALTURE
from bridge.errors import Complaint, ConfigError, NoData, RedisSetupError
from bridge.ports import (
    AssessmentProvider,
    Ats,
    AtsOf,
    Clock,
    Monotonic,
    NewSecret,
    ProviderOf,
    Quarantine,
    RandomFraction,
    Reconciler,
)
from bridge.process_state import CustomersInForce, ProcessState
from bridge.readiness import ReadinessProbe
from bridge.service import Services
from bridge.service.assessments import OfferedAssessments
from bridge.service.commit_loop import CommitLoop
from bridge.service.erasure import Erasure
from bridge.service.invite import Invite
from bridge.service.job_cache import JobCache
from bridge.service.link_access import LinkAccess
from bridge.service.operations import Operations
from bridge.service.provider_events import ProviderEvents
from bridge.service.reports_and_results import ReportsAndResults
from bridge.service.result_refresh import ResultRefresh
from bridge.service.shared_applications import SharedApplications
from bridge.service.status_words import StatusWords
from bridge.service.task_handlers import TaskHandlers
from bridge.settings.daemon import DaemonSettings, WaitSettings
from bridge.settings.loading import fingerprint
from bridge.softgarden.package import SOFTGARDEN
from bridge.store import embedded
from bridge.store.connect import open_client
from bridge.store.encryption import KeyRing
from bridge.store.invitation_store import RedisInvitations
from bridge.store.quarantine import RedisQuarantine
from bridge.store.reconciliation import Reconciliation
from bridge.store.redis_access import RedisAccess, ReplicaWait
from bridge.store.redis_inspection import durability, isolation
from bridge.store.reencryption import Reencryption, Tally
from bridge.store.reference_index import RedisReferenceIndex
from bridge.store.shared_clock import SharedClock, read_times
from bridge.store.status_word_store import RedisStatusWords
from bridge.store.task_queue import RedisTasks
from bridge.store.unserved_customers import RedisUnservedCustomers
from bridge.store.write_probe import WriteProbe
from bridge.sweep import Sweep
from bridge.vendors import Vendors
from bridge.web import admin_guard, health, openapi, result_pages
from bridge.web.app_keys import (
    CUSTOMERS,
    SEEN_CONNECTIONS,
    SERVICES,
    STATE,
    TURNS,
)
from bridge.web.middlewares import error_middleware
from bridge.web.rate_limits import RateLimit, Turns
from bridge.web.routing import Endpoint, add
from bridge.worker import Worker

_NO_DATA = (
    "there is no data at {} (redis.data_dir, of the embedded server): start this where the daemon"
    " is started, or write the whole path into bridge.yaml"
)
_TITLE = "softgarden-Equalture bridge"
_DESCRIPTION = (
    "The assessment provider that softgarden calls, in front of Equalture. "
    "Bodies in and out are JSON; times are ISO-8601 in UTC."
)
VENDORS = Vendors(providers=(EQUALTURE,), ats=(SOFTGARDEN,))
"""The vendors that the bridge works with: a new one is one more here."""
CONFIGURATION = Configuration(VENDORS)
"""How the configuration files are read."""
OUTWARD_CONNECTIONS = 1024
"""Per vendor, for all customers (the daemon: ``sockets``); each has a bound of its own
(``resilience.ALL``).
"""


def utc_now() -> datetime:
    """Now, in whole milliseconds: what the store keeps."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def new_secret() -> str:
    """A fresh secret: 256 bits, URL-safe."""
    return secrets.token_urlsafe(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """What is open while the bridge runs."""

    settings: DaemonSettings
    vendors: Vendors
    services: Services
    commands: RedisAccess
    queue: RedisTasks
    invitations: RedisInvitations
    worker: Worker
    sweep: Sweep
    writes: WriteProbe
    quarantine: Quarantine
    reconciler: Reconciler
    signer: Signer
    absences: RedisUnservedCustomers
    customers: CustomersInForce
    state: ProcessState
    clock: SharedClock | None = None
    fingerprint: str = ""
    """Of ``bridge.yaml`` as it was read; see ``settings.fingerprint``."""

    @property
    def readiness(self) -> ReadinessProbe:
        """Whether this process should get work."""
        return ReadinessProbe(self.state, self.customers, self.writes, self.clock)

    async def agree(self) -> None:
        """Go by the time of the other processes on this Redis from now on, as far as it answers."""
        if self.clock is not None:
            await self.clock.agree(self.worker.hold)

    async def look_at_redis(self) -> tuple[list[str], str | None]:
        """What is not durable about Redis, and what would stop all partitions together.

        Raises ``StoreUnavailable`` where it does not answer.
        """
        await self.commands.ping()
        return await durability(self.commands), await isolation(self.commands)

    async def reencrypt(self) -> dict[str, Tally]:
        """Renew what is encrypted; gives what became of it, or ``ConfigError`` without a key."""
        cipher = key_ring(self.settings)
        if cipher is None:
            message = "there is no key to encrypt with; list one"
            raise ConfigError([Complaint("encryption_keys", 0, 0, message)])
        prefix = self.settings.redis.key_prefix
        return await Reencryption(self.commands, prefix=prefix, cipher=cipher).run()


def key_ring(settings: DaemonSettings) -> KeyRing | None:
    """Encryption at rest, if it is switched on."""
    return KeyRing(settings.encryption_keys) if settings.encryption_keys else None


@contextlib.contextmanager
def _redis_setup() -> Iterator[None]:
    """Name the setting that is to blame where Redis cannot be used as configured."""
    try:
        yield
    except RedisSetupError as error:
        raise ConfigError([Complaint(f"redis.{error.setting}", 0, 0, str(error))]) from None


@contextlib.asynccontextmanager
async def embedded_redis(data_dir: Path) -> AsyncIterator[str]:
    """A Redis of our own that keeps its data in *data_dir*; gives its URL."""
    with _redis_setup():
        async with embedded.running(data_dir) as url:
            yield url


@contextlib.asynccontextmanager
async def open_providers(
    settings: DaemonSettings,
    *,
    vendors: Vendors = VENDORS,
    outward: int = OUTWARD_CONNECTIONS,
    monotonic: Monotonic = time.monotonic,
) -> AsyncIterator[ProviderOf]:
    """The providers alone, for commands that need nothing else."""
    async with egress.session(connections=outward, proxy=_proxy(settings)) as session:
        opened = {one.name: one.open(session, monotonic) for one in vendors.providers}
        yield lambda customer: opened[customer.provider.vendor]


@contextlib.asynccontextmanager
async def _open_ats(
    settings: DaemonSettings, vendors: Vendors, outward: int, monotonic: Monotonic
) -> AsyncIterator[AtsOf]:
    opened: dict[str, Ats] = {}
    async with contextlib.AsyncExitStack() as stack:
        for package in vendors.ats:
            section = getattr(settings, package.name)
            guarded = egress.guarded_session(
                allow_private=package.allows_private(section),
                connections=outward,
                proxy=_proxy(settings),
            )
            session = await stack.enter_async_context(guarded)
            opened[package.name] = package.open(session, section, monotonic)
        yield lambda customer: opened[customer.ats.vendor]


def _proxy(settings: DaemonSettings) -> str | None:
    return settings.proxy.reveal() if settings.proxy else None


@contextlib.asynccontextmanager
async def open_runtime(
    settings: DaemonSettings,
    *,
    clock: Clock | None = None,
    wall: Clock = utc_now,
    monotonic: Monotonic = time.monotonic,
    new_secret: NewSecret = new_secret,
    random_fraction: RandomFraction = random.random,
    provider: AssessmentProvider | None = None,
    vendors: Vendors = VENDORS,
    commands: RedisAccess | None = None,
    fresh: bool = True,
    outward: int = OUTWARD_CONNECTIONS,
) -> AsyncIterator[Runtime]:
    """Open everything that use cases need, and close it in reverse order.

    The worker is wired but not started.

    Without *fresh* an embedded server is opened only where one has kept data before; else
    ``NoData`` is raised. Without a *clock* the time is the one that all processes on this Redis
    agree upon, from when the worker is started; *wall* is this host's own. *outward* bounds the
    connections to each vendor.
    """
    async with contextlib.AsyncExitStack() as stack:
        if commands is None:
            url = settings.redis.url.reveal() if settings.redis.url else None
            if url is None:
                if not fresh and not embedded.holds_data(settings.redis.data_dir):
                    raise NoData(_NO_DATA.format(settings.redis.data_dir.absolute()))
                url = await stack.enter_async_context(embedded_redis(settings.redis.data_dir))
            with _redis_setup():
                commands = await stack.enter_async_context(
                    open_client(url, wait=_wait(settings.redis.wait))
                )
        only = provider
        provider_of = (
            (lambda _: only)
            if only is not None
            else await stack.enter_async_context(
                open_providers(settings, vendors=vendors, outward=outward, monotonic=monotonic)
            )
        )
        ats_of = await stack.enter_async_context(_open_ats(settings, vendors, outward, monotonic))
        # The time of day goes on as it does, also where a demo has hours pass in what a process
        # remembers.
        agreed = (
            SharedClock(partial(read_times, commands), wall=wall, monotonic=time.monotonic)
            if clock is None
            else None
        )
        clock = clock or agreed or wall
        awake = asyncio.Event()
        prefix, retention = settings.redis.key_prefix, settings.retention
        cipher = key_ring(settings)
        store = RedisInvitations(
            commands, prefix=prefix, retention=retention, clock=clock, cipher=cipher
        )
        queue = RedisTasks(commands, prefix=prefix, retention=retention, cipher=cipher, clock=clock)
        reconciler = Reconciliation(commands, prefix=prefix, clock=clock, cipher=cipher)
        signer = Signer(settings.public_url, settings.signing_keys)
        records = CommitLoop(
            store, clock, awake.set, monotonic=monotonic, random_fraction=random_fraction
        )
        assessments = OfferedAssessments(JobCache(provider_of, monotonic=monotonic))
        customers = CustomersInForce(settings.customers)
        words = StatusWords(RedisStatusWords(commands, prefix=prefix, life=retention), clock)
        references = RedisReferenceIndex(commands, prefix=prefix, retention=retention)
        tasks = TaskHandlers(
            records=records,
            queue=queue,
            provider_of=provider_of,
            ats_of=ats_of,
            customers=customers,
            random_fraction=random_fraction,
            new_secret=new_secret,
            words=words,
            references=references,
        )
        events = ProviderEvents(
            records, references, SharedApplications(store, references), customers
        )
        services = Services(
            provider_of=provider_of,
            tests=assessments,
            invitations=Invite(
                records=records,
                provider_of=provider_of,
                ats_of=ats_of,
                assessments=assessments,
                links=signer,
                new_secret=new_secret,
                events=events,
            ),
            results=ReportsAndResults(records, queue, customers, signer),
            events=events,
            links=LinkAccess(
                records=records,
                provider_of=provider_of,
                customers=customers,
                signer=signer,
                max_age=settings.limits.link_max_age,
            ),
            erasure=Erasure(records, tasks, references),
            tasks=tasks,
            records=records,
            operations=Operations(store, queue, clock),
            words=words,
            refreshing=ResultRefresh(records, provider_of, customers),
        )
        yield Runtime(
            settings=settings,
            vendors=vendors,
            services=services,
            commands=commands,
            queue=queue,
            invitations=store,
            worker=Worker(
                tasks, queue, clock, new_secret, awake, agree=agreed.agree if agreed else None
            ),
            clock=agreed,
            sweep=Sweep(reconciler, new_secret()),
            writes=WriteProbe(commands, prefix=prefix, monotonic=monotonic),
            quarantine=RedisQuarantine(commands, prefix),
            reconciler=reconciler,
            signer=signer,
            absences=RedisUnservedCustomers(commands, prefix=prefix),
            customers=customers,
            state=ProcessState(),
            fingerprint=fingerprint(settings.config_dir),
        )


def _wait(settings: WaitSettings) -> ReplicaWait | None:
    waits = settings.replicas > 0 or settings.local_fsync
    return (
        ReplicaWait(settings.replicas, settings.timeout.total_seconds(), settings.local_fsync)
        if waits
        else None
    )


def create_app(runtime: Runtime) -> web.Application:
    """The public listener: everything that vendors, recruiters and candidates call."""
    settings, shown = runtime.settings, result_pages.PageTemplates()
    endpoints = [
        *(
            endpoint
            for package in runtime.vendors.ats
            for endpoint in package.endpoints(
                getattr(settings, package.name),
                runtime.signer,
                RateLimit(settings.limits.requests_per_second),
            )
        ),
        *(
            endpoint
            for package in runtime.vendors.providers
            for endpoint in package.endpoints(runtime.services.records.clock)
        ),
        *result_pages.endpoints(shown),
        *health.endpoints(runtime.readiness.look),
    ]
    product = openapi.Product(_TITLE, _DESCRIPTION, runtime.settings.public_url)
    return _application(runtime, [*endpoints, *openapi.serve(endpoints, shown, product)])


def create_admin_app(runtime: Runtime) -> web.Application:
    """The admin listener: what only operators may see."""
    settings = runtime.settings
    guard = admin_guard.guard((settings.admin_listen.host, *settings.admin_hosts))
    return _application(runtime, health.endpoints(runtime.readiness.look, details=True), guard)


def _application(runtime: Runtime, endpoints: list[Endpoint], *more: Middleware) -> web.Application:
    app = web.Application(middlewares=[error_middleware, *more])
    app[SERVICES] = runtime.services
    app[CUSTOMERS] = runtime.customers
    app[STATE] = runtime.state
    app[SEEN_CONNECTIONS] = set()
    app[TURNS] = Turns()
    add(app, endpoints)
    return app


@contextlib.asynccontextmanager
async def working(
    runtime: Runtime, *, grace_s: float, on_death: Callable[[], None]
) -> AsyncIterator[None]:
    """Have the runtime's worker perform tasks meanwhile, and its sweep look for lost ones."""
    async with (
        worker.running(runtime.worker, grace_s=grace_s, on_death=on_death),
        sweep.running(runtime.sweep),
    ):
        yield
