"""The configuration of all simulated bridges: three customers, whose hours are seconds."""

from __future__ import annotations

import atexit
import base64
import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from bridge import app
from bridge.core import retry
from bridge.core.lifecycle import policy, timing
from bridge.settings.daemon import DaemonSettings
from bridge.softgarden.settings import SoftgardenSettings

KEY = "A" * 43
QUICK = ("acme", "globex")
"""Customers whose links live longer than any world."""
SAME_AGAIN = QUICK[1]
"""The customer whose repeated orders get the same invitation after completion, too."""
HASTY = "hasty"
"""The customer whose links live only ``HASTY_LIFE_S``."""
LANDING = HASTY
"""The customer whose candidates get a link to the bridge's own page in front of the test."""
CUSTOMERS = (*QUICK, HASTY)
PACE = os.environ.get("SIMULATION_PACE", "seconds")
"""How fast time passes for the bridge: in "seconds", or in "days", as in earnest."""
IN_DAYS = PACE == "days"
LINK_LIFE_S = 7 * 86_400.0
HASTY_LIFE_S = LINK_LIFE_S if IN_DAYS else 40.0
LONG_LIFE_S = 1.75 * HASTY_LIFE_S
"""The same where administrators have changed it for a while."""
GRACE_S = policy.STARTED_GRACE.total_seconds() if IN_DAYS else 20.0
"""How much later it ends where a start was seen: a day in the world outside."""
timing.STARTED_GRACE = timedelta(seconds=GRACE_S)
POLL_S = 600.0 if IN_DAYS else 20.0
RETRY_S = (
    tuple(pause.total_seconds() for pause in SoftgardenSettings().retry)
    if IN_DAYS
    else (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
)
"""The pauses of the retry plan; each may be a fifth longer."""
ARRIVALS_S = 7200.0 if IN_DAYS else 30.0
"""Within what time all journeys begin."""
THINKS_S = 4 * 86_400.0 if IN_DAYS else 8.0
"""How long a candidate takes at most."""
LASTS = 10.0 if IN_DAYS else 1.0
"""How much longer than usual trouble lasts; what softgarden has lasts longer still."""
LASTS_AT_SOFTGARDEN = 1000.0 if IN_DAYS else 1.0
WATCHED_S = 60.0 if IN_DAYS else 1.0
"""How often the world looks whether all is well."""
retry.UNREADABLE_RECORD_DELAY = timedelta(seconds=10)
"""How long a task waits whose record cannot be read: ten minutes in the world outside."""
VENDOR_TIMEOUT_S = 3.0
PROVIDER_HOST = "equalture.example"
ATS_HOST = "app.softgarden.io"
CALLBACK = f"https://{ATS_HOST}/api/rest/v3/frontend/assessmentProvider/invitationRequiresUpdate"


@dataclass(frozen=True, slots=True)
class CustomerSecrets:
    """What both vendors know of one customer."""

    name: str

    @property
    def token(self) -> str:
        """softgarden's bearer token."""
        return f"bearer-of-{self.name}"

    @property
    def client_secret(self) -> str:
        """Of the account at Equalture."""
        return f"client-secret-of-{self.name}"

    @property
    def webhook_secret(self) -> str:
        """Signs the account's webhooks."""
        return f"whsec_{base64.b64encode(f'webhooks-of-{self.name:.>20}'.encode()).decode()}"

    @property
    def export_token(self) -> str:
        """softgarden's, for its export of hired applicants."""
        return f"export-of-{self.name}"

    @property
    def job(self) -> str:
        """The one job of the account."""
        return f"job-{self.name}"

    @property
    def public_client(self) -> str:
        """softgarden's public OAuth client."""
        return f"1{CUSTOMERS.index(self.name)}"


SECRETS = {name: CustomerSecrets(name) for name in CUSTOMERS}


@dataclass(frozen=True, slots=True)
class CustomerFile:
    """What a customer's file says, as far as administrators change that."""

    name: str
    tokens: tuple[str, ...]
    """softgarden's; two while one is replaced by the other."""
    client_secret: str
    link_life_s: float | None = None
    """None: the daemon's own."""
    poll_s: float | None = None


USUAL_FILES = {
    name: CustomerFile(
        name,
        (secrets.token,),
        secrets.client_secret,
        HASTY_LIFE_S if name == HASTY else None,
    )
    for name, secrets in SECRETS.items()
}


def _daemon() -> dict[str, Any]:
    return {
        "public_url": "https://bridge.example",
        "redis": {"url": "redis://redis.example", "require_durable": "off"},
        "signing_keys": [KEY],
        "equalture": {
            "base_url": f"https://{PROVIDER_HOST}",
            "timeout": f"{VENDOR_TIMEOUT_S:.0f}s",
            "poll_every": f"{POLL_S:.0f}s",
        },
        "softgarden": {
            "timeout": f"{VENDOR_TIMEOUT_S:.0f}s",
            "retry": [f"{pause:.0f}s" for pause in RETRY_S],
        },
    }


def _customer(file: CustomerFile) -> dict[str, Any]:
    name, secrets = file.name, SECRETS[file.name]
    document: dict[str, Any] = {
        "softgarden": {
            "tokens_sha256": [_compute_digest(token) for token in file.tokens],
            "client_id": secrets.public_client,
        },
        "equalture": {
            "client_id": name,
            "client_secret": file.client_secret,
            "webhook_secret": secrets.webhook_secret,
        },
    }
    if name in QUICK:
        digest = _compute_digest(secrets.export_token)
        document["hire"] = {"enabled": True, "tokens_sha256": [digest]}
    if name == SAME_AGAIN:
        document["results"] = {"after_completed": "same"}
    for key, seconds in (("link_life", file.link_life_s), ("poll_every", file.poll_s)):
        if seconds is not None:
            document["equalture"][key] = f"{seconds:.0f}s"
    if name == LANDING:
        document["test_url"] = "landing"
    return document


def _compute_digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def format_customer(file: CustomerFile) -> str:
    """The text of a customer's file."""
    return str(yaml.safe_dump(_customer(file)))


@cache
def load_settings() -> DaemonSettings:
    """The settings, read by the bridge's own reader; their folder stays while this process does."""
    folder = _make_folder()
    (folder / "customers").mkdir()
    (folder / "bridge.yaml").write_text(yaml.safe_dump(_daemon()), "utf-8")
    for name, file in USUAL_FILES.items():
        (folder / "customers" / f"{name}.yaml").write_text(format_customer(file), "utf-8")
    return app.CONFIGURATION.load(folder, {})


def _make_folder() -> Path:
    folder = tempfile.mkdtemp(prefix="worlds-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
