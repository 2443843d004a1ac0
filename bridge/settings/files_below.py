"""Files that a customer's file names: below the folder of the configuration, nowhere else."""

from __future__ import annotations

from pathlib import Path, PurePosixPath


def find_file_below(folder: Path, name: str) -> Path:
    """The file *name* below *folder*; raises ValueError with what is wrong."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError("expected the path of a file below the folder of the configuration")
    try:
        if (folder / path).is_file():
            return folder / path
    except OSError as error:
        raise ValueError(f"the file cannot be read: {error.strerror}") from None
    raise ValueError(f"there is no file {path} below the folder of the configuration")
