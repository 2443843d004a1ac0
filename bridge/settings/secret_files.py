"""Secrets in files of their own: ``client_secret_file: /run/secrets/acme``."""

from __future__ import annotations

import os.path
import stat
from dataclasses import replace
from pathlib import Path

from bridge.settings.findings import PositionedValue

SUFFIX = "_file"
MAX_BYTES = 64 * 1024


def read_secret(named: PositionedValue, warnings: list[str], *, many: bool) -> PositionedValue:
    """The content of the file that is *named*: one line, or with *many* a list with one entry per
    line.

    In a list empty lines and lines that begin with ``#`` are ignored. Relative paths start at the
    working directory. Raises ValueError, also if everyone may read the file.
    """
    file = named.value
    try:
        lines = _read(file, warnings).rstrip("\r\n").splitlines()
        if many:
            entries = [
                replace(named, value=line.strip(), note=f" (line {number} of {file})")
                for number, line in enumerate(lines, start=1)
                if line.strip() and not line.strip().startswith("#")
            ]
            if entries:
                return replace(named, value=entries)
        if not lines or not lines[0] or many:
            raise ValueError("the file is empty")
        if len(lines) > 1:
            raise ValueError(
                "the file holds more than one line; it must hold the secret and nothing else"
            )
        return replace(named, value=lines[0])
    except ValueError as error:
        raise ValueError(f"{_shown(file)}: {error}") from None


def _shown(file: str) -> str:
    """The path, if it is surely one: the secret itself may have been put in its place."""
    root, first, rest = Path(file).anchor, *file.lstrip("/").partition("/")[::2]
    sure = os.path.exists(file) or (rest and os.path.isdir(root + first))
    return file if sure else "the file named here"


def _read(file: str, warnings: list[str]) -> str:
    path, raw = Path(file), b""
    try:
        mode = (
            path.stat().st_mode
        )  # of the target of a symbolic link: that is what others would read
        if stat.S_ISREG(mode):
            with path.open("rb") as stream:
                raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        reason = error.strerror or "unknown reason"
        raise ValueError(f"the file cannot be read: {reason}") from None
    except ValueError:
        raise ValueError("this cannot be the path of a file") from None
    if not stat.S_ISREG(mode):
        raise ValueError("this is not a file")
    if mode & stat.S_IROTH:
        raise ValueError(f"everyone on this machine may read the secret: run chmod o= {file}")
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        warnings.append(f"{file}: others may change this secret: run chmod go-w {file}")
    if len(raw) > MAX_BYTES:
        raise ValueError("the file is larger than 64 KiB")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("the file does not hold UTF-8 text") from None
    if any(not (character.isprintable() or character in "\r\n\t") for character in text):
        raise ValueError("the file holds control characters")
    return text
