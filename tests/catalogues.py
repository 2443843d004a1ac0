"""Collects the messages of code and templates and brings the catalogues up to date: ``make
catalogues``; a test compares.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from bridge.languages.language import LANGUAGES, SOURCE

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "bridge" / "languages" / "catalogues"
_METHODS = [("bridge/**.py", "python"), ("bridge/**/templates/**.html", "jinja2")]
_KEYWORDS = {"_": None, "N_": None, "gettext": None, "ngettext": (1, 2)}


def collected() -> Catalog:
    """Every message of the source."""
    catalog = Catalog()
    found = extract_from_dir(
        str(ROOT / "bridge"),
        method_map=[(pattern.removeprefix("bridge/"), method) for pattern, method in _METHODS],
        options_map={"**/templates/**.html": {"silent": "false"}},
        keywords=_KEYWORDS,
    )
    for file, _, message, _, _ in found:
        catalog.add(message, locations=[(f"bridge/{file}", 0)])
    return catalog


def read(code: str) -> Catalog:
    """The catalogue of a language; an empty one where there is none yet."""
    file = FOLDER / f"{code}.po"
    if not file.exists():
        return Catalog(locale=code)
    return read_po(io.BytesIO(file.read_bytes()), locale=code)


def updated(code: str) -> bytes:
    """The catalogue with exactly the messages of the source; new ones are empty."""
    catalog = read(code)
    catalog.update(collected(), no_fuzzy_matching=True)
    catalog.obsolete.clear()
    target = io.BytesIO()
    write_po(target, catalog, omit_header=True, sort_output=True, include_lineno=False, width=100)
    return target.getvalue()


def untranslated(code: str) -> Iterator[str]:
    """Messages of the catalogue without a whole translation."""
    for message in read(code):
        if message.id:
            texts = message.string if isinstance(message.string, tuple) else (message.string,)
            if message.fuzzy or not all(texts):
                yield str(message.id)


if __name__ == "__main__":
    for each in LANGUAGES:
        if each != SOURCE:
            (FOLDER / f"{each}.po").write_bytes(updated(each))
            for one in untranslated(each):
                sys.stdout.write(f"not translated, {each}: {one}\n")
