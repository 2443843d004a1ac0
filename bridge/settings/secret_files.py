"""Secrets in files of their own: ``client_secret_file: /run/secrets/acme`` instead of
``client_secret: ...``.
"""

from __future__ import annotations

import os.path
import stat
from collections.abc import Iterable
from pathlib import Path as FilePath

from bridge.settings.document import Document, Path

SUFFIX = "_file"
MAX_BYTES = 64 * 1024
OTHERS_MAY_READ = stat.S_IROTH
OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


def fill_in(document: Document, single: Iterable[Path], lists: Iterable[Path] = ()) -> None:
    """Replace every ``x_file`` by the ``x`` that it holds, for the paths of the secrets *single*
    and *lists*.

    A *single* secret's file holds one line; that of a list one entry a line, and empty lines and
    lines that begin with ``#`` do not count. Relative paths start at the working directory. An
    empty value (``"${NAME:-}"``) counts as left out. What is wrong, such as both forms at once or a
    file that everyone may read, is put among the complaints.
    """
    for path in single:
        _fill_in(document, path, many=False)
    for path in lists:
        _fill_in(document, path, many=True)


def _fill_in(document: Document, path: Path, *, many: bool) -> None:
    section = document.at(*path[:-1])
    name = str(path[-1])
    if not isinstance(section, dict) or name + SUFFIX not in section:
        return
    file_path = (*path[:-1], name + SUFFIX)
    file = section.pop(name + SUFFIX)
    if file_path in document.broken:
        document.broken.add(path)
    elif not isinstance(file, str | None):
        document.complain(file_path, "expected the path of a file, as text")
        document.broken.add(path)
    elif file and section.get(name):
        first = document.position(path, key=True).line
        document.complain(
            file_path,
            f"give either {name!r} (line {first}) or {name + SUFFIX!r}, not both",
            key=True,
        )
        document.broken.add(path)
    elif file:
        document.values[path] = document.values[file_path]
        try:
            section[name] = _lines(document, path, file) if many else _line(document, file)
        except _Unusable as error:
            document.complain(file_path, f"{_named(file)}: {error}")
            document.broken.add(path)


class _Unusable(Exception):
    """The file cannot be used, in words of ours."""


def _named(file: str) -> str:
    """The path for a message, where it is surely one: somebody may have put the secret itself in
    its place.
    """
    root, first, rest = FilePath(file).anchor, *file.lstrip("/").partition("/")[::2]
    sure = os.path.exists(file) or (rest and os.path.isdir(root + first))
    return file if sure else "the file named here"


def _line(document: Document, file: str) -> str:
    lines = _read(document, file).rstrip("\r\n").splitlines()
    if not lines or not lines[0]:
        raise _Unusable("the file is empty")
    if len(lines) > 1:
        raise _Unusable(
            "the file holds more than one line; it must hold the secret and nothing else"
        )
    return lines[0]


def _lines(document: Document, path: Path, file: str) -> list[str]:
    entries: list[str] = []
    for number, line in enumerate(_read(document, file).splitlines(), start=1):
        if entry := line.strip():
            if entry.startswith("#"):
                continue
            document.notes[(*path, len(entries))] = f" (line {number} of {file})"
            entries.append(entry)
    if not entries:
        raise _Unusable("the file is empty")
    return entries


def _read(document: Document, file: str) -> str:
    path = FilePath(file)
    try:
        # Of what a symbolic link leads to: that is what others would read.
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise _Unusable("this is not a file")
        if status.st_mode & OTHERS_MAY_READ:
            raise _Unusable(f"everyone on this machine may read the secret: run chmod o= {file}")
        if status.st_mode & OTHERS_MAY_WRITE:
            document.warnings.append(
                f"{file}: others may change this secret: run chmod go-w {file}"
            )
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise _Unusable(f"the file cannot be read: {error.strerror or 'unknown reason'}") from None
    except ValueError:
        raise _Unusable("this cannot be the path of a file") from None
    if len(raw) > MAX_BYTES:
        raise _Unusable("the file is larger than 64 KiB")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _Unusable("the file does not hold UTF-8 text") from None
    if any(not (character.isprintable() or character in "\r\n\t") for character in text):
        raise _Unusable("the file holds control characters")
    return text
