"""What demo and sandbox share: an account at Equalture with three jobs, and the configuration of a
bridge for it.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_bytes, token_urlsafe

from bridge.core import ids
from bridge.sandbox import Account, EqualtureSandbox

HOST = "127.0.0.1"
CUSTOMER = "acme"
CLIENT_ID, CLIENT_SECRET = "acme", "acme-secret"
PUBLIC_CLIENT = "10"
"""softgarden's notifications come with a public OAuth client; its id is no secret."""
TEST_ID = "engineer"
JOBS = {
    "0b8f5c52-8a3e-4a55-9f0c-6c1a5f1f2a11": "Assessment - Engineer",
    "5d2c7b9e-41f0-4c1d-8a6b-9e3f7a20c4d2": "Assessment - Sales",
    "c7e1a4f3-92b8-4d7e-b5c6-1f8d3e6a7b90": "Assessment - Customer Service",
}

_BRIDGE_YAML = """\
public_url: http://{host}:{port}
listen: {host}:{port}
admin_listen: {host}:{admin_port}
redis: {{url: "{redis_url}"}}
signing_keys: ["{signing_key}"]
log: {{level: info, format: json}}
equalture: {{base_url: "{equalture_url}"}}
softgarden:
  callback_hosts: [{host}]
  allow_insecure: true             # both vendors are fakes on this machine
"""

_CUSTOMER_YAML = """\
softgarden: {{tokens_sha256: [{digest}], client_id: "{public_client}"}}
equalture: {{client_id: {client_id}, client_secret: {client_secret}, webhook_secret: "{webhook_secret}", locale: en}}
tests:
  publish_unmapped: true
  items:
    - {{id: {test_id}, job_id: {job_id}, name: Engineer assessment, duration: 30}}
test_url: landing
"""


@dataclass(frozen=True, slots=True)
class Secrets:
    """Bearer token, signing key and webhook secret, new for every demo."""

    token: str = field(default_factory=token_urlsafe)
    signing_key: str = field(
        default_factory=lambda: base64.urlsafe_b64encode(token_bytes(32)).decode()
    )
    webhook: str = field(
        default_factory=lambda: f"whsec_{base64.b64encode(token_bytes(32)).decode()}"
    )


def add_account(equalture: EqualtureSandbox) -> Account:
    """Give the fake the sample account with its three jobs."""
    return equalture.add_account(CLIENT_ID, CLIENT_SECRET, JOBS.items())


def write(
    folder: Path,
    *,
    port: int,
    admin_port: int,
    redis_url: str,
    equalture_url: str,
    secrets: Secrets,
) -> None:
    """Write real files, as an administrator would: other commands can be tried with them, too."""
    (folder / "customers").mkdir(parents=True, exist_ok=True)
    bridge = _BRIDGE_YAML.format(
        host=HOST,
        port=port,
        admin_port=admin_port,
        redis_url=redis_url,
        signing_key=secrets.signing_key,
        equalture_url=equalture_url,
    )
    customer = _CUSTOMER_YAML.format(
        digest=ids.digest(secrets.token),
        public_client=PUBLIC_CLIENT,
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        webhook_secret=secrets.webhook,
        test_id=TEST_ID,
        job_id=next(iter(JOBS)),
    )
    for file, text in (
        (folder / "bridge.yaml", bridge),
        (folder / "customers" / f"{CUSTOMER}.yaml", customer),
    ):
        file.touch(0o600)  # they hold secrets
        file.write_text(text, "utf-8")
