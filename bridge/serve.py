"""The daemon: two listeners and a worker, until a signal stops it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from aiohttp import web

from bridge import __version__, app, connection_limits, supervisor
from bridge.errors import StoreUnavailable
from bridge.metrics import Metrics
from bridge.ports import Monotonic
from bridge.service_manager import ServiceManager
from bridge.settings.daemon import DaemonSettings, DurabilityPolicy
from bridge.web.app_keys import SEEN_CONNECTIONS
from bridge.web.idle_connections import IdleConnectionReaper
from bridge.web.listener import ListenerRunner

REQUEST_GRACE_S = 20.0
"""How long requests under way may take after SIGTERM; less than the usual 30 s of an orchestrator.
"""
WORKER_GRACE_S = 5.0
LINGER_S = 0.5
"""After SIGTERM: readiness is off, but calls are still accepted, and every answer closes its
connection.

So no caller is cut off.
"""
DRAIN_NOTICE_S = 0.2
"""Then no connections are accepted; those accepted last may still send a request, for as long
again.
"""
_REDIS_POLL_INTERVAL_S = 0.5
_PARENT_POLL_INTERVAL_S = 1.0
_LONGEST_PAUSE_S = 60.0

log = structlog.get_logger()


@dataclass(slots=True)
class StopSignals:
    """The request to stop the daemon, and its exit code."""

    event: asyncio.Event
    code: int = 0

    def request_stop(self, code: int = 0) -> None:
        """Shut down cleanly with this exit code."""
        self.code = self.code or code
        self.event.set()


async def serve(
    settings: DaemonSettings,
    *,
    stop: StopSignals | None = None,
    started: asyncio.Event | None = None,
    signals: bool = True,
    monotonic: Monotonic = time.monotonic,
    listeners: Sequence[socket.socket] = (),
) -> int:
    """Serve until SIGTERM, SIGINT or *stop*; the exit code.

    *started* is set once both listeners accept.

    *signals* False leaves the signals to the caller, which then ends it by *stop*. *monotonic* is
    for the demo, which simulates hours. *listeners*: the public and the admin one, if they listen
    already.
    """
    stop = stop or StopSignals(asyncio.Event())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT) if signals else ():
        loop.add_signal_handler(number, stop.request_stop)
    if signals:
        loop.add_signal_handler(
            signal.SIGHUP, lambda: None
        )  # until there is something to reload; its default is to end us
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGHUP,))  # a supervisor blocks it
    handed_down = supervisor.take_inherited_sockets()
    manager = supervisor.connect_service_manager() if signals else ServiceManager()
    for warning in settings.warnings:
        log.warning("config.warning", text=warning)
    for aside in settings.customers.set_aside.values():
        log.error(
            "config.customer_set_aside",
            customer=aside.key,
            complaints=[str(why) for why in aside.mistakes],
        )
    if settings.customers.set_aside and not len(settings.customers):
        log.error(
            "config.no_usable_customer",
            text="no customer's file can be used; see config.customer_set_aside",
        )
    async with contextlib.AsyncExitStack() as stack:
        if settings.redis.url is None:
            log.info(
                "redis.embedded", data_dir=str(settings.redis.data_dir), text="redis.url is not set"
            )
        shares = connection_limits.allocate_connections(connection_limits.raise_open_file_limit())
        # Before all that has something to trace: so it is closed, and sends its last, after that.
        tracer = await stack.enter_async_context(app.open_tracer(os.environ))
        opened = app.open_runtime(
            settings,
            monotonic=monotonic,
            outward=connection_limits.OutwardConnections(shares.vendor),
            environ=os.environ,
            metrics=Metrics(supervisor.read_metrics_share()),
            tracer=tracer,
        )
        runtime = await stack.enter_async_context(opened)
        await runtime.synchronise_clock()  # before anything is decided by this host's own
        if signals:
            loop.add_signal_handler(signal.SIGHUP, runtime.reload.request_reload)
        on_death = lambda: stop.request_stop(1)  # noqa: E731 - a name for the one line below
        await stack.enter_async_context(
            app.run_background_work(runtime, grace_s=WORKER_GRACE_S, on_death=on_death)
        )
        if settings.redis.require_durable is DurabilityPolicy.REFUSE:
            runtime.state.not_ready_reason = "Whether Redis is durable is not known yet."
        start_background_task(stack, "redis", _inspect_redis(runtime, stop))
        start_background_task(stack, "calls", runtime.calls.run())
        start_background_task(stack, "contacts", runtime.keeper.run())
        start_background_task(stack, "absences", watch_unserved_customers(runtime))
        start_background_task(stack, "reload", runtime.reload.run())
        if handed_down is not None:
            runtime.reload.elsewhere = supervisor.request_reload_of_all
            start_background_task(stack, "parent", _watch_parent(stop))
        listeners = (
            listeners
            or handed_down
            or [
                stack.enter_context(
                    contextlib.closing(
                        await supervisor.wait_for_listening_socket(address, stop.event)
                    )
                )
                for address in (settings.listen, settings.admin_listen)
            ]
        )
        applications = (app.create_app(runtime), app.create_admin_app(runtime))
        each = zip(applications, listeners, (shares.public, shares.admin), strict=True)
        runners = [await _listen(stack, *one) for one in each]
        public, admin = (
            f"{host}:{port}"
            for host, port, *_ in (listener.getsockname() for listener in listeners)
        )
        log.info(
            "daemon.started",
            version=__version__,
            listen=public,
            admin_listen=admin,
            public_url=settings.public_url,
            customers=len(settings.customers),
            set_aside=len(settings.customers.set_aside),
        )
        if signals:
            _spare_garbage_collection()
        if started is not None:
            started.set()
        runtime.reload.began = manager.tell_reloading
        runtime.reload.ended = lambda: manager.tell_ready(_status(runtime))
        runtime.reload.ended()
        start_background_task(stack, "watchdog", manager.keep_alive())
        await stop.event.wait()
        log.info("daemon.stopping")
        manager.tell_stopping()
        runtime.state.draining = True
        await asyncio.sleep(LINGER_S)
        await _stop_accepting(runners, listeners if handed_down is None else ())
    log.info("daemon.stopped", code=stop.code)
    return stop.code


def _spare_garbage_collection() -> None:
    """Have the collector skip all that there is by now, which stays, and look less often at what is
    new.

    Nearly all that a request makes is freed without it. One look at everything takes a tenth of a
    second, in which nobody is answered.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


def _status(runtime: app.Runtime) -> str:
    """What ``systemctl status`` shows."""
    customers = runtime.customers()
    text = f"Serving {len(customers)} customers"
    if customers.set_aside:
        text += f", {len(customers.set_aside)} set aside"
    return f"{text}; the last reload was refused" if runtime.customers.refused else text


async def _listen(
    stack: contextlib.AsyncExitStack,
    application: web.Application,
    listener: socket.socket,
    connections: int,
) -> web.AppRunner:
    runner = ListenerRunner(application, shutdown_timeout=REQUEST_GRACE_S, connections=connections)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    if runner.server is not None:
        start_background_task(
            stack,
            "silence",
            IdleConnectionReaper(runner.server, application[SEEN_CONNECTIONS]).run(),
        )
    await web.SockSite(runner, listener, backlog=supervisor.BACKLOG).start()
    return runner


async def _stop_accepting(
    runners: Sequence[web.AppRunner], listeners: Sequence[socket.socket]
) -> None:
    """Accept no more connections, and give the last ones time to send their request; otherwise they
    would be cut off.
    """
    for listener in listeners:
        listener.listen(0)  # connections in the queue are accepted, but hardly any new ones
    await asyncio.sleep(DRAIN_NOTICE_S)
    for runner in runners:
        for site in tuple(runner.sites):
            await site.stop()
    await asyncio.sleep(DRAIN_NOTICE_S)


def start_background_task(
    stack: contextlib.AsyncExitStack, name: str, watch: Coroutine[Any, Any, None]
) -> None:
    """Run *watch* in the background; if an unexpected error ends it, that is logged."""

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("background_task.died", watch=name, exc_info=error)

    task = asyncio.create_task(watch)
    task.add_done_callback(ended)
    stack.callback(task.cancel)


async def _watch_parent(stop: StopSignals) -> None:
    """End a supervised child whose parent was killed: it would not be restarted, and it holds the
    parent's port.
    """
    while not supervisor.is_orphaned():  # noqa: ASYNC110 - there is no event for it
        await asyncio.sleep(_PARENT_POLL_INTERVAL_S)
    log.error("daemon.orphaned")
    stop.request_stop(1)


async def watch_unserved_customers(runtime: app.Runtime) -> None:
    """At the start, and whenever other customers are served: store whose tasks wait, and make due
    the tasks of customers that are served again.
    """
    pause = _REDIS_POLL_INTERVAL_S
    while True:
        runtime.customers.changed.clear()
        try:
            recalled = await runtime.unserved_customers.update(
                runtime.services.tasks.serves, runtime.services.records.clock()
            )
        except Exception as error:
            if not isinstance(error, StoreUnavailable):  # others log that
                log.exception("unserved_customers.check_failed")
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)
            continue
        if recalled:
            log.info("customers.served_again", tasks=recalled, text="their checks are due now")
        pause = _REDIS_POLL_INTERVAL_S
        await runtime.customers.changed.wait()


async def _inspect_redis(runtime: app.Runtime, stop: StopSignals) -> None:
    """Wait for Redis, then log (or refuse) what is not durable about it."""
    required = runtime.settings.redis.require_durable
    waited = False
    while required is not DurabilityPolicy.OFF:
        try:
            risks, stops_all = await runtime.inspect_redis()
        except StoreUnavailable as error:
            if not waited:
                log.warning("redis.waiting", error=str(error))
            waited = True
            await asyncio.sleep(_REDIS_POLL_INTERVAL_S)
            continue
        if stops_all is not None:
            log.warning("redis.not_isolated", text=stops_all)
        for risk in risks:
            log.warning("redis.not_durable", text=risk, require_durable=required)
        if risks and required is DurabilityPolicy.REFUSE:
            runtime.state.not_ready_reason = f"Redis is not durable: {risks[0]}"
            log.error(
                "redis.refused",
                text="redis.require_durable is refuse; make Redis durable, or set warn",
            )
            stop.request_stop(supervisor.GIVE_UP if supervisor.is_supervised() else 1)
        else:
            runtime.state.not_ready_reason = None
        return
