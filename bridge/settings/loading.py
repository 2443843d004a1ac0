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
from bridge.errors import ConfigError, ConfigMistake
from bridge.settings.customer_files import CustomerFormat, load_customers
from bridge.settings.daemon import DaemonSettings, S, load_daemon
from bridge.settings.listen import FILE_NAME


def compute_fingerprint(config_dir: Path) -> str:
    """A digest of the content of ``bridge.yaml``, to find out whether it has changed.

    Empty if it cannot be read.
    """
    try:
        return sha256((config_dir / FILE_NAME).read_bytes()).hexdigest()
    except OSError:
        return ""


def load_configuration(
    config_dir: Path,
    environ: Mapping[str, str],
    daemon: type[S],
    customer: CustomerFormat,
    *,
    strict: bool,
    signing: bool,
) -> S:
    """Read ``bridge.yaml`` as *daemon* and ``customers/*.yaml`` as *customer*.

    Raises ConfigError with the mistakes about all files together, also if only one customer's
    file cannot be used; without *strict* such a customer is set aside. Without *signing* the
    signing keys are not needed.
    """
    if not config_dir.is_dir():
        message = (
            "there is no such folder; name the one that holds bridge.yaml with --config DIR or"
            " BRIDGE_CONFIG"
        )
        raise ConfigError([ConfigMistake(str(config_dir), 0, 0, message)])
    mistakes: list[ConfigMistake] = []
    settings: S | None = None
    customers = CustomerDirectory(())
    warnings: tuple[str, ...] = ()
    try:
        settings = load_daemon(config_dir, environ, daemon, signing=signing)
    except ConfigError as error:
        mistakes.extend(error.mistakes)
    try:
        # Without usable defaults the customers are still read, for their own mistakes.
        values = collect_inherited_values(daemon, customer.type, settings)
        customers, warnings = load_customers(config_dir, environ, customer, values)
    except ConfigError as error:
        mistakes.extend(error.mistakes)
    if strict or settings is None:
        mistakes.extend(customers.list_mistakes())
    if settings is None or mistakes:
        raise ConfigError(mistakes)
    return replace(settings, customers=customers, warnings=settings.warnings + warnings)


def collect_inherited_values(
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
