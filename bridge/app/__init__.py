"""The composition root: the only package that names concrete adapters.

Server, commands, demo and tests share it. A new vendor is one more in ``adapters.VENDORS``. What it
offers is imported once it is used: help and completion of a command need none of it, and it takes
ten times as long as they do.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bridge.app import onboarding
    from bridge.app.adapters import CONFIGURATION, VENDORS, open_providers
    from bridge.app.alerts import try_alerts
    from bridge.app.background_work import run_background_work
    from bridge.app.listeners import create_admin_app, create_app
    from bridge.app.preview import preview_results
    from bridge.app.redis_startup import read_stored_texts, run_embedded_redis
    from bridge.app.runtime import Runtime, open_runtime, utc_now
    from bridge.app.tracer_choice import open_tracer
    from bridge.softgarden.doctor import examine_deployed_bridge
    from bridge.softgarden.examination import CheckResult, Examination

__all__ = [
    "CONFIGURATION",
    "VENDORS",
    "CheckResult",
    "Examination",
    "Runtime",
    "create_admin_app",
    "create_app",
    "examine_deployed_bridge",
    "onboarding",
    "open_providers",
    "open_runtime",
    "open_tracer",
    "preview_results",
    "read_stored_texts",
    "run_background_work",
    "run_embedded_redis",
    "try_alerts",
    "utc_now",
]

_PLACES = {
    **dict.fromkeys(("CONFIGURATION", "VENDORS", "open_providers"), "bridge.app.adapters"),
    **dict.fromkeys(("create_admin_app", "create_app"), "bridge.app.listeners"),
    "preview_results": "bridge.app.preview",
    **dict.fromkeys(("read_stored_texts", "run_embedded_redis"), "bridge.app.redis_startup"),
    **dict.fromkeys(("Runtime", "open_runtime", "utc_now"), "bridge.app.runtime"),
    "try_alerts": "bridge.app.alerts",
    "run_background_work": "bridge.app.background_work",
    "open_tracer": "bridge.app.tracer_choice",
    "examine_deployed_bridge": "bridge.softgarden.doctor",
    **dict.fromkeys(("CheckResult", "Examination"), "bridge.softgarden.examination"),
}


def __getattr__(name: str) -> Any:
    if name == "onboarding":
        return import_module("bridge.app.onboarding")
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
