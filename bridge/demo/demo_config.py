"""An account at Equalture with three jobs, and the configuration of a bridge for it."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_bytes, token_urlsafe

from bridge.core import ids
from bridge.sandbox import Account, EqualtureSandbox

HOST = "127.0.0.1"
CUSTOMER = "acme"
CLIENT_ID, CLIENT_SECRET = "acme", "acme-secret"
PUBLIC_CLIENT = "10"
"""softgarden's notifications come with a public OAuth client; its id is not a secret."""
TEST_ID = "engineer"
JOBS = {
    "0b8f5c52-8a3e-4a55-9f0c-6c1a5f1f2a11": "Assessment - Engineer",
    "5d2c7b9e-41f0-4c1d-8a6b-9e3f7a20c4d2": "Assessment - Sales",
    "c7e1a4f3-92b8-4d7e-b5c6-1f8d3e6a7b90": "Assessment - Customer Service",
}


@dataclass(frozen=True, slots=True)
class DemoSecrets:
    """New for every demo."""

    token: str = field(default_factory=token_urlsafe)
    export_token: str = field(default_factory=token_urlsafe)
    signing_key: str = field(default_factory=token_urlsafe)
    webhook: str = field(default_factory=lambda: f"whsec_{b64encode(token_bytes(32)).decode()}")


def add_demo_account(equalture: EqualtureSandbox) -> Account:
    """Give the fake the sample account with its three jobs."""
    return equalture.add_account(CLIENT_ID, CLIENT_SECRET, JOBS.items())


def write_demo_config(
    folder: Path, secrets: DemoSecrets, *, ports: list[int], redis: str, equalture: str
) -> None:
    """Write real files, as an administrator would: other commands can be tried with them, too.

    *ports*: of the public and the admin listener; *redis* and *equalture* are URLs.
    """
    public, admin = (f"{HOST}:{port}" for port in ports)
    bridge = f"""\
public_url: http://{public}
listen: {public}
admin_listen: {admin}
redis: {{url: "{redis}"}}
signing_keys: ["{secrets.signing_key}"]
log: {{level: info, format: json}}
equalture: {{base_url: "{equalture}"}}
softgarden:
  callback_hosts: [{HOST}]
  allow_insecure: true             # both vendors are fakes on this machine
"""
    customer = f"""\
softgarden: {{tokens_sha256: [{ids.hash_secret(secrets.token)}], client_id: "{PUBLIC_CLIENT}"}}
equalture:
  client_id: {CLIENT_ID}
  client_secret: {CLIENT_SECRET}
  webhook_secret: "{secrets.webhook}"
  locale: en
tests:
  publish_unmapped: true
  items:
    - {{id: {TEST_ID}, job_id: {next(iter(JOBS))}, name: Engineer assessment, duration: 30}}
test_url: landing
hire: {{enabled: true, tokens_sha256: [{ids.hash_secret(secrets.export_token)}]}}
"""
    for name, text in (("bridge", bridge), (f"customers/{CUSTOMER}", customer)):
        file = folder / f"{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(0o600)  # they hold secrets
        file.write_text(text, "utf-8")
