"""What stands in the PDF: its standards, its structure, its fonts and its text."""

from __future__ import annotations

import io
import re
from collections.abc import AsyncIterator, Iterator
from importlib import resources

import pikepdf
import pypdf
import pytest

from bridge.core.assessment import Result, Trait
from bridge.core.display import DisplaySettings
from bridge.languages.language import LANGUAGES, load_language
from bridge.report.renderer import ReportRenderer
from bridge.report.report_text import ReportOrder, write_report
from tests.report.orders import LONGEST, NOTHING, TRAITS, USUAL, ordered

HOSTILE = (
    '#image("/etc/passwd") #read("x") *b* _i_ $a$ @ref <l> `raw` \\u{41} [c] // c /* */'
    " = - + \x00\x07\u202e \U0001f389 \u05e9\u05dc {{7*7}} </script> %PDF- endobj (x) Tj "
    + "W"
    * 150
)
_XMP = {
    "{http://www.aiim.org/pdfua/ns/id/}part": "1",
    "{http://www.aiim.org/pdfa/ns/id/}part": "2",
    "{http://www.aiim.org/pdfa/ns/id/}conformance": "A",
}


@pytest.fixture
async def renderer() -> AsyncIterator[ReportRenderer]:
    made = ReportRenderer(patience_s=60)
    yield made
    await made.close()


async def made(order: ReportOrder, renderer: ReportRenderer, code: str = "de") -> bytes:
    """The PDF."""
    return await renderer.render(write_report(order, load_language(code)))


def structure(document: pikepdf.Pdf) -> Iterator[pikepdf.Dictionary]:
    """Every element of the structure tree, in reading order."""

    def walk(node: object) -> Iterator[pikepdf.Dictionary]:
        if isinstance(node, pikepdf.Array):
            for one in node:
                yield from walk(one)
        elif isinstance(node, pikepdf.Dictionary) and "/S" in node:
            yield node
            yield from walk(node.get("/K"))

    yield from walk(document.Root.StructTreeRoot.K)


def tags(document: pikepdf.Pdf) -> list[str]:
    """The names of its elements."""
    return [str(one.S).removeprefix("/") for one in structure(document)]


def condensed(text: str) -> str:
    """*text* without what a line's end may add or take."""
    return re.sub(r"[\s\u00ad\u2010\u200b\u00a0-]+", "", text)


def text_of(raw: bytes) -> str:
    """Everything that can be read, or copied, from the PDF."""
    pages = pypdf.PdfReader(io.BytesIO(raw)).pages
    return condensed("".join(page.extract_text() for page in pages))


def strings(value: object) -> Iterator[str]:
    """Every text in plain data."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from strings(one)


@pytest.mark.parametrize("code", LANGUAGES)
async def test_it_claims_both_standards(renderer: ReportRenderer, code: str) -> None:
    """It says that it is PDF/UA-1 and PDF/A-2a, with title and language, and is tagged."""
    order = ordered()
    with pikepdf.open(io.BytesIO(await made(order, renderer, code))) as document:
        assert str(document.docinfo["/CreationDate"]) == "D:20261124151800Z"
        with document.open_metadata() as metadata:
            assert {key: metadata[key] for key in _XMP} == _XMP
            assert metadata["{http://purl.org/dc/elements/1.1/}title"] == str(
                write_report(order, load_language(code))["title"]
            )
        root = document.Root
        assert str(root.Lang) == code
        assert root.MarkInfo.Marked
        assert root.ViewerPreferences.DisplayDocTitle
        assert len(root.OutputIntents) == 1


async def test_its_structure(renderer: ReportRenderer) -> None:
    """Headings, a table with a row for each trait, and a text for every picture."""
    text = write_report(ordered(), load_language("de"))
    with pikepdf.open(io.BytesIO(await renderer.render(text))) as document:
        found = tags(document)
        assert [tag for tag in found if tag.startswith("H")] == ["H1", "H2", "H2", "H2"]
        assert found.count("Table") == 2
        assert found.count("TH") == 3 + 2
        assert found.count("TR") == len(TRAITS) + 1 + len(USUAL.summary) + 1
        pictures = [str(one.Alt) for one in structure(document) if one.S == "/Figure"]
        assert pictures == [trait["value"] for trait in text["traits"]]  # type: ignore[attr-defined]
        heads = [one for one in structure(document) if one.S == "/TH"]
        assert {str(one.A[0].Scope) for one in heads} == {"/Column"}


async def test_its_fonts_are_within(renderer: ReportRenderer) -> None:
    """Every font is embedded, and says which characters its shapes mean."""
    with pikepdf.open(io.BytesIO(await made(ordered(LONGEST), renderer))) as document:
        fonts = {
            str(font.BaseFont): font
            for page in document.pages
            for font in page.Resources.get("/Font", {}).values()
        }
        assert len(fonts) == 2
        for font in fonts.values():
            assert "/ToUnicode" in font
            assert "/FontFile2" in font.DescendantFonts[0].FontDescriptor


@pytest.mark.parametrize("code", LANGUAGES)
async def test_everything_can_be_read(renderer: ReportRenderer, code: str) -> None:
    """What the report is to say, it says, in every language."""
    text = write_report(ordered(), load_language(code))
    raw = await renderer.render(text)
    seen, pages = text_of(raw), len(pypdf.PdfReader(io.BytesIO(raw)).pages)
    text["page"] = str(text["page"]).format(page=1, pages=pages)
    unseen = ("title", "author", "language", "running")
    for gap in text["gaps"]["named"]:  # type: ignore[index]
        del gap["position"]
    for trait in text["traits"]:  # type: ignore[attr-defined]
        del trait["position"], trait["value"]
    del text["fit"]["level"]  # type: ignore[attr-defined]
    shown = {key: value for key, value in text.items() if key not in unseen}
    assert [one for one in strings(shown) if condensed(one) not in seen] == []


async def test_a_usual_one_is_a_page(renderer: ReportRenderer) -> None:
    """A result of eight traits is one page of less than 100 kB, and always the same bytes."""
    raw = await made(ordered(), renderer)
    assert len(raw) < 100_000
    assert len(pypdf.PdfReader(io.BytesIO(raw)).pages) == 1
    another = ReportRenderer(patience_s=60)
    assert await made(ordered(), another) == raw
    await another.close()


async def test_the_longest(renderer: ReportRenderer) -> None:
    """A hundred traits and lines of 500 characters are all there, with a header on each further
    page and its number.
    """
    raw = await made(ordered(LONGEST), renderer)
    pages = pypdf.PdfReader(io.BytesIO(raw)).pages
    seen = text_of(raw)
    assert seen.count(condensed("Wort für Wort. " * 33)) == 200
    for number, page in enumerate(pages, start=1):
        text = page.extract_text()
        assert f"Seite {number} von {len(pages)}" in text
        assert "app-1001" in text


async def test_nothing_at_all(renderer: ReportRenderer) -> None:
    """A result without fit, traits and lines is still a report, without empty tables."""
    raw = await made(ordered(NOTHING, name="", application="", display=DisplaySettings()), renderer)
    with pikepdf.open(io.BytesIO(raw)) as document:
        assert "Table" not in "".join(tags(document))
    assert condensed("Keine Passung angegeben") in text_of(raw)


async def test_without_a_profile(renderer: ReportRenderer) -> None:
    """Values that nothing is compared with have no column for a comparison."""
    raw = await made(ordered(Result(traits=TRAITS[-1:])), renderer)
    with pikepdf.open(io.BytesIO(raw)) as document:
        assert tags(document).count("TH") == 2
    assert condensed("Werte ohne Vergleich") in text_of(raw)


async def test_every_listed_character_has_a_shape(renderer: ReportRenderer) -> None:
    """The fonts have all characters that are said to be printable, upright and bold: PDF/A refuses
    a text that no font can show.
    """
    listed = resources.files("bridge.report").joinpath("fonts", "characters.txt").read_text("ascii")
    ranges = (line.split("-") for line in listed.split())
    characters = [chr(n) for a, b in ranges for n in range(int(a, 16), int(b, 16) + 1)]
    words = ["".join(characters[at : at + 40]) for at in range(0, len(characters), 40)]
    traits = tuple(Trait("x", word, 3, word) for word in words)
    await made(ordered(Result("high", traits=traits)), renderer)


async def test_hostile_words_are_only_words(renderer: ReportRenderer) -> None:
    """Markup of the typesetter, of PDF and of pages, controls and what turns the direction are
    shown as text, and lead nowhere.
    """
    order = ordered(
        Result(
            HOSTILE,
            "https://x.example/",
            ((HOSTILE, HOSTILE),),
            tuple(one._replace(name=HOSTILE, description=HOSTILE, code=HOSTILE) for one in TRAITS),
        ),
        name=HOSTILE,
        application=HOSTILE,
        display=DisplaySettings(name=HOSTILE),
    )
    raw = await made(order, renderer)
    seen = text_of(raw)
    assert seen.count(condensed('#image("/etc/passwd") #read("x") *b* _i_ $a$')) > len(TRAITS)
    assert seen.count(condensed("{{7*7}} </script>")) > len(TRAITS)
    assert seen.count("W" * 150) > 2 * len(TRAITS)
    assert "\u202e" not in seen
    with pikepdf.open(io.BytesIO(raw)) as document:
        assert not {"/OpenAction", "/AA", "/AcroForm"} & set(document.Root.keys())
        assert "/JavaScript" not in document.Root.get("/Names", {})
        assert not any("/Annots" in page or "/AA" in page for page in document.pages)
        assert "H3" not in tags(document)
