"""The composition root: the only package that names concrete adapters.

Server, commands, demo and tests share it. A new vendor is one more in ``adapters.VENDORS``.
"""

from bridge.app import onboarding
from bridge.app.adapters import CONFIGURATION, VENDORS, open_providers
from bridge.app.listeners import create_admin_app, create_app
from bridge.app.redis_startup import embedded_redis
from bridge.app.runtime import Runtime, open_runtime, utc_now, working
from bridge.app.tracer_choice import open_tracer
from bridge.softgarden.doctor import examine
from bridge.softgarden.examination import Examination, Finding

__all__ = [
    "CONFIGURATION",
    "VENDORS",
    "Examination",
    "Finding",
    "Runtime",
    "create_admin_app",
    "create_app",
    "embedded_redis",
    "examine",
    "onboarding",
    "open_providers",
    "open_runtime",
    "open_tracer",
    "utc_now",
    "working",
]
