"""Reading the whole configuration: all of it or nothing, or as much of it as can be used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from bridge.core.customers import CustomerDirectory
from bridge.errors import Complaint, ConfigError
from bridge.settings.customers import load_customers
from bridge.settings.daemon import ProviderDefaults, Settings, load_daemon
from bridge.settings.listen import FILE_NAME
from bridge.settings.masking import masked

__all__ = [
    "Settings",
    "fingerprint",
    "load",
    "load_customers",
    "load_daemon",
    "load_usable",
    "masked",
]


def fingerprint(config_dir: Path) -> str:
    """A digest of ``bridge.yaml`` as it stands, to tell whether it has changed since; empty if it
    cannot be read.
    """
    try:
        return sha256((config_dir / FILE_NAME).read_bytes()).hexdigest()
    except OSError:
        return ""


def load(config_dir: Path, environ: Mapping[str, str]) -> Settings:
    """Read ``bridge.yaml`` and ``customers/*.yaml`` in *config_dir*, with variables from *environ*.

    Raises ConfigError with the complaints about all files together: also where one customer's file
    alone cannot be used.
    """
    return _load(config_dir, environ, strict=True, signing=True)


def load_usable(config_dir: Path, environ: Mapping[str, str], *, signing: bool = True) -> Settings:
    """As ``load``, with the customers whose files cannot be used set aside; see
    ``Directory.set_aside``.

    Raises ConfigError for what concerns all: ``bridge.yaml``, or a folder that cannot be read.
    Without *signing* the signing keys are not needed.
    """
    return _load(config_dir, environ, strict=False, signing=signing)


def _load(config_dir: Path, environ: Mapping[str, str], *, strict: bool, signing: bool) -> Settings:
    if not config_dir.is_dir():
        message = "there is no such folder; name the one that holds bridge.yaml with --config DIR or BRIDGE_CONFIG"
        raise ConfigError([Complaint(str(config_dir), 0, 0, message)])
    complaints: list[Complaint] = []
    settings: Settings | None = None
    customers = CustomerDirectory(())
    warnings: tuple[str, ...] = ()
    try:
        settings = load_daemon(config_dir, environ, signing=signing)
    except ConfigError as error:
        complaints.extend(error.complaints)
    try:
        # Without usable defaults the customers are read all the same, for their own complaints.
        defaults = settings.equalture if settings else ProviderDefaults()
        customers, warnings = load_customers(config_dir, environ, defaults)
    except ConfigError as error:
        complaints.extend(error.complaints)
    if strict or settings is None:
        complaints.extend(customers.complaints())
    if settings is None or complaints:
        raise ConfigError(complaints)
    return replace(settings, customers=customers, warnings=settings.warnings + warnings)
