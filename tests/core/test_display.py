"""What pages make of the employer's contact."""

from __future__ import annotations

import pytest

from bridge.core.display import build_contact_link, parse_timezone


@pytest.mark.parametrize(
    ("contact", "link"),
    [
        ("jobs@acme.example", "mailto:jobs@acme.example"),
        (" jobs+test@acme.example ", "mailto:jobs%2Btest@acme.example"),
        ("jobs?bcc=x&y%0A@acme.example", "mailto:jobs%3Fbcc%3Dx%26y%250A@acme.example"),
        ("+49 (0)30 123-456", "tel:+4930123456"),
        ("030 / 12 34 56", "tel:030123456"),
        ("110", "tel:110"),
        ("https://acme.example/jobs?id=1", "https://acme.example/jobs?id=1"),
        ("www.acme.example", "https://www.acme.example"),
        ("HR, room 7", None),
        ("jobs@acme", None),
        ("Jobs <jobs@acme.example>", None),
        ("a@acme.example, b@acme.example", None),
        ("http://acme.example", None),
        ("javascript:alert(1)", None),
        ("https://user@acme.example/", None),
        ('https://acme.example/"onclick=x', None),
        ("12", None),
        ("1234567890123456", None),
        ("", None),
    ],
)
def test_link_to_a_contact(contact: str, link: str | None) -> None:
    """An e-mail address, a phone number and a web address are links; everything else is text."""
    assert build_contact_link(contact) == link


def test_an_unknown_time_zone_is_refused() -> None:
    """A time zone is one of the database; a slip is answered with the one that is meant."""
    assert parse_timezone("Europe/Amsterdam") == "Europe/Amsterdam"
    with pytest.raises(ValueError, match="did you mean 'Europe/Berlin'"):
        parse_timezone("Europe/Berln")
