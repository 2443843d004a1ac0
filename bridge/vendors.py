"""What a vendor's package has to offer so that the bridge can work with it.

A new vendor is one package with such an object, and one line in ``app.VENDORS``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp

from bridge.call_observer import CallObserver
from bridge.core.customers import AtsAccount, ProviderAccount
from bridge.core.links import LinkSigner
from bridge.meter import Meter
from bridge.ports import AssessmentProvider, Ats, Clock, Monotonic
from bridge.web.rate_limits import RateLimit
from bridge.web.routing import Endpoint


@dataclass(frozen=True, slots=True)
class VendorSection:
    """A vendor's section of a configuration file: the dataclass that declares it, and its doc."""

    type: type[Any]
    doc: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderPackage:
    """A provider of assessments.

    *access* is its section of a customer's file. *defaults*, if there is one, is its section of
    ``bridge.yaml``, which *access* derives from and inherits its values from. Its callbacks arrive
    at ``/<name>/callbacks/{invitation_id}/{secret}``.
    """

    access: type[ProviderAccount]
    access_doc: str
    defaults: VendorSection | None
    open: Callable[[aiohttp.ClientSession, Monotonic, Meter, CallObserver], AssessmentProvider]
    endpoints: Callable[[Clock], list[Endpoint]]
    operations: tuple[str, ...]
    """What the calls to it are called where they are counted."""
    requests: tuple[str, ...] = ()
    """What its own calls are called where their shapes are kept."""

    @property
    def name(self) -> str:
        """What its sections are called in the files, and it everywhere else."""
        return self.access.vendor


@dataclass(frozen=True, slots=True, kw_only=True)
class AtsPackage:
    """An applicant tracking system; *settings* is its section of ``bridge.yaml``.

    *allows_private* says, given that section, whether it may be notified on private addresses.
    """

    access: type[AtsAccount]
    access_doc: str
    settings: VendorSection
    allows_private: Callable[[Any], bool]
    open: Callable[[aiohttp.ClientSession, Any, Monotonic, Meter, CallObserver], Ats]
    endpoints: Callable[[Any, LinkSigner, RateLimit], list[Endpoint]]
    operations: tuple[str, ...]
    """What the calls to it are called where they are counted."""
    requests: tuple[str, ...] = ()
    """What its own calls are called where their shapes are kept."""

    @property
    def name(self) -> str:
        """What its sections are called in the files, and it everywhere else."""
        return self.access.vendor


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendors:
    """The vendors that the bridge works with; of each kind a customer has exactly one."""

    providers: tuple[ProviderPackage, ...]
    ats: tuple[AtsPackage, ...]
