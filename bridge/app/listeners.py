"""What the two listeners answer."""

from __future__ import annotations

import time

from aiohttp import web
from aiohttp.typedefs import Middleware

from bridge.app.runtime import Runtime
from bridge.app.status_report import StatusReport, StatusSources
from bridge.languages.language import load_all_languages
from bridge.report.renderer import ReportRenderer
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
from bridge.web.calls_endpoint import create_calls_endpoint
from bridge.web.metrics_endpoint import create_metrics_endpoint
from bridge.web.middlewares import error_middleware
from bridge.web.page_templates import PageTemplates
from bridge.web.rate_limits import FairScheduler, RateLimit
from bridge.web.reload_endpoint import create_reload_endpoint
from bridge.web.report_download import create_report_endpoint
from bridge.web.routing import Endpoint, add_endpoints
from bridge.web.status_page import create_status_endpoint

_TITLE = "softgarden-Equalture bridge"
_DESCRIPTION = (
    "The assessment provider that softgarden calls, in front of Equalture. "
    "Bodies in and out are JSON; times are ISO-8601 in UTC."
)


def create_app(runtime: Runtime, renderer: ReportRenderer | None = None) -> web.Application:
    """The public listener: everything that vendors, recruiters and candidates call; *renderer*: who
    makes its reports, if not a process of its own.
    """
    load_all_languages()
    settings, shown = runtime.settings, PageTemplates("sheet.css")
    renderer = renderer or ReportRenderer()
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
        *result_pages.create_result_page_endpoints(shown),
        create_report_endpoint(shown, renderer),
        *start_pages.create_start_page_endpoints(shown),
        *health.create_health_endpoints(runtime.readiness.check),
    ]
    product = openapi.ProductInfo(_TITLE, _DESCRIPTION, runtime.settings.public_url)
    app = _application(runtime, [*endpoints, *openapi.create_openapi_endpoints(endpoints, product)])

    async def close(_: web.Application) -> None:
        await renderer.close()

    app.on_cleanup.append(close)
    return app


def create_admin_app(runtime: Runtime) -> web.Application:
    """The admin listener: what only operators may see."""
    settings, report = runtime.settings, _status_report(runtime)
    guard = admin_guard.create_admin_guard((settings.admin_listen.host, *settings.admin_hosts))
    endpoints = [
        *health.create_health_endpoints(runtime.readiness.check, details=True),
        create_reload_endpoint(runtime.reload.reload_all_processes),
        create_metrics_endpoint(runtime.scrape),
        create_calls_endpoint(runtime.calls.watch),
        create_status_endpoint(report.get_status, report.search),
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
    app = web.Application()
    app[SERVICES] = runtime.services
    app[CUSTOMERS] = runtime.customers
    app[STATE] = runtime.state
    app[METER] = runtime.metrics
    app[OBSERVER] = runtime.observer
    app[SEEN_CONNECTIONS] = set()
    app[FAIR_SCHEDULER] = FairScheduler()
    add_endpoints(app, endpoints, error_middleware, *more)
    for endpoint in endpoints:
        statuses = openapi.list_statuses(endpoint)
        runtime.metrics.expect_requests(endpoint.path, endpoint.method, statuses)
    return app
