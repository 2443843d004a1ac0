"""``preview``: what becomes of sample results, without Redis, a vendor or a secret."""

from __future__ import annotations

import io
import webbrowser
from pathlib import Path

import pypdf
import pytest

from tests.cli.test_commands import Said, run

ACME = f"""\
softgarden: {{tokens_sha256: ["{"a" * 64}"], client_id: "10"}}
equalture: {{client_id: acme, client_secret: "${{NO_SUCH_SECRET}}", locale: de}}
display: {{name: ACME GmbH}}
results:
  score: ["{{fit_label}} ({{in_range}}/{{traits}})", "{{average}}"]
"""
BRIDGE = """\
public_url: https://bridge.example.com
signing_keys: ["${NO_SUCH_KEY}"]
encryption_keys: ["${NO_SUCH_KEY}"]
redis: {url: "redis://127.0.0.1:1/0"}
equalture: {base_url: "http://127.0.0.1:1"}
"""
NAMES = ["good", "poor", "no-profile", "long-names", "40-traits"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A configuration whose variables nobody has set, with a Redis and a vendor that are away."""
    (tmp_path / "customers").mkdir()
    (tmp_path / "bridge.yaml").write_text(BRIDGE)
    (tmp_path / "customers" / "acme.yaml").write_text(ACME)
    return tmp_path


def preview(folder: Path, *arguments: str | Path) -> Said:
    """Run it for acme, into a folder beside the configuration."""
    return run("preview", "acme", "--config", folder, "--to", folder / "shown", *arguments)


def text_of(pdf: Path) -> str:
    """A report on one line."""
    pages = pypdf.PdfReader(io.BytesIO(pdf.read_bytes())).pages
    return " ".join(" ".join(page.extract_text() for page in pages).split())


def test_scores_pages_and_reports(folder: Path) -> None:
    """Every sample has its score with the pattern that made it, a page and a report, all of which
    are this customer's.
    """
    said = preview(folder, "--json")
    assert said.code == 0, said.err
    assert (said.json["customer"], said.json["folder"]) == ("acme", str(folder / "shown"))
    rows = {row["name"]: row for row in said.json["results"]}
    assert list(rows) == NAMES
    first, second = "{fit_label} ({in_range}/{traits})", "{average}"
    assert {name: (row["score"], row["pattern"]) for name, row in rows.items()} == {
        "good": ("Hohe Passung (4/5)", first),
        "poor": ("Geringe Passung (1/5)", first),
        "no-profile": ("4.0", second),
        "long-names": ("Mittlere Passung (1/5)", first),
        "40-traits": ("Mittlere Passung (20/40)", first),
    }
    for name, row in rows.items():
        page = Path(row["page"]).read_text("utf-8")
        assert '<html lang="de">' in page
        assert "ACME GmbH" in page
        assert f'href="{name}.pdf?lang=de"' in page
        assert "ACME GmbH" in text_of(Path(row["pdf"]))
    assert "NO_SUCH_KEY, NO_SUCH_SECRET" in said.err


def test_for_people(folder: Path) -> None:
    """Without --json the same is said in lines; a sample without a score says why."""
    (folder / "customers" / "acme.yaml").write_text(ACME.replace(', "{average}"', ""))
    said = preview(folder)
    assert said.code == 0
    assert 'score  Hohe Passung (4/5)  by "{fit_label} ({in_range}/{traits})"' in said.out
    assert "score  none: no pattern has all its values" in said.out
    assert str(folder / "shown" / "good.html") in said.out


def test_which_variables_are_missing(folder: Path) -> None:
    """Those that the files need are named; what a comment explains is not."""
    file = folder / "bridge.yaml"
    file.write_text(f"# Any value may be ${{NAME}}.\n{file.read_text()}log: {{}}  # ${{OTHER}}\n")
    said = preview(folder)
    assert (said.code, "NO_SUCH_KEY" in said.err) == (0, True)
    assert not {"NAME", "OTHER"} & set(said.err.replace(",", " ").split())


def test_in_a_language_and_with_questions(folder: Path) -> None:
    """--lang is the language of page and report; the score stays in the customer's. The interview
    guide is there where the customer has it, the report only where the customer wants one.
    """
    with (folder / "customers" / "acme.yaml").open("a") as file:
        file.write("  interview_guide: true\n  report: false\n")
    said = preview(folder, "--lang", "en", "--json")
    (_, poor, *_) = said.json["results"]
    assert (poor["score"], poor["pdf"]) == ("Geringe Passung (1/5)", None)
    page = Path(poor["page"]).read_text("utf-8")
    assert "Question for the interview" in page
    assert "poor.pdf" not in page
    assert sorted(one.name for one in (folder / "shown").iterdir()) == sorted(
        f"{name}.html" for name in NAMES
    )


def test_into_a_folder_of_its_own(folder: Path) -> None:
    """Without --to the files are in a new folder, which is named."""
    said = run("preview", "acme", "--config", folder, "--json")
    assert Path(said.json["folder"]).is_dir()
    assert Path(said.json["results"][0]["page"]).parent == Path(said.json["folder"])


def test_the_browser(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--open shows the pages in the browser, and does no harm where there is none."""
    shown: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: shown.append(url) or True)
    assert preview(folder, "--open").code == 0
    assert [Path(url).name for url in shown] == [f"{name}.html" for name in NAMES]
    monkeypatch.setattr(webbrowser, "open", lambda url: False)
    said = preview(folder, "--open")
    assert (said.code, said.err.count("There is no browser here")) == (0, 1)


def test_who_is_not_there(folder: Path) -> None:
    """An unknown customer is 1, with who may be meant; a broken file is 2, with its mistakes; a
    page that cannot be written is 1.
    """
    unknown = run("preview", "acmee", "--config", folder)
    assert (unknown.code, "did you mean 'acme'?" in unknown.err) == (1, True)
    (folder / "shown" / "good.html").mkdir(parents=True)
    assert preview(folder).code == 1
    (folder / "customers" / "acme.yaml").write_text(ACME.replace("{average}", "{averag}"))
    broken = preview(folder)
    assert (broken.code, "acme.yaml:5:" in broken.err) == (2, True)
