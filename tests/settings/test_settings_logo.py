from __future__ import annotations

import base64
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from bridge.core.display import Logo

if TYPE_CHECKING:
    from conftest import Folder

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
    "gg=="
)
JPEG = b"\xff\xd8\xff\xe0" + bytes(40) + b"\xff\xd9"
ACME = f"""\
softgarden: {{tokens_sha256: ["{"a" * 64}"], client_id: "10"}}
equalture: {{client_id: acme, client_secret: hush}}
display:
  logo: %s
"""


@pytest.mark.parametrize(("content", "kind"), [(PNG, "image/png"), (JPEG, "image/jpeg")])
def test_a_logo_is_read(folder: Folder, content: bytes, kind: str) -> None:
    """The image is there with the type that its content has, whatever its file is called."""
    folder.customer(ACME % "customers/acme.svg")
    (folder.path / "customers" / "acme.svg").write_bytes(content)
    (customer,) = folder.load().customers
    assert customer.display.image == Logo(kind, content)


def test_a_changed_logo_is_a_changed_customer(folder: Folder) -> None:
    """A reload tells that the image is another one."""
    folder.customer(ACME % "logo.png")
    logo = folder.path / "logo.png"
    logo.write_bytes(PNG)
    before = folder.load().customers.get("acme")
    logo.write_bytes(JPEG)
    assert folder.load().customers.get("acme") != before


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("logo.png", None, "there is no file"),
        (".", None, "there is no file"),
        ("logo.png", b"", "neither a whole PNG nor a whole JPEG"),
        ("logo.svg", b"<svg onload='alert(1)'/>", "neither a whole PNG nor a whole JPEG"),
        ("logo.png", PNG[:40], "neither a whole PNG nor a whole JPEG"),
        ("logo.png", b"<script>" + PNG, "neither a whole PNG nor a whole JPEG"),
        ("logo.jpg", JPEG[:-2], "neither a whole PNG nor a whole JPEG"),
        ("logo.png", PNG + bytes(200_000), "larger than 200 kB"),
        ("../logo.png", None, "below the folder of the configuration"),
        ("/etc/passwd", None, "below the folder of the configuration"),
    ],
)
def test_a_broken_logo(folder: Folder, name: str, content: bytes | None, expected: str) -> None:
    """What is no image, too large or elsewhere is a mistake of that customer's file alone, with its
    place.
    """
    folder.customer(ACME % name)
    folder.customer(ACME.replace("a" * 64, "b" * 64) % "null", key="globex")
    if content is not None:
        folder.path.joinpath(name).write_bytes(content)
    ((line, column, message),) = folder.complaints()
    assert (line, column) == (4, 9)
    assert message.startswith("display.logo: ")
    assert expected in message


def test_a_logo_that_is_no_text(complaint_of: Callable[..., tuple[int, int, str]]) -> None:
    """It is refused as such, once."""
    *_, message = complaint_of(acme="display: {logo: [a.png]}\n")
    assert "display.logo: expected text" in message
