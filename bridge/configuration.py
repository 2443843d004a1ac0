"""The configuration files as a whole: the daemon's sections, and those of the vendors."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import MISSING, make_dataclass
from pathlib import Path
from typing import Any

from bridge.core.customers import Customer, CustomerDirectory, CustomerPolicy
from bridge.core.declaration import declared_settings, setting
from bridge.settings import customer_files, loading
from bridge.settings.customer_files import CustomerFormat
from bridge.settings.daemon import DaemonSettings
from bridge.settings.findings import PositionedValue
from bridge.settings.json_schema import build_json_schema
from bridge.settings.table import build_settings_table
from bridge.vendors import Vendors, VendorSection

KINDS: Mapping[str, str] = {"bridge": "bridge.yaml", "customer": "customers/<key>.yaml"}
"""The kinds of files, with their names."""


class Configuration:
    """How the files are read if the bridge works with these *vendors*."""

    def __init__(self, vendors: Vendors) -> None:
        self._vendors = vendors
        providers = {
            one.name: VendorSection(one.access, one.access_doc) for one in vendors.providers
        }
        ats = {one.name: VendorSection(one.access, one.access_doc) for one in vendors.ats}
        defaults = {one.name: one.defaults for one in vendors.providers if one.defaults}
        daemons = {one.name: one.settings for one in vendors.ats}
        one_of = [tuple(group) for group in (ats, providers) if len(group) > 1]
        optional = {name for group in one_of for name in group}
        self._daemon = _with_sections(DaemonSettings, "Settings", defaults | daemons, optional)
        self._customer = _with_sections(
            CustomerPolicy, "CustomerFile", ats | providers, optional, one_of
        )
        self._inherited = loading.collect_inherited_values(self._daemon, self._customer, None)
        self.types: Mapping[str, type[Any]] = {"bridge": self._daemon, "customer": self._customer}
        """The dataclass that declares a kind of file."""
        self.customer_format = CustomerFormat(self._customer, self._customer_of)
        """How a customer's file is read."""

    def schema(self, kind: str) -> dict[str, Any]:
        """The JSON Schema of a kind of file."""
        return build_json_schema(self.types[kind], KINDS[kind], self._may_leave_out(kind))

    def table(self, kind: str) -> str:
        """The settings of a kind of file in Markdown."""
        return build_settings_table(self.types[kind], self._may_leave_out(kind))

    def load(
        self,
        config_dir: Path,
        environ: Mapping[str, str],
        *,
        strict: bool = True,
        signing: bool = True,
    ) -> DaemonSettings:
        """The configuration in *config_dir*, with variables from *environ*; see
        ``settings.loading.load_configuration``.

        Without *strict* customers whose files cannot be used are set aside.
        """
        loaded: DaemonSettings = loading.load_configuration(
            config_dir, environ, self._daemon, self.customer_format, strict=strict, signing=signing
        )
        return loaded

    def load_customers(
        self, settings: DaemonSettings, environ: Mapping[str, str]
    ) -> tuple[CustomerDirectory, tuple[str, ...]]:
        """The customers' files as they are now, under *settings*, and warnings; raises
        ConfigError.
        """
        inherited = loading.collect_inherited_values(self._daemon, self._customer, settings)
        return customer_files.load_customers(
            settings.config_dir, environ, self.customer_format, inherited
        )

    def _may_leave_out(self, kind: str) -> Mapping[str, Collection[str]]:
        return self._inherited if kind == "customer" else {}

    def _customer_of(self, key: str, file: Any) -> Customer:
        policy = {name: getattr(file, name) for name in declared_settings(CustomerPolicy)}
        ats, provider = (
            next(one for one in (getattr(file, each.name) for each in packages) if one is not None)
            for packages in (self._vendors.ats, self._vendors.providers)
        )
        return Customer(key=key, ats=ats, provider=provider, **policy)


def _with_sections(
    base: type[Any],
    name: str,
    sections: Mapping[str, VendorSection],
    optional: Collection[str],
    one_of: Iterable[tuple[str, ...]] = (),
) -> type[Any]:
    """*base* with the vendors' sections beside its own; exactly one section of each group in
    *one_of* is required.
    """
    fields = [
        (vendor, section.type | None, _field(section, None))
        if vendor in optional
        else (vendor, section.type, _field(section, MISSING))
        for vendor, section in sections.items()
    ]

    def check(
        section: PositionedValue, root: PositionedValue
    ) -> Iterator[tuple[PositionedValue, str]]:
        if hasattr(base, "check"):
            yield from base.check(section, root)
        for names in one_of:
            if len([name for name in names if section.find(name)]) != 1:
                yield section, f"exactly one of the keys {', '.join(names)} is needed"

    return make_dataclass(
        name,
        fields,
        bases=(base,),
        namespace={"check": staticmethod(check)},
        frozen=True,
        slots=True,
        kw_only=True,
    )


def _field(section: VendorSection, default: Any) -> Any:
    """A section without required keys has its defaults if it is left out."""
    if any(one.is_required for one in declared_settings(section.type).values()):
        return setting(section.doc, default=default)
    return setting(section.doc, default=section.type())
