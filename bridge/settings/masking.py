"""The effective configuration for people to read: as in the files, with every secret as ``***``."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from bridge.core.customers import CustomerDirectory, Secret
from bridge.core.redaction import MASK
from bridge.settings.daemon import Address, Settings
from bridge.settings.durations import format_duration


def masked(settings: Settings) -> dict[str, Any]:
    """The configuration as plain data (dict, list, str, int, bool, None), ready for JSON and YAML.

    Names and shapes are those of the files; ``customers`` maps keys to customers, defaults merged
    in. Secrets and keys are ``***``, left-out secrets None. Digests of tokens are shown: they are
    what stands in the file.
    """
    return {field.name: plain(getattr(settings, field.name)) for field in fields(settings)}


def plain(value: Any) -> Any:
    """One value (a setting, or a dataclass of them) as it would stand in a file."""
    match value:
        case Secret() | bytes():
            return MASK
        case timedelta():
            return format_duration(value)
        case Path() | Address():
            return str(value)
        case CustomerDirectory():
            return {
                customer.key: {
                    name: inner for name, inner in plain(customer).items() if name != "key"
                }
                for customer in value
            }
        case frozenset():
            return sorted(value)
        case tuple():
            return [plain(one) for one in value]
        case _ if is_dataclass(value):
            return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
        case _:
            return value
