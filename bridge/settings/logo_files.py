"""The employer's logo: an image file that a customer's file names (``display.logo``)."""

from __future__ import annotations

import re
from pathlib import Path

from bridge.core.display import Logo
from bridge.settings.files_below import find_file_below

MAX_BYTES = 200_000
_PNG = re.compile(rb"\x89PNG\r\n\x1a\n\0\0\0\rIHDR.+IEND\xaeB`\x82\s*\Z", re.DOTALL)
_JPEG = re.compile(rb"\xff\xd8\xff.+\xff\xd9\s*\Z", re.DOTALL)


def read_logo(folder: Path, name: str) -> Logo:
    """The image *name* below the *folder* of the configuration.

    Raises ValueError with what is wrong. What the file is, its content says, not its name: pages
    hand it to browsers as that.
    """
    file = find_file_below(folder, name)
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise ValueError(f"the image cannot be read: {error.strerror}") from None
    if len(content) > MAX_BYTES:
        raise ValueError(f"the image is larger than {MAX_BYTES // 1000} kB")
    if _PNG.match(content):
        return Logo("image/png", content)
    if _JPEG.match(content):
        return Logo("image/jpeg", content)
    raise ValueError("the file is neither a whole PNG nor a whole JPEG image, whatever its name is")
