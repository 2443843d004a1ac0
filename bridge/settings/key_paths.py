"""Which key stands at a place of a file, with all above it: ``tests.items[2].job_id``."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import lru_cache
from pathlib import Path

import yaml

from bridge.errors import ConfigError
from bridge.settings.yaml_mistakes import convert_mark
from bridge.settings.yaml_source import MAX_DEPTH, read_text

Place = tuple[int, int]


def find_key_path(file: Path, line: int, column: int, known: Collection[str]) -> str:
    """The path of the key that is *known* and stands, or whose value stands, at this place.

    Empty where nothing is there, or the file cannot be read. A key that is not known ends the path:
    it may be a piece of a secret.
    """
    return dict(_places(file, frozenset(known))).get((line, column), "")


@lru_cache(maxsize=64)
def _places(file: Path, known: frozenset[str]) -> tuple[tuple[Place, str], ...]:
    try:
        root = yaml.compose(read_text(file), Loader=yaml.SafeLoader)
    except (ConfigError, yaml.YAMLError, ValueError, OverflowError, RecursionError):
        return ()
    return tuple(_walk(root, "", known, set())) if root is not None else ()


def _walk(
    node: yaml.Node, path: str, known: frozenset[str], seen: set[int]
) -> Iterator[tuple[Place, str]]:
    yield _place(node), path
    if id(node) in seen or path.count(".") + path.count("[") > MAX_DEPTH:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for number, entry in enumerate(node.value):
            yield from _walk(entry, f"{path}[{number}]", known, seen)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = f"{path}.{key.value}".lstrip(".") if _named(key, known) else ""
            yield _place(key), inner or path
            if inner:
                yield from _walk(value, inner, known, seen)


def _named(key: yaml.Node, known: frozenset[str]) -> bool:
    return isinstance(key, yaml.ScalarNode) and key.value in known


def _place(node: yaml.Node) -> Place:
    where = convert_mark(node.start_mark)
    return where.line, where.column
