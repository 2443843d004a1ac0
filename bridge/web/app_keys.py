"""Typed keys under which handlers find what they need; imports little, so that no module has to
import ``app``.
"""

from __future__ import annotations

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
FAILURE = web.RequestKey("failure", BridgeError)
"""Why the answer is not a success, for the log; a page does not say it."""
BODY_READ = web.RequestKey("read", bool)
"""Set if the body was read to its end."""
REQUEST_ID = web.RequestKey("request_id", str)
ROUTE = web.RequestKey("route", str)
PARTY = web.RequestKey("party", str)
"""Who calls: a vendor, or for all others what kind of thing they ask for."""
