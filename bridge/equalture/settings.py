"""The section ``equalture`` of ``bridge.yaml``, and of a customer's file, which overrides it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from bridge.core.customers import Customer, ProviderAccount, Secret
from bridge.core.declaration import PatternRule, parse_single_line_text, setting
from bridge.settings import rules

SAMPLE_SECRET = "replace-me"  # noqa: S105 - what nobody must go on using


class TokenMethod(StrEnum):
    """How tokens are fetched; auto is POST, and GET where POST does not exist."""

    AUTO = "auto"
    POST = "post"
    GET = "get"


class InvitationType(StrEnum):
    """Who sends the candidate the link to the test: softgarden, or Equalture by mail."""

    ONE_TIME_LINK = "one_time_link"
    EMAIL = "email"


def validate_client_secret(text: str) -> str:
    """Text of one line, but not what the sample holds in its place."""
    if text == SAMPLE_SECRET:
        raise ValueError(
            "this is the sample's placeholder; put the secret here that Equalture gave this"
            " customer"
        )
    return parse_single_line_text(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class EqualtureSettings(ProviderAccount):
    """Equalture's API: what holds for every customer whose own section does not say otherwise."""

    vendor: ClassVar[str] = "equalture"
    base_url: str = setting(
        "The address of Equalture's Open Assessment API; ask your contact there.",
        rule=rules.parse_web_url,
    )
    token_path: str = setting(
        "The path, below base_url, at which access tokens are fetched.",
        default="/connect_ats/access_token",
        rule=rules.parse_url_path,
    )
    token_method: TokenMethod = setting(
        "How tokens are fetched: post, get, or auto (POST, and GET where POST does not exist).",
        default=TokenMethod.AUTO,
    )
    invitation_type: InvitationType = setting(
        "one_time_link: softgarden sends the candidate the link to the test. email: Equalture does,"
        " and what softgarden sends is a page of the bridge that says so.",
        default=InvitationType.ONE_TIME_LINK,
    )
    started_words: tuple[str, ...] = setting(
        "Names of the webhook's events that mean begun, in any case: whole, or what is behind the"
        " last _ or dot.",
        default=("started",),
        minimum=1,
        entry_name="word",
    )
    finished_words: tuple[str, ...] = setting(
        "The same for those that mean finished; the results decide in the end.",
        default=("finished",),
        minimum=1,
        entry_name="word",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class EqualtureAccount(EqualtureSettings):
    """A customer's account at Equalture."""

    client_id: str = setting(
        "The id that Equalture gives this customer.", rule=rules.parse_basic_auth_user
    )
    client_secret: Secret = setting(
        "The secret that belongs to client_id.", rule=validate_client_secret
    )
    callback_token: Secret | None = setting(
        "Callbacks must carry it, behind Bearer or Token or alone; none: they need none.",
        default=None,
        rule=rules.parse_header_token,
    )
    callback_header: str = setting(
        "The header in which callbacks carry callback_token.",
        default="Authorization",
        rule=PatternRule(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", "the name of an HTTP header"),
    )
    webhook_secret: Secret | None = setting(
        "Signs Equalture's webhooks: whsec_ and base64, as shown when the webhook is made; none:"
        " webhooks are refused.",
        default=None,
        rule=rules.parse_webhook_secret,
    )


def get_account(customer: Customer) -> EqualtureAccount:
    """The customer's account; raises TypeError for a customer of another provider."""
    if not isinstance(customer.provider, EqualtureAccount):
        raise TypeError(f"customer {customer.key} has no account at Equalture")
    return customer.provider
