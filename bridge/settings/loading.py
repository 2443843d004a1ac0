"""Reads the whole configuration: either all of it or nothing, or (not *strict*) all usable
customers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from bridge.core.customers import CustomerDirectory
from bridge.core.declaration import declared_settings
from bridge.errors import Complaint, ConfigError
from bridge.settings.customer_files import CustomerFormat, load_customers
from bridge.settings.daemon import DaemonSettings, S, load_daemon
from bridge.settings.listen import FILE_NAME


def fingerprint(config_dir: Path) -> str:
    """A digest of the content of ``bridge.yaml``, to find out whether it has changed.

    Empty if it cannot be read.
    """
    try:
        return sha256((config_dir / FILE_NAME).read_bytes()).hexdigest()
    except OSError:
        return ""


def load(
    config_dir: Path,
    environ: Mapping[str, str],
    daemon: type[S],
    customer: CustomerFormat,
    *,
    strict: bool,
    signing: bool,
) -> S:
    """Read ``bridge.yaml`` as *daemon* and ``customers/*.yaml`` as *customer*.

    Raises ConfigError with the complaints about all files together, also if only one customer's
    file cannot be used; without *strict* such a customer is set aside. Without *signing* the
    signing keys are not needed.
    """
    if not config_dir.is_dir():
        message = (
            "there is no such folder; name the one that holds bridge.yaml with --config DIR or"
            " BRIDGE_CONFIG"
        )
        raise ConfigError([Complaint(str(config_dir), 0, 0, message)])
    complaints: list[Complaint] = []
    settings: S | None = None
    customers = CustomerDirectory(())
    warnings: tuple[str, ...] = ()
    try:
        settings = load_daemon(config_dir, environ, daemon, signing=signing)
    except ConfigError as error:
        complaints.extend(error.complaints)
    try:
        # Without usable defaults the customers are still read, for their own complaints.
        values = inherited_values(daemon, customer.type, settings)
        customers, warnings = load_customers(config_dir, environ, customer, values)
    except ConfigError as error:
        complaints.extend(error.complaints)
    if strict or settings is None:
        complaints.extend(customers.complaints())
    if settings is None or complaints:
        raise ConfigError(complaints)
    return replace(settings, customers=customers, warnings=settings.warnings + warnings)


def inherited_values(
    daemon: type[DaemonSettings], customer: type[Any], settings: DaemonSettings | None
) -> dict[str, dict[str, Any]]:
    """The values that a customer's file inherits, by section and key: a section that is derived
    from the daemon's of the same name takes its values from *settings*. Without *settings* they are
    None.
    """
    own, found = declared_settings(daemon), {}
    for name, one in declared_settings(customer).items():
        if name in own and issubclass(one.type, own[name].type):
            section = getattr(settings, name, None)
            keys = declared_settings(own[name].type)
            found[name] = {inner: getattr(section, inner, None) for inner in keys}
    return found
