"""The configuration files as a whole: the sections of the daemon, and those of the vendors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.core.customers import Customer, CustomerDirectory
from bridge.core.declaration import setting
from bridge.equalture.settings import EqualtureAccess, EqualtureSettings
from bridge.settings import customers, loading
from bridge.settings.daemon import DaemonSettings
from bridge.settings.json_schema import json_schema
from bridge.settings.table import settings_table
from bridge.softgarden.settings import SoftgardenAccess, SoftgardenSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(DaemonSettings):
    """``bridge.yaml`` as a whole."""

    equalture: EqualtureSettings = setting("Equalture's API: defaults for every customer.")
    softgarden: SoftgardenSettings = setting(
        "Notifying softgarden, and the list of tests that it gets.", default=SoftgardenSettings()
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerFile(Customer):
    """A customer's file as a whole."""

    softgarden: SoftgardenAccess = setting("This customer's softgarden.")
    equalture: EqualtureAccess = setting(
        "This customer's account at Equalture; the keys of `equalture:` in bridge.yaml may be"
        " overridden here."
    )


FILES: Mapping[str, tuple[type, str]] = {
    "bridge": (Settings, "bridge.yaml"),
    "customer": (CustomerFile, "customers/<key>.yaml"),
}
"""The kinds of files: how each is read, and how it is called."""
_INHERITED = loading.inherited(Settings, CustomerFile, None)


def schema(kind: str) -> dict[str, Any]:
    """The JSON Schema of a kind of file."""
    return json_schema(*FILES[kind], _INHERITED if kind == "customer" else {})


def table(kind: str) -> str:
    """The settings of a kind of file in Markdown."""
    return settings_table(FILES[kind][0], _INHERITED if kind == "customer" else {})


def load_settings(
    config_dir: Path, environ: Mapping[str, str], *, strict: bool = True, signing: bool = True
) -> Settings:
    """The configuration in *config_dir*, with variables from *environ*; see
    ``settings.loading.load``.

    Without *strict* customers whose files cannot be used are set aside.
    """
    return loading.load(config_dir, environ, Settings, CustomerFile, strict=strict, signing=signing)


def load_customers(
    settings: Settings, environ: Mapping[str, str]
) -> tuple[CustomerDirectory, tuple[str, ...]]:
    """The customers' files as they are now, under *settings*, and warnings; raises ConfigError."""
    inherited = loading.inherited(Settings, CustomerFile, settings)
    return customers.load_customers(settings.config_dir, environ, CustomerFile, inherited)
