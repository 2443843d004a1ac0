"""Warnings about other users who may write the configuration, or read the secrets in it."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path


def check_exposure(path: Path, *, secret: bool = False) -> Iterator[str]:
    """Warnings about this file or folder; *secret*: it contains one."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return  # reading the file reports that
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        yield f"{path}: others than its owner may change it: run chmod go-w {path}"
    if secret and mode & stat.S_IROTH:
        yield (
            f"{path}: everyone on this machine may read it, and it holds a secret:"
            f" run chmod o= {path}"
        )
