"""Which language is chosen, and how it writes dates and numbers."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bridge.languages.language import LANGUAGES, choose_language, load_language

NOON = datetime(2026, 11, 24, 15, 18, tzinfo=UTC)


@pytest.mark.parametrize(
    ("preferences", "chosen"),
    [
        ((None, None, None), "en"),
        (("de", "nl", "fr"), "de"),
        ((None, "nl_NL", "fr"), "nl"),
        (("", "pl", "fr-CH, de;q=0.9"), "fr"),
        (("xx", "", "pl, de;q=0.5, nl;q=0.8"), "nl"),
        ((None, None, "de;q=0, nl;q=much"), "en"),
        (("DE-at", None, None), "de"),
        ((",;=,", None, None), "en"),
    ],
)
def test_first_preference_that_is_ours(preferences: tuple[str | None, ...], chosen: str) -> None:
    """The first preference that names a language of ours decides; in a header the weights do."""
    assert choose_language(preferences).code == chosen


@pytest.mark.parametrize(
    ("code", "moment", "number"),
    [
        ("en", "24 Nov 2026, 16:18 CET", "3.5"),
        ("de", "24.11.2026, 16:18 MEZ", "3,5"),
        ("nl", "24 nov 2026, 16:18 CET", "3,5"),
        ("fr", "24 nov. 2026, 16:18 UTC+01:00", "3,5"),
    ],
)
def test_dates_and_numbers(code: str, moment: str, number: str) -> None:
    """A moment is shown in the given zone, which is named, and numbers have the language's mark."""
    words = load_language(code)
    assert words.moment(NOON, "Europe/Berlin") == moment
    assert words.number(3.5) == number


def test_names_of_the_languages() -> None:
    """Each language is offered under the name that it has for itself."""
    assert [load_language(code).name for code in LANGUAGES] == [
        "English",
        "Deutsch",
        "Nederlands",
        "Français",
    ]


def test_messages_are_filled_in() -> None:
    """A translation takes the message's values; a text without a translation stays as it is."""
    message = "Open in %(provider)s (login needed)"
    words = load_language("de")
    assert words.gettext(message, provider="Equalture") == "In Equalture öffnen (Anmeldung nötig)"
    assert words.gettext("Never written") == "Never written"
    assert words.ngettext("%(num)s thing", "%(num)s things", 2) == "2 things"
