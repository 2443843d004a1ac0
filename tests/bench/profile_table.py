"""Where the samples of a run fell: by library, by module, by function."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SHOWN = 30


def shorten(filename: str) -> tuple[str, str]:
    """The library and the module of a source file."""
    path = Path(filename)
    if "site-packages" in path.parts:
        parts = path.parts[path.parts.index("site-packages") + 1 :]
        return parts[0].removesuffix(".py"), "/".join(parts)
    if path.is_relative_to(ROOT):
        inside = path.relative_to(ROOT)
        return inside.parts[0], str(inside)
    package = path.parent.name
    name = path.stem if package.startswith("python3") or package == "" else package
    return f"python: {name}", f"python: {name}/{path.name}"


def _table(title: str, counts: Mapping[str, int], total: int) -> Iterator[str]:
    yield f"{title}"
    for name, count in Counter(counts).most_common(SHOWN):
        if count * 500 >= total:
            yield f"  {count / total:6.1%}  {name}"
    yield ""


def build_tables(seen: Mapping[str, Any]) -> Iterator[str]:
    """The lines to print, of what a sampler saw."""
    total = sum(seen["own"].values()) or 1
    libraries, modules, lines = Counter[str](), Counter[str](), Counter[str]()
    for name, count in seen["own"].items():
        filename, function, line = name.rsplit(":", 2)
        library, module = shorten(filename)
        libraries[library] += count
        modules[module] += count
        lines[f"{module}:{line} {function}"] += count
    inside = Counter[str]()
    for name, count in seen["total"].items():
        filename, function = name.rsplit(":", 1)
        _, module = shorten(filename)
        inside[f"{module} {function}"] += count
    yield f"{total} samples"
    yield from _table("self time by library", libraries, total)
    yield from _table("self time by module", modules, total)
    yield from _table("self time by line (with the C functions that it calls)", lines, total)
    yield from _table("time within a function, callees included", inside, total)
