"""What the documents name exists: files, the names in them, links and headings."""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.app import CONFIGURATION
from bridge.core.invitation_view import InvitationViewStatus
from bridge.languages.language import load_language
from bridge.meter import CALL_OUTCOMES

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    path
    for folder in (".", ".github", "config", "deploy")
    for path in (ROOT / folder).glob("*.md" if folder != ".github" else "**/*.md")
)
PLACES = ("", "bridge", "tests", "tests/security")
"""Where a path in a document may begin, beside the document's own folder."""
TOPS = ("bridge", "config", "deploy", "tests", ".github")
HISTORY = {"CHANGELOG.md"}
"""Speaks of what there was."""
ELSEWHERE = {"customers/", "appendonlydir/", "dist/", ".bench/report.json"}
"""In an installation, in Redis's folder, made by ``make dist`` or ``make bench``."""
ENDINGS = r"py|lua|md|ya?ml|cfg|toml|txt|json|sample|service|html|css"
CODE = re.compile(r"```.*?```|`([^`\n]+)`", re.DOTALL)
A_PATH = re.compile(rf"(?:[\w.*-]+/)*[\w.*-]+\.(?:{ENDINGS})|(?:\.?[\w-]+/)+")
NAMED = re.compile(r"([\w./-]+\.py)(?:::|: )(\w+(?:\.\w+)*)")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def code_in(document: Path) -> Iterator[str]:
    """The words in back-quotes; not the blocks."""
    for match in CODE.finditer(document.read_text("utf-8")):
        if match[1]:
            yield match[1]


def found(document: Path, path: str) -> Path | None:
    """Where this path leads to; a file's name alone may stand for one in any folder."""
    for place in (document.parent, *(ROOT / place for place in PLACES)):
        if any(place.glob(path.rstrip("/"))) if "*" in path else (place / path).exists():
            return place / path
    if "/" not in path:
        return next((place for top in TOPS for place in (ROOT / top).rglob(path)), None)
    return None


def names_in(module: Path) -> set[str]:
    """Classes, functions, methods and constants, with their class before them."""
    names: set[str] = set()

    def walk(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            match node:
                case ast.ClassDef(name):
                    names.add(prefix + name)
                    walk(node.body, f"{prefix}{name}.")
                case ast.FunctionDef(name) | ast.AsyncFunctionDef(name):
                    names.add(prefix + name)
                case ast.Assign([ast.Name(name)]) | ast.AnnAssign(ast.Name(name)):
                    names.add(prefix + name)

    walk(ast.parse(module.read_text("utf-8")).body, "")
    return names


def anchors_in(document: Path) -> set[str]:
    """The headings as a link names them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text("utf-8"), re.MULTILINE)
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in kept}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_path_exists(document: Path) -> None:
    """Every file and folder that a document names in back-quotes is there."""
    if document.name in HISTORY:
        return
    paths = (re.split(r"[:\s]", code)[0] for code in code_in(document))
    named = {path for path in paths if A_PATH.fullmatch(path)} - ELSEWHERE
    assert {path for path in named if found(document, path) is None} == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_name_exists(document: Path) -> None:
    """Every function, class and test that a document names with its file is in that file."""
    missing = set()
    for path, name in NAMED.findall(document.read_text("utf-8")):
        module = found(document, path)
        if module is None or name not in names_in(module):
            missing.add(f"{path}: {name}")
    assert missing == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_works(document: Path) -> None:
    """Every relative link leads to a file, and where it names a heading to that heading."""
    broken = set()
    for link in LINK.findall(document.read_text("utf-8")):
        if re.match(r"https?:|mailto:", link):
            continue
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        if not target.exists() or (anchor and anchor not in anchors_in(target)):
            broken.add(link)
    assert broken == set()


def test_the_index_of_decisions_is_complete() -> None:
    """Every decision stands in the index, and every one in the index is there."""
    folder = ROOT / ".github" / "decisions"
    listed = set(LINK.findall((folder / "README.md").read_text("utf-8")))
    assert listed == {path.name for path in folder.glob("0*.md")}


def test_outcomes_of_calls_are_documented() -> None:
    """What metrics call the outcomes of calls to vendors stands in the table of the metrics."""
    text = (ROOT / "deploy" / "README.md").read_text("utf-8")
    (row,) = [line for line in text.splitlines() if line.startswith("| `upstream_requests_total")]
    assert set(CALL_OUTCOMES) <= set(re.findall(r"`(\w+)`", row))


def test_the_customer_in_the_readme(tmp_path: Path) -> None:
    """The customer in five lines is one that the bridge takes."""
    block = re.search(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    assert block is not None
    (tmp_path / "customers").mkdir()
    (tmp_path / "customers" / "acme.yaml").write_text(block[1], "utf-8")
    shutil.copy(ROOT / "config" / "bridge.yaml", tmp_path)
    environ = {
        "BRIDGE_SIGNING_KEY": "A" * 43,
        "ACME_SECRET": "s",
        "ACME_TOKEN_SHA256": "9" * 64,
    }
    customers = CONFIGURATION.load(tmp_path, environ).customers
    assert customers.get("acme") is not None


def test_every_room_is_on_the_map() -> None:
    """Every module and package right below the product's own stands in the map of its rooms."""
    text = (ROOT / ".github" / "ARCHITECTURE.md").read_text("utf-8")
    rooms = text[text.index("## The rooms") : text.index("## The journey of an invite")]
    tops = {path.name for path in (ROOT / "bridge").glob("[a-z]*.py")}
    tops |= {f"{path.parent.name}/" for path in (ROOT / "bridge").glob("*/__init__.py")}
    assert {name for name in tops if f"`{name}`" not in rooms} == set()


def test_help_for_hr_speaks_as_the_pages_do() -> None:
    """The German help page names each state with softgarden's word and with the page's."""
    text = (ROOT / "config" / "HILFE.md").read_text("utf-8")
    messages = {"PENDING": "Not finished yet", "COMPLETED": "Completed on", "EXPIRED": "Expired"}
    assert set(messages) == {status.name for status in InvitationViewStatus}
    for status, message in messages.items():
        assert f"| `{status}` | {load_language('de').gettext(message)} |" in text
