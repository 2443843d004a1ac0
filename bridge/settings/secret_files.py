"""Secrets in files of their own: ``client_secret_file: /run/secrets/acme`` for ``client_secret``."""

from __future__ import annotations

import os.path
import stat
from collections.abc import Iterator
from pathlib import Path

SUFFIX = "_file"
MAX_BYTES = 64 * 1024


class UnusableFileError(Exception):
    """The file cannot be used, in words of ours."""


def shown_path(file: str) -> str:
    """The path for a message, where it is surely one: somebody may have put the secret itself in
    its place.
    """
    root, first, rest = Path(file).anchor, *file.lstrip("/").partition("/")[::2]
    sure = os.path.exists(file) or (rest and os.path.isdir(root + first))
    return file if sure else "the file named here"


def one_line(text: str) -> str:
    """The only line of *text*; raises UnusableFileError for none or more."""
    lines = text.rstrip("\r\n").splitlines()
    if not lines or not lines[0]:
        raise UnusableFileError("the file is empty")
    if len(lines) > 1:
        raise UnusableFileError(
            "the file holds more than one line; it must hold the secret and nothing else"
        )
    return lines[0]


def numbered_lines(text: str) -> Iterator[tuple[int, str]]:
    """The entries of *text*, one a line, and their numbers; empty lines and ``# ...`` do not count."""
    for number, line in enumerate(text.splitlines(), start=1):
        if (entry := line.strip()) and not entry.startswith("#"):
            yield number, entry


def read_secret(file: str, warnings: list[str]) -> str:
    """What the file holds; relative paths start at the working directory.

    Raises UnusableFileError also where everyone may read it.
    """
    path = Path(file)
    try:
        # Of what a symbolic link leads to: that is what others would read.
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UnusableFileError("this is not a file")
        if status.st_mode & stat.S_IROTH:
            raise UnusableFileError(
                f"everyone on this machine may read the secret: run chmod o= {file}"
            )
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            warnings.append(f"{file}: others may change this secret: run chmod go-w {file}")
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        reason = error.strerror or "unknown reason"
        raise UnusableFileError(f"the file cannot be read: {reason}") from None
    except ValueError:
        raise UnusableFileError("this cannot be the path of a file") from None
    if len(raw) > MAX_BYTES:
        raise UnusableFileError("the file is larger than 64 KiB")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnusableFileError("the file does not hold UTF-8 text") from None
    if any(not (character.isprintable() or character in "\r\n\t") for character in text):
        raise UnusableFileError("the file holds control characters")
    return text
