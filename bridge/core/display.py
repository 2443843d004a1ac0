"""What a customer's file says about the employer, for pages and reports."""

from __future__ import annotations

from dataclasses import dataclass, field
from zoneinfo import available_timezones

from bridge.core.declaration import PatternRule, setting, suggest_similar_word


def parse_timezone(name: str) -> str:
    """A name of the time zone database, as it is; raises ValueError for another."""
    known = available_timezones()
    if name not in known:
        raise ValueError(
            f"expected a time zone such as Europe/Berlin{suggest_similar_word(name, sorted(known))}"
        )
    return name


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
