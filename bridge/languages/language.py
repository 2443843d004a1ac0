"""A language of pages and reports: texts from its catalogue, dates and numbers by CLDR.

The texts in code and templates are English and are the keys of the catalogues in ``catalogues/``
(gettext); `make catalogues` collects them anew.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from gettext import GNUTranslations, NullTranslations
from importlib import resources
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_datetime
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal
from babel.units import format_unit

SOURCE = "en"
_CLOCK = {"fr": "HH:mm ZZZZ"}
"""French has no short names of zones: UTC+01:00 instead."""
_ANY_MOMENT = datetime(2000, 1, 1, tzinfo=UTC)
LANGUAGES = ("en", "de", "nl", "fr")
"""Codes of the languages, the one of the source texts first."""


def N_(message: str) -> str:  # noqa: N802 - gettext's own name
    """Mark a message for the catalogues; translated where it is shown."""
    return message


class Language:
    """One of ``LANGUAGES``."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.locale = Locale.parse("en_GB" if code == SOURCE else code)
        self.translations = _translations(code)

    @property
    def name(self) -> str:
        """What the language calls itself."""
        return str(self.locale.languages.get(self.code, self.code)).capitalize()

    def gettext(self, message: str, **values: object) -> str:
        """The *message* in this language, with its ``%(name)s`` filled in."""
        translated = self.translations.gettext(message)
        return translated % values if values else translated

    def ngettext(self, one: str, many: str, number: int, **values: object) -> str:
        """The form of a message that fits *number*, which it may use as ``%(num)s``."""
        return self.translations.ngettext(one, many, number) % {"num": number, **values}

    def date(self, at: datetime, timezone: str) -> str:
        """Such as 24.11.2026."""
        return format_date(at.astimezone(ZoneInfo(timezone)), "medium", locale=self.locale)

    def moment(self, at: datetime, timezone: str) -> str:
        """Date and time with the name of the zone, such as 24.11.2026, 16:18 MEZ."""
        zone = ZoneInfo(timezone)
        day = self.date(at, timezone)
        clock = format_datetime(at, _CLOCK.get(self.code, "HH:mm z"), zone, locale=self.locale)
        return f"{day}, {clock}"

    def minutes(self, number: int) -> str:
        """A duration, such as 30 minutes."""
        return format_unit(number, "minute", locale=self.locale)

    def number(self, value: float) -> str:
        """With the decimal mark of this language and at most one decimal."""
        return format_decimal(value, format="#,##0.#", locale=self.locale)


@cache
def load_language(code: str) -> Language:
    """The language with this code, one of ``LANGUAGES``."""
    return Language(code)


def choose_language(preferences: Iterable[str | None]) -> Language:
    """The first of ours that a preference names, English if none does.

    A preference is a language code, a locale such as ``de-AT``, or an ``Accept-Language`` header.
    """
    for preference in preferences:
        for code in _codes_by_weight(preference or ""):
            if code in LANGUAGES:
                return load_language(code)
    return load_language(SOURCE)


def _codes_by_weight(preference: str) -> list[str]:
    weighted = []
    for part in preference.lower().split(","):
        tag, _, parameter = part.partition(";")
        try:
            weight = float(parameter.strip().removeprefix("q=") or 1)
        except ValueError:
            weight = 0.0
        if tag.strip() and weight > 0:
            weighted.append((-weight, tag.strip().replace("_", "-").partition("-")[0]))
    return [code for _, code in sorted(weighted, key=lambda one: one[0])]


def _translations(code: str) -> NullTranslations:
    if code == SOURCE:
        return NullTranslations()
    file = resources.files("bridge.languages").joinpath("catalogues", f"{code}.po")
    compiled = io.BytesIO()
    write_mo(compiled, read_po(io.BytesIO(file.read_bytes()), locale=code))
    compiled.seek(0)
    return GNUTranslations(compiled)


def load_all_languages() -> None:
    """Read the catalogues and CLDR's data now: nobody who opens a page, and no other request, waits
    for it then.
    """
    for code in LANGUAGES:
        words = load_language(code)
        words.moment(_ANY_MOMENT, "Europe/Berlin")
        words.number(0.5)
