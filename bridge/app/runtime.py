"""Everything that is open while the bridge runs, wired together."""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from types import MappingProxyType

from bridge.app.adapters import OUTWARD_CONNECTIONS, VENDORS, open_ats, open_providers
from bridge.app.alerts import Alerts, AlertSources, open_alerts
from bridge.app.call_stream import CallStream
from bridge.app.contact_keeper import LastContactSaver
from bridge.app.customer_reload import CustomerReload
from bridge.app.metrics_scrape import MetricsScrape
from bridge.app.redis_startup import open_redis
from bridge.call_observer import CallObserver
from bridge.connection_limits import OutwardConnections
from bridge.core.history_chain import derive_history_keys
from bridge.core.links import LinkSigner as Signer
from bridge.errors import ConfigError, ConfigMistake
from bridge.metrics import Metrics
from bridge.ports import (
    AssessmentProvider,
    Clock,
    Monotonic,
    NewSecret,
    Quarantine,
    RandomFraction,
    Reconciler,
)
from bridge.process_state import CustomersInForce, ProcessState
from bridge.readiness import ReadinessProbe
from bridge.recent_problems import RecentProblems, collect_recent_problems
from bridge.service import Services
from bridge.service.assessments import OfferedAssessments
from bridge.service.commit_loop import CommitLoop
from bridge.service.contract_watch import ContractWatch, run_watch_in_background
from bridge.service.erasure import Erasure
from bridge.service.hiring import Hiring
from bridge.service.invite import Invite
from bridge.service.job_cache import JobCache
from bridge.service.link_access import LinkAccess
from bridge.service.lookup import Lookup
from bridge.service.operations import Operations
from bridge.service.provider_events import ProviderEvents
from bridge.service.result_access import ResultAccess
from bridge.service.result_refresh import ResultRefresh
from bridge.service.result_texts import ResultTexts
from bridge.service.shared_applications import SharedApplications
from bridge.service.status_words import StatusWords
from bridge.service.task_handlers import TaskHandlers
from bridge.settings.daemon import DaemonSettings
from bridge.store.backlog import RedisBacklog
from bridge.store.call_exchange import RedisCallExchange
from bridge.store.contract_store import RedisContractStore
from bridge.store.encryption import EncryptionKeyRing
from bridge.store.invitation_store import RedisInvitations
from bridge.store.last_contacts import RedisLastContacts
from bridge.store.quarantine import RedisQuarantine
from bridge.store.reconciliation import Reconciliation
from bridge.store.redis_access import DEADLINE_S, RedisAccess
from bridge.store.redis_inspection import find_durability_risks, find_isolation_risk
from bridge.store.reencryption import Reencryption, ReencryptionCounts
from bridge.store.reference_index import RedisReferenceIndex
from bridge.store.shared_clock import SharedClock, read_server_times
from bridge.store.status_word_store import RedisStatusWords
from bridge.store.task_queue import RedisTasks
from bridge.store.unserved_customers import RedisUnservedCustomers
from bridge.store.write_probe import WriteProbe
from bridge.sweep import Sweep
from bridge.task_handover import TaskHandover
from bridge.tracing import NO_TRACER, Tracer
from bridge.vendors import Vendors
from bridge.worker import Worker


def utc_now() -> datetime:
    """Now, in whole milliseconds: what the store keeps."""
    return datetime.fromtimestamp(time.time_ns() // 1_000_000 / 1000, UTC)


def generate_secret() -> str:
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
    unserved_customers: RedisUnservedCustomers
    customers: CustomersInForce
    state: ProcessState
    contract: ContractWatch
    reload: CustomerReload
    metrics: Metrics
    scrape: MetricsScrape
    backlog: RedisBacklog
    contacts: RedisLastContacts
    keeper: LastContactSaver
    calls: CallStream
    observer: CallObserver
    problems: RecentProblems
    alerts: Alerts
    clock: SharedClock | None = None

    @property
    def readiness(self) -> ReadinessProbe:
        """Whether this process should get work."""
        return ReadinessProbe(self.state, self.customers, self.writes, self.clock)

    async def synchronise_clock(self) -> None:
        """Synchronise with the time of the other processes on this Redis, if it answers."""
        if self.clock is not None:
            await self.clock.synchronise(self.worker.extend_leases_before_clock_step)

    async def inspect_redis(self) -> tuple[list[str], str | None]:
        """What is not durable about Redis, and what would stop all partitions together.

        Raises ``StoreUnavailable`` if it does not answer.
        """
        await self.commands.ping()
        return await find_durability_risks(self.commands), await find_isolation_risk(self.commands)

    async def reencrypt(self) -> dict[str, ReencryptionCounts]:
        """Renew what is encrypted; returns the counts. Raises ``ConfigError`` without a key."""
        cipher = create_key_ring(self.settings)
        if cipher is None:
            message = "there is no key to encrypt with; list one"
            raise ConfigError([ConfigMistake("encryption_keys", 0, 0, message)])
        prefix = self.settings.redis.key_prefix
        return await Reencryption(self.commands, prefix=prefix, cipher=cipher).run()


def create_key_ring(settings: DaemonSettings) -> EncryptionKeyRing | None:
    """Encryption at rest, if it is switched on."""
    return EncryptionKeyRing(settings.encryption_keys) if settings.encryption_keys else None


@contextlib.asynccontextmanager
async def open_runtime(
    settings: DaemonSettings,
    *,
    clock: Clock | None = None,
    wall: Clock = utc_now,
    monotonic: Monotonic = time.monotonic,
    new_secret: NewSecret = generate_secret,
    random_fraction: RandomFraction = random.random,
    provider: AssessmentProvider | None = None,
    vendors: Vendors = VENDORS,
    commands: RedisAccess | None = None,
    fresh: bool = True,
    outward: OutwardConnections = OUTWARD_CONNECTIONS,
    environ: Mapping[str, str] = MappingProxyType({}),
    metrics: Metrics | None = None,
    tracer: Tracer = NO_TRACER,
) -> AsyncIterator[Runtime]:
    """Open everything that use cases need, and close it in reverse order.

    The worker is wired but not started.

    Without *fresh* an embedded server is opened only where one has kept data before; else
    ``NoStoredData`` is raised. Without a *clock* the time is the one that all processes on this
    Redis agree upon, from when the worker is started; *wall* is this host's own. *outward* opens
    the connections to each vendor; *environ* has the variables that a reload puts into files;
    *metrics* are those that this process shares with others; *tracer* gets a span of all it does.
    """
    customers, state = CustomersInForce(settings.customers), ProcessState()
    reload = CustomerReload(settings, customers, state, environ)  # before files can change
    metrics = metrics or Metrics()
    observer = CallObserver(clock or wall, tracer)
    async with contextlib.AsyncExitStack() as stack:
        problems = stack.enter_context(collect_recent_problems())
        if commands is None:
            commands = await stack.enter_async_context(open_redis(settings.redis, fresh=fresh))
        only = provider
        provider_of = (
            (lambda _: only)
            if only is not None
            else await stack.enter_async_context(
                open_providers(
                    settings,
                    vendors=vendors,
                    outward=outward,
                    monotonic=monotonic,
                    meter=metrics,
                    observer=observer,
                )
            )
        )
        ats_of = await stack.enter_async_context(
            open_ats(settings, vendors, outward, monotonic, meter=metrics, observer=observer)
        )
        # The time of day goes on as it does, also where a demo has hours pass in what a process
        # remembers.
        read = partial(read_server_times, commands)
        first = partial(read, within_s=DEADLINE_S)
        agreed = (
            SharedClock(read, wall=wall, monotonic=time.monotonic, read_first=first)
            if clock is None
            else None
        )
        if agreed is not None:
            state.is_time_known = lambda: agreed.is_known
        clock = clock or agreed or wall
        awake, handover = asyncio.Event(), TaskHandover()
        prefix, retention, limits = settings.redis.key_prefix, settings.retention, settings.limits
        shapes = RedisContractStore(commands, prefix=prefix, life=retention)
        contract = ContractWatch(shapes, clock, monotonic=monotonic, meter=metrics)
        await stack.enter_async_context(run_watch_in_background(contract))
        observer.watch_shapes(contract)
        cipher = create_key_ring(settings)
        store = RedisInvitations(
            commands, prefix=prefix, retention=retention, clock=clock, cipher=cipher
        )
        queue = RedisTasks(commands, prefix=prefix, retention=retention, cipher=cipher, clock=clock)
        reconciler = Reconciliation(commands, prefix=prefix, clock=clock, cipher=cipher)
        signer = Signer(settings.public_url, settings.signing_keys)
        backlog = RedisBacklog(commands, prefix=prefix)
        sources = AlertSources(customers, observer, store, queue, backlog, clock)
        alerts = await stack.enter_async_context(open_alerts(settings, commands, sources))
        records = CommitLoop(
            store,
            clock,
            awake.set,
            monotonic=monotonic,
            random_fraction=random_fraction,
            meter=metrics,
            keys=derive_history_keys(settings.signing_keys),
            alerts=alerts,
            taker=handover,
        )
        assessments = OfferedAssessments(JobCache(provider_of, monotonic=monotonic))
        words = StatusWords(RedisStatusWords(commands, prefix=prefix, life=retention), clock)
        references = RedisReferenceIndex(commands, prefix=prefix, retention=retention)
        holders = SharedApplications(store, references)
        events = ProviderEvents(records, references, holders, customers, asyncio.sleep)
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
            events=events,
            meter=metrics,
            tracer=tracer,
            alerts=alerts,
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
                meter=metrics,
            ),
            results=ResultAccess(records, queue, customers, signer, meter=metrics),
            events=events,
            links=LinkAccess(
                records, provider_of, customers, signer, retention, max_age=limits.link_max_age
            ),
            result_texts=ResultTexts(provider_of),
            erasure=Erasure(records, tasks, references),
            hiring=Hiring(records, tasks, asyncio.sleep),
            tasks=tasks,
            records=records,
            operations=Operations(records, queue),
            lookup=Lookup(store, references, customers, signer),
            words=words,
            refreshing=ResultRefresh(records, provider_of, customers),
        )
        contacts = RedisLastContacts(commands, prefix=prefix, life=retention)
        yield Runtime(
            settings=settings,
            vendors=vendors,
            services=services,
            commands=commands,
            queue=queue,
            invitations=store,
            worker=Worker(
                tasks,
                queue,
                clock,
                new_secret,
                awake,
                synchronise_clock=agreed.synchronise if agreed else None,
                handover=handover,
            ),
            clock=agreed,
            sweep=Sweep(reconciler, new_secret()),
            writes=WriteProbe(commands, prefix=prefix, monotonic=monotonic),
            quarantine=RedisQuarantine(commands, prefix),
            reconciler=reconciler,
            signer=signer,
            unserved_customers=RedisUnservedCustomers(commands, prefix=prefix),
            customers=customers,
            state=state,
            contract=contract,
            reload=reload,
            metrics=metrics,
            backlog=backlog,
            contacts=contacts,
            keeper=LastContactSaver(observer.contacts, contacts),
            calls=CallStream(
                observer,
                RedisCallExchange(commands, prefix=prefix, process=new_secret()),
                lambda: state.draining,
            ),
            observer=observer,
            problems=problems,
            alerts=alerts,
            scrape=MetricsScrape(
                metrics,
                backlog,
                customers,
                settings=settings,
                vendors=vendors,
                clock=clock,
                wall=wall,
            ),
        )
