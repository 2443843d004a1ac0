"""What the code promises about itself: names that mean one thing, vendors in their packages, and
pieces that fit a reader's head.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BRIDGE = ROOT / "bridge"
MODULES = {path: ast.parse(path.read_text("utf-8")) for path in sorted(BRIDGE.rglob("*.py"))}

ONE_PER_VENDOR = {"handlers", "package", "schemas", "settings"}
"""Each vendor's package has a module of this name, and ``settings`` is also the package."""
FREE_OF_VENDORS = ("core", "report", "service", "settings", "store", "web")
VENDOR = re.compile("equalture|softgarden", re.IGNORECASE)
LONGEST_MODULE = 350
MOST_POSITIONAL = 5


def _shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_no_two_classes_share_a_name() -> None:
    """A public class is the only one of its name, wherever it stands."""
    places: dict[str, list[str]] = defaultdict(list)
    for path, tree in MODULES.items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(_shown(path))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_no_two_modules_share_a_name() -> None:
    """A module is the only one of its name, but for what each vendor's package has."""
    places: dict[str, list[str]] = defaultdict(list)
    for path in MODULES:
        name = path.parent.name if path.name == "__init__.py" else path.stem
        if name not in ONE_PER_VENDOR and path.name != "__main__.py":
            places[name].append(_shown(path))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_no_module_hides_what_it_imports() -> None:
    """A module has no name of a library that it imports, nor one of a test module."""
    hidden = []
    for path, tree in MODULES.items():
        imported = {
            name.partition(".")[0]
            for node in ast.walk(tree)
            for name in (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
        }
        if path.stem in imported or re.match("tests?(_|$)", path.stem):
            hidden.append(_shown(path))
    assert hidden == []


def test_no_class_looks_like_a_test() -> None:
    """Nothing has to tell pytest that it is no test."""
    classes = [
        f"{_shown(path)}: {node.name}"
        for path, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test")
    ]
    assert classes == []


def _vendor_words() -> Iterator[str]:
    rooms = [path for room in FREE_OF_VENDORS for path in (BRIDGE / room).rglob("*")]
    for path in [*rooms, *BRIDGE.glob("*.py")]:
        if path.suffix not in {".py", ".lua", ".html", ".css", ".typ"}:
            continue
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
            if VENDOR.search(line):
                yield f"{_shown(path)}:{number}: {line.strip()}"


def test_vendors_are_named_in_their_packages_only() -> None:
    """Neither code, comment nor text of the neutral rooms names a vendor."""
    assert list(_vendor_words()) == []


@pytest.mark.parametrize("path", MODULES, ids=_shown)
def test_a_module_can_be_read_at_a_sitting(path: Path) -> None:
    """No module is longer than 350 lines, and no function takes more than five arguments by
    place.
    """
    assert len(path.read_text("utf-8").splitlines()) <= LONGEST_MODULE
    crowded = [
        node.name
        for node in ast.walk(MODULES[path])
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and len([arg for arg in (*node.args.posonlyargs, *node.args.args) if arg.arg != "self"])
        > MOST_POSITIONAL
    ]
    assert crowded == []
