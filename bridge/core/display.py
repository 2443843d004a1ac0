"""What a customer's file says about the employer, for pages and reports."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import quote
from zoneinfo import available_timezones

from bridge.core.declaration import PatternRule, setting, suggest_similar_word

_MAIL = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]+@[\w-]+(?:\.[\w-]+)+")
_WEB = re.compile(r"(?:https://|www\.)[\w-]+(?:\.[\w-]+)+(?::\d{1,5})?(?:[/?#][^\s\"'<>\\]*)?")
_PHONE = re.compile(r"\+?[0-9 ()/.\u00a0\u2011\u2013-]+")
MOST_DIGITS = 15
"""A phone number has no more (ITU-T E.164)."""


def parse_timezone(name: str) -> str:
    """A name of the time zone database, as it is; raises ValueError for another."""
    known = available_timezones()
    if name not in known:
        raise ValueError(
            f"expected a time zone such as Europe/Berlin{suggest_similar_word(name, sorted(known))}"
        )
    return name


def build_contact_link(contact: str) -> str | None:
    """The link by which this contact is reached; None for what is no plain e-mail address, phone
    number or web address, which then is text only.
    """
    contact = contact.strip()
    if _MAIL.fullmatch(contact):
        return f"mailto:{quote(contact, safe='@')}"
    if _WEB.fullmatch(contact):
        return contact if contact.startswith("https://") else f"https://{contact}"
    # (0) is what callers within the country dial in place of the country's code.
    number = re.sub(r"\(0\)", "", contact) if contact.startswith("+") else contact
    digits = re.sub(r"\D", "", number)
    if _PHONE.fullmatch(contact) and 3 <= len(digits) <= MOST_DIGITS:
        return f"tel:{'+' if contact.startswith('+') else ''}{digits}"
    return None


@dataclass(frozen=True, slots=True)
class Logo:
    """An image that browsers show: its media type and the content of its file."""

    media_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class DisplaySettings:
    """What pages and reports show of the customer; every part may be missing."""

    name: str | None = setting(
        "The employer's name as people know it, such as ACME GmbH; left out: none is shown.",
        default=None,
    )
    logo: str | None = setting(
        "An image to show instead of the name: the path of a PNG or JPEG file below the folder of"
        " the configuration, of at most 200 kB. It is read whenever the customers' files are.",
        default=None,
    )
    timezone: str = setting(
        "In which zone times are shown.", default="Europe/Berlin", rule=parse_timezone
    )
    contact: str | None = setting(
        "Whom candidates may ask: an e-mail address, a phone number or a web address.",
        default=None,
    )
    privacy_url: str | None = setting(
        "The employer's data protection page for candidates (https).",
        default=None,
        rule=PatternRule(r"https://[^\s/]+\S*", "an https address"),
    )
    image: Logo | None = None
    """What the file of the logo holds."""
