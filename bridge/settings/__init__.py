"""The configuration: YAML files and the environment in, one frozen *Settings* out, or every
complaint at once.

What is named here is imported when it is first asked for: ``healthcheck`` needs one value of one
file every few seconds, and must not pay for all of the schemas each time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bridge.settings.loading import (
        Settings,
        fingerprint,
        load,
        load_customers,
        load_daemon,
        load_usable,
        masked,
    )

__all__ = [
    "Settings",
    "fingerprint",
    "load",
    "load_customers",
    "load_daemon",
    "load_usable",
    "masked",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(name)
    return getattr(import_module("bridge.settings.loading"), name)
