"""softgarden's vendor object, which ``app`` uses."""

from __future__ import annotations

import aiohttp

from bridge.call_observer import CallObserver
from bridge.core.callback_urls import CallbackUrlPolicy
from bridge.core.links import LinkSigner
from bridge.meter import Meter
from bridge.ports import Ats, Monotonic
from bridge.softgarden import request_shapes
from bridge.softgarden.handlers import create_softgarden_endpoints
from bridge.softgarden.notifier import OPERATION, SoftgardenNotifier
from bridge.softgarden.schemas import AnswerFormat
from bridge.softgarden.settings import SoftgardenAccount, SoftgardenSettings
from bridge.vendors import AtsPackage, VendorSection
from bridge.web.rate_limits import RateLimit
from bridge.web.routing import Endpoint


def _open(
    session: aiohttp.ClientSession,
    settings: SoftgardenSettings,
    monotonic: Monotonic,
    meter: Meter,
    observer: CallObserver,
) -> Ats:
    hosts = "softgarden.callback_hosts"
    return Ats(
        SoftgardenNotifier(
            session, settings.timeout, monotonic=monotonic, meter=meter, observer=observer
        ),
        CallbackUrlPolicy(settings.callback_hosts, settings.allow_insecure, hosts),
        settings.retry,
    )


def _endpoints(settings: SoftgardenSettings, links: LinkSigner, limit: RateLimit) -> list[Endpoint]:
    return create_softgarden_endpoints(AnswerFormat(settings.tests_format), links, limit)


SOFTGARDEN = AtsPackage(
    access=SoftgardenAccount,
    access_doc="This customer's softgarden.",
    settings=VendorSection(
        SoftgardenSettings, "Notifying softgarden, and the list of tests that it gets."
    ),
    allows_private=lambda settings: settings.allow_insecure,
    open=_open,
    endpoints=_endpoints,
    operations=(OPERATION,),
    requests=request_shapes.REQUESTS,
)
