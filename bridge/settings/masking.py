"""The effective configuration for display: as in the files, with every secret as ``***``."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import timedelta
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

from bridge.core.customers import Customer, CustomerDirectory, Secret
from bridge.core.declaration import declared_settings
from bridge.core.redaction import MASK
from bridge.settings.daemon import DaemonSettings
from bridge.settings.durations import format_duration
from bridge.settings.rules import ListenAddress


def mask_settings(settings: DaemonSettings) -> dict[str, Any]:
    """The configuration as plain data (dict, list, str, int, bool, None), ready for JSON and YAML.

    Names and shapes are those of the files; ``customers`` maps keys to customers, defaults merged
    in. Secrets and keys are ``***``, left-out secrets None. Digests of tokens are shown, as in the
    file.
    """
    names = dict.fromkeys(
        [*declared_settings(type(settings)), *(one.name for one in fields(settings))]
    )
    return {name: convert_to_plain_data(getattr(settings, name)) for name in names}


def compute_settings_digest(settings: DaemonSettings, customers: CustomerDirectory) -> str:
    """A short digest of the configuration in force, to compare daemons: made of what ``masked``
    shows, so that it reveals no secret, and of the customers that are set aside.
    """
    shown = mask_settings(replace(settings, customers=customers)), sorted(customers.set_aside)
    return sha256(orjson.dumps(shown, option=orjson.OPT_SORT_KEYS)).hexdigest()[:12]


def convert_to_plain_data(value: Any) -> Any:
    """One value (a setting, or a dataclass of them) as it would be written in a file."""
    match value:
        case Secret() | bytes():
            return MASK
        case timedelta():
            return format_duration(value)
        case Path() | ListenAddress() | StrEnum():
            return str(value)
        case CustomerDirectory():
            return {customer.key: convert_to_plain_data(customer) for customer in value}
        case Customer():
            vendors = {
                one.vendor: convert_to_plain_data(one) for one in (value.ats, value.provider)
            }
            return {
                **vendors,
                **{
                    name: convert_to_plain_data(getattr(value, name))
                    for name in declared_settings(Customer)
                },
            }
        case frozenset():
            return sorted(value)
        case tuple():
            return [convert_to_plain_data(one) for one in value]
        case None | str() | int():
            return value
        case _:
            return {
                name: convert_to_plain_data(getattr(value, name))
                for name in declared_settings(type(value))
            }
