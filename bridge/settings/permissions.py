"""Who else may write the configuration, or read the secrets in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path as FilePath
from typing import Any

from bridge.settings.document import Document, Path
from bridge.settings.environment import Expanded
from bridge.settings.secret_files import OTHERS_MAY_READ, OTHERS_MAY_WRITE


def exposed(path: FilePath, *, secret: bool = False) -> Iterator[str]:
    """Warnings about this file or folder; *secret*: it holds one."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return  # whoever reads it says so
    if mode & OTHERS_MAY_WRITE:
        yield f"{path}: others than its owner may change it: run chmod go-w {path}"
    if secret and mode & OTHERS_MAY_READ:
        yield f"{path}: everyone on this machine may read it, and it holds a secret: run chmod o= {path}"


def holds_secret(document: Document, secrets: Iterable[Path]) -> bool:
    """Whether one of the *secrets* stands in the file itself: neither in a variable nor in a file
    of its own.
    """
    return any(_written(document.at(*path)) for path in secrets)


def _written(value: Any) -> bool:
    match value:
        case list():
            return any(map(_written, value))
        case Expanded():
            return value.written
        case str():
            # A Redis URL without credentials is no secret.
            _, found, rest = value.partition("://")
            return bool(value) and (not found or "@" in rest or "password=" in rest)
    return False
