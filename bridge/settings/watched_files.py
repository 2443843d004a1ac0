"""Whether the configuration's files have changed, by their metadata in the file system.

No file is read, and no kernel notifications are needed, which network file systems and some
containers lack. The target of a symbolic link counts, so that a swapped link is noticed.
"""

from __future__ import annotations

from pathlib import Path

from bridge.settings.customer_files import FOLDER
from bridge.settings.listen import FILE_NAME

FilesSeen = frozenset[tuple[str, int, int, int, int]]


def take_files_snapshot(config_dir: Path) -> FilesSeen:
    """A snapshot of ``bridge.yaml``, what else is YAML beside it, and the customers' files; equal
    as long as none has changed.
    """
    folder = config_dir / FOLDER
    try:
        names = [path for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError:
        names = []
    beside = [path for path in config_dir.glob("*.yaml") if not path.name.startswith(".")]
    return frozenset(map(_state, (config_dir / FILE_NAME, *beside, folder, *names)))


def _state(path: Path) -> tuple[str, int, int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return str(path), 0, 0, 0, 0
    if path.name == FOLDER:  # it changes with every file in it, also with those that are not read
        return str(path), found.st_ino, 0, 0, 0
    return str(path), found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
