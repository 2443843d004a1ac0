"""What softgarden and Equalture have to be told about a customer: facts, and letters to copy.

No secret is among it: only whether there is one, and where it stands.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from bridge.core.customers import Customer
from bridge.equalture.settings import EqualtureAccount
from bridge.errors import BridgeError
from bridge.settings.daemon import DaemonSettings
from bridge.softgarden.settings import SoftgardenAccount

# https://dev.softgarden.de/assessment-api: the four URLs and one sample key go to support by mail
SUPPORT = "support@softgarden.de"


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftgardenFacts:
    """What softgarden asks for; the customer itself types its token into softgarden's settings."""

    tests_url: str
    invitation_url: str
    result_url: str
    deletion_url: str
    client_id: str
    tokens: int
    """How many tokens of the customer are known to the bridge."""
    contact: str = SUPPORT


@dataclass(frozen=True, slots=True, kw_only=True)
class EqualtureFacts:
    """What Equalture needs; *webhook_url* is None where the bridge takes none."""

    base_url: str
    callback_host: str
    callback_urls: str
    callback_token: bool
    callback_header: str
    webhook_url: str | None


@dataclass(frozen=True, slots=True)
class OnboardingFacts:
    """Both sides of one customer."""

    customer: str
    softgarden: SoftgardenFacts
    equalture: EqualtureFacts

    def as_json(self) -> dict[str, Any]:
        """The facts for machines."""
        return asdict(self)


def collect_onboarding_facts(settings: DaemonSettings, customer: Customer) -> OnboardingFacts:
    """The facts, from the configuration as it is."""
    url, ats, provider = settings.public_url, customer.ats, customer.provider
    if not isinstance(ats, SoftgardenAccount) or not isinstance(provider, EqualtureAccount):
        raise BridgeError(f"the vendors of customer {customer.key} have no letters yet")
    return OnboardingFacts(
        customer.key,
        SoftgardenFacts(
            tests_url=f"{url}/softgarden/tests",
            invitation_url=f"{url}/softgarden/invitations",
            result_url=f"{url}/softgarden/results",
            deletion_url=f"{url}/softgarden/invitations",
            client_id=ats.client_id,
            tokens=len(ats.tokens_sha256),
        ),
        EqualtureFacts(
            base_url=provider.base_url,
            callback_host=urlsplit(url).netloc,
            callback_urls=f"{url}/equalture/callbacks/{{invitation}}/{{secret}}",
            callback_token=bool(provider.callback_token),
            callback_header=provider.callback_header,
            webhook_url=f"{url}/equalture/webhooks/{customer.key}"
            if provider.webhook_secret
            else None,
        ),
    )


def write_onboarding_letters(facts: OnboardingFacts) -> dict[str, str]:
    """The same as text to copy, by language."""
    return {"de": _german(facts), "en": _english(facts)}


def _german(facts: OnboardingFacts) -> str:
    ats, provider, customer = facts.softgarden, facts.equalture, facts.customer
    token = (
        f"Im Header {provider.callback_header} schicken Sie bitte das vereinbarte Token mit. Es"
        f" steht als callback_token in customers/{customer}.yaml; getrennt und sicher übermitteln."
        if provider.callback_token
        else "Ein Token für Rückrufe ist nicht vereinbart (equalture.callback_token)."
    )
    webhook = (
        f"Webhook-Adresse: {provider.webhook_url}\n  (Standard Webhooks; das Geheimnis dazu steht"
        " schon in der Datei des Kunden)"
        if provider.webhook_url
        else "Webhooks sind nicht eingerichtet (equalture.webhook_secret); ohne sie fragt die"
        " Bridge selbst nach."
    )
    return f"""\
== Deutsch: an softgarden ({ats.contact}) ==

Für unsere Anbindung an die Assessment API nennen wir Ihnen vier Adressen:

  Tests (GET):         {ats.tests_url}
  Einladung (POST):    {ats.invitation_url}
  Ergebnis (GET):      {ats.result_url}      (/{{invitationId}} wird angehängt)
  Löschung (DELETE):   {ats.deletion_url}  (/{{invitationId}} wird angehängt)

Alle verlangen "Authorization: Bearer <Token>". Einen Beispielschlüssel erhalten Sie getrennt.
Benachrichtigt wird mit dem öffentlichen OAuth-Client {ats.client_id}, ohne Passwort.
Ansprechpartner bei uns: [Name, E-Mail, Telefon]

Für Sie selbst: Den Beispielschlüssel macht `assessment-bridge token new {customer}`; sein Digest
gehört unter softgarden.tokens_sha256 (derzeit {ats.tokens}). Der Kunde trägt sein Token in
softgarden ein. Eine Hilfeseite für HR zum Weitergeben ist HILFE.md, bei `config init` dabei.

== Deutsch: an Equalture ==

API: {provider.base_url}
Rückrufe (PUT) gehen an den Host {provider.callback_host}:
  {provider.callback_urls}
  Jede Bewerbung hat ihre eigene Adresse; erwartet wird genau die Antwort 200.
{token}
{webhook}
"""


def _english(facts: OnboardingFacts) -> str:
    ats, provider, customer = facts.softgarden, facts.equalture, facts.customer
    token = (
        f"Please send the agreed token in the header {provider.callback_header}. It stands as"
        f" callback_token in customers/{customer}.yaml; pass it on apart from this, and safely."
        if provider.callback_token
        else "No token for callbacks is agreed (equalture.callback_token)."
    )
    webhook = (
        f"Webhook address: {provider.webhook_url}\n  (Standard Webhooks; its secret is in the"
        " customer's file already)"
        if provider.webhook_url
        else "Webhooks are not set up (equalture.webhook_secret); without them the bridge asks by"
        " itself."
    )
    return f"""\
== English: to softgarden ({ats.contact}) ==

For our connection to the Assessment API these are the four addresses:

  tests (GET):         {ats.tests_url}
  invitation (POST):   {ats.invitation_url}
  result (GET):        {ats.result_url}      (/{{invitationId}} is appended)
  deletion (DELETE):   {ats.deletion_url}  (/{{invitationId}} is appended)

All of them want "Authorization: Bearer <token>". You will get a sample key apart from this.
Notifications use the public OAuth client {ats.client_id}, without a password.
Our contact: [name, e-mail, phone]

For yourself: `assessment-bridge token new {customer}` makes the sample key; its digest belongs
under softgarden.tokens_sha256 ({ats.tokens} now). The customer types its own token into softgarden.

== English: to Equalture ==

API: {provider.base_url}
Callbacks (PUT) go to the host {provider.callback_host}:
  {provider.callback_urls}
  Each application has an address of its own; exactly the answer 200 is expected.
{token}
{webhook}
"""
