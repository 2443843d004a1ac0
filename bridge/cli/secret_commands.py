"""Making tokens and keys. They are shown once and stored nowhere."""

from __future__ import annotations

import base64
import secrets
from pathlib import Path

import click

from bridge.cli.options import config_option, customer_argument, json_option
from bridge.cli.output import print_json
from bridge.core import ids
from bridge.settings.customer_files import CUSTOMER_KEY


@click.group("token")
def token_group() -> None:
    """Bearer tokens that customers type into softgarden.

    \b
    assessment-bridge token new acme
    """


@token_group.command("new")
@customer_argument
@config_option
@json_option
def token_new(customer: str, config: Path, as_json: bool) -> None:
    """Make a bearer token for CUSTOMER; shown once, with the digest for its YAML file.

    \b
    assessment-bridge token new acme
    """
    if not CUSTOMER_KEY.fullmatch(customer):
        words = "lower-case letters, digits, - and _, at most 63"
        raise click.UsageError(f"{customer!r} cannot be the name of a customer's file: {words}.")
    bearer = secrets.token_urlsafe(32)
    digest = ids.hash_secret(bearer)
    if as_json:
        print_json({"token": bearer, "sha256": digest})
        return
    click.echo(f"Token for {customer}, to be typed into softgarden's settings (shown only now):")
    click.echo(f"\n  {bearer}\n")
    file = config / "customers" / f"{customer}.yaml"
    click.echo(f"Digest for {file}, under softgarden.tokens_sha256:")
    click.echo(f"\n  {digest}")


@click.group("key")
def key_group() -> None:
    """Signing and encryption keys.

    \b
    assessment-bridge key new
    """


@key_group.command("new")
@config_option
@json_option
def key_new(config: object, as_json: bool) -> None:
    """Make a signing or encryption key: 32 random bytes in URL-safe base64.

    \b
    export BRIDGE_SIGNING_KEY=$(assessment-bridge key new)
    assessment-bridge key new > secrets/signing-keys
    """
    new_key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    if as_json:
        print_json({"key": new_key})
    else:
        click.echo(new_key)
