"""Tests use what everybody may use: a test of a private name breaks when nothing is broken."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent
ALLOWED = {
    # Python's own: the interpreter that a virtual environment was made of
    "install/test_environment.py: sys._base_executable",
    # asyncio's own: a loop runs what it was given
    *(f"simulation/event_loop.py: handle.{name}" for name in ("_callback", "_context", "_run")),
}
"""Shrinks. What a test cannot see from outside deserves a public way, or no test."""


OF_NAMED_TUPLES = {"_asdict", "_field_defaults", "_replace"}
"""Begin with an underscore so that no field can have such a name; everybody may use them."""


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in OF_NAMED_TUPLES


def _own_names(tree: ast.Module) -> set[str]:
    """Names that this file itself defines: functions, classes, and what it sets on ``self``."""
    names = set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name) | ast.AsyncFunctionDef(name) | ast.ClassDef(name):
                names.add(name)
            case ast.Attribute(ast.Name("self" | "cls"), name, ast.Store()):
                names.add(name)
    return names


def _private_uses(tree: ast.Module) -> Iterator[str]:
    own = _own_names(tree)
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(ast.Name("self" | "cls")):
                continue
            case ast.Attribute(_, name) if _is_private(name) and name not in own:
                yield ast.unparse(node)
            case ast.ImportFrom(module, names) if module and module.split(".")[0] == "bridge":
                yield from (f"{module}.{one.name}" for one in names if _is_private(one.name))
            case ast.Call(ast.Attribute(_, "setattr") | ast.Name("getattr" | "setattr")):
                texts = (one.value for one in node.args if isinstance(one, ast.Constant))
                yield from (text for text in texts if isinstance(text, str) and _is_private(text))


def test_tests_use_no_private_names() -> None:
    """No test imports, reads or sets a name that begins with an underscore, but for those that are
    listed here; and every one listed is still needed.
    """
    found = {
        f"{path.relative_to(TESTS)}: {use}"
        for path in TESTS.rglob("*.py")
        for use in _private_uses(ast.parse(path.read_text("utf-8")))
    }
    assert found - ALLOWED == set()
    assert ALLOWED - found == set()
