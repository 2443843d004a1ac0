"""The catalogues hold exactly what code and templates say."""

from __future__ import annotations

import re

import pytest

from bridge.languages.language import LANGUAGES, SOURCE
from tests import catalogues

OTHERS = [code for code in LANGUAGES if code != SOURCE]
_FIELD = re.compile(r"%\(\w+\)[sd]")


@pytest.mark.parametrize("code", OTHERS)
def test_catalogue_is_up_to_date(code: str) -> None:
    """A catalogue has every message of the source and no other: `make catalogues` writes it."""
    assert (catalogues.FOLDER / f"{code}.po").read_bytes() == catalogues.updated(code)


@pytest.mark.parametrize("code", OTHERS)
def test_everything_is_translated(code: str) -> None:
    """No message is shown in English to whoever reads another language."""
    assert list(catalogues.untranslated(code)) == []


@pytest.mark.parametrize("code", OTHERS)
def test_translations_use_the_same_fields(code: str) -> None:
    """What a message fills in is filled in in its translation too."""
    for message in catalogues.read(code):
        if isinstance(message.id, str) and message.id:
            assert set(_FIELD.findall(message.id)) == set(_FIELD.findall(str(message.string)))
