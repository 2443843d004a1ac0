"""Typed keys under which handlers find what they need; imports little, so that no module has to
import ``app``.
"""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from bridge.call_observer import CallObserver
from bridge.core.customers import Customer
from bridge.errors import BridgeError
from bridge.meter import Meter
from bridge.process_state import CustomersInForce, ProcessState
from bridge.service import Services
from bridge.web.rate_limits import FairScheduler

SERVICES = web.AppKey("services", Services)
CUSTOMERS = web.AppKey("customers", CustomersInForce)
STATE = web.AppKey("state", ProcessState)
SEEN_CONNECTIONS: web.AppKey[set[RequestHandler]] = web.AppKey("seen_connections")
METER: web.AppKey[Meter] = web.AppKey("meter")
OBSERVER = web.AppKey("observer", CallObserver)
FAIR_SCHEDULER: web.AppKey[FairScheduler] = web.AppKey("turns")
CUSTOMER = web.RequestKey("customer", Customer)
EXPECTS_BODY = web.RequestKey("expects", bool)


@dataclass(slots=True)
class IncomingCall:
    """What is known of a request that is under way, for its log line and its metrics."""

    request_id: str
    route: str = "unmatched"
    """The template of its path."""
    party: str = "unknown"
    """Who calls: a vendor, or for all others what kind of thing they ask for."""
    failure: BridgeError | None = None
    """Why the answer is not a success; a page does not say it."""
    body_read: bool = False
    """The body was read to its end."""


CALL = web.RequestKey("call", IncomingCall)
