"""Equalture's vendor object, which ``app`` uses."""

from __future__ import annotations

from bridge.equalture import answer_shapes
from bridge.equalture.client import EqualtureClient
from bridge.equalture.handlers import create_equalture_endpoints
from bridge.equalture.protocol import OPERATIONS
from bridge.equalture.settings import EqualtureAccount, EqualtureSettings
from bridge.vendors import ProviderPackage, VendorSection

EQUALTURE = ProviderPackage(
    access=EqualtureAccount,
    access_doc=(
        "This customer's account at Equalture; the keys of `equalture:` in bridge.yaml may be"
        " overridden here."
    ),
    defaults=VendorSection(EqualtureSettings, "Equalture's API: defaults for every customer."),
    open=lambda session, monotonic, meter, observer: EqualtureClient(
        session, monotonic=monotonic, meter=meter, observer=observer
    ),
    endpoints=create_equalture_endpoints,
    operations=OPERATIONS,
    requests=answer_shapes.REQUESTS,
)
