"""What the two listeners answer."""

from __future__ import annotations

import time

from aiohttp import web
from aiohttp.typedefs import Middleware

from bridge.app.runtime import Runtime
from bridge.app.status_report import StatusReport, StatusSources
from bridge.web import admin_guard, health, openapi, result_pages, start_pages
from bridge.web.app_keys import (
    CUSTOMERS,
    FAIR_SCHEDULER,
    METER,
    OBSERVER,
    SEEN_CONNECTIONS,
    SERVICES,
    STATE,
)
from bridge.web.calls_endpoint import calls_endpoint
from bridge.web.metrics_endpoint import metrics_endpoint
from bridge.web.middlewares import error_middleware
from bridge.web.page_templates import PageTemplates
from bridge.web.rate_limits import FairScheduler, RateLimit
from bridge.web.reload_endpoint import reload_endpoint
from bridge.web.routing import Endpoint, add
from bridge.web.status_page import status_endpoint

_TITLE = "softgarden-Equalture bridge"
_DESCRIPTION = (
    "The assessment provider that softgarden calls, in front of Equalture. "
    "Bodies in and out are JSON; times are ISO-8601 in UTC."
)


def create_app(runtime: Runtime) -> web.Application:
    """The public listener: everything that vendors, recruiters and candidates call."""
    settings, shown = runtime.settings, PageTemplates()
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
        *start_pages.endpoints(shown),
        *health.endpoints(runtime.readiness.check),
    ]
    product = openapi.Product(_TITLE, _DESCRIPTION, runtime.settings.public_url)
    return _application(runtime, [*endpoints, *openapi.serve(endpoints, shown, product)])


def create_admin_app(runtime: Runtime) -> web.Application:
    """The admin listener: what only operators may see."""
    settings, report = runtime.settings, _status_report(runtime)
    guard = admin_guard.guard((settings.admin_listen.host, *settings.admin_hosts))
    endpoints = [
        *health.endpoints(runtime.readiness.check, details=True),
        reload_endpoint(runtime.reload.everywhere),
        metrics_endpoint(runtime.scrape),
        calls_endpoint(runtime.calls.watch),
        status_endpoint(report.look, report.search),
    ]
    return _application(runtime, endpoints, guard)


def _status_report(runtime: Runtime) -> StatusReport:
    return StatusReport(
        StatusSources(
            settings=runtime.settings,
            vendors=runtime.vendors,
            customers=runtime.customers,
            readiness=runtime.readiness,
            inspect_redis=runtime.inspect_redis,
            store=runtime.invitations,
            queue=runtime.queue,
            quarantine=runtime.quarantine,
            backlog=runtime.backlog,
            contacts=runtime.contacts,
            keeper=runtime.keeper,
            observer=runtime.observer,
            problems=runtime.problems,
            clock=runtime.services.records.clock,
            monotonic=time.monotonic,
        )
    )


def _application(runtime: Runtime, endpoints: list[Endpoint], *more: Middleware) -> web.Application:
    app = web.Application(middlewares=[error_middleware, *more])
    app[SERVICES] = runtime.services
    app[CUSTOMERS] = runtime.customers
    app[STATE] = runtime.state
    app[METER] = runtime.metrics
    app[OBSERVER] = runtime.observer
    app[SEEN_CONNECTIONS] = set()
    app[FAIR_SCHEDULER] = FairScheduler()
    add(app, endpoints)
    for endpoint in endpoints:
        statuses = openapi.statuses(endpoint)
        runtime.metrics.expect_requests(endpoint.path, endpoint.method, statuses)
    return app
