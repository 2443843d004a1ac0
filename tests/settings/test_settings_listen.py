"""The one value that ``healthcheck`` needs."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bridge.errors import ConfigError
from bridge.settings.listen import DEFAULT, listen_address
from bridge.settings.rules import Address

if TYPE_CHECKING:
    from conftest import Folder


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("listen: 127.0.0.1:1", Address("127.0.0.1", 1)),
        ("x: {listen: a:2}\ny: [listen, b:3]\n'listen': '[::1]:4'\n", Address("::1", 4)),
        ("a: {b: {c: [1, {d: e}]}}\nlisten: h:5", Address("h", 5)),
        (
            (
                "signing_keys: ['${UNSET}']\nnonsense: 1\nlisten:"
                " ${HOST}:${PORT:-6}\nredis: {url: '${UNSET}'}"
            ),
            Address("x", 6),
        ),
        ("listen: h:7\nredis: [}", Address("h", 7)),
        ("listen: [a]\npublic_url: http://x", DEFAULT),
        ("public_url: http://x", DEFAULT),
        ("", DEFAULT),
    ],
)
def test_found(folder: Folder, text: str, found: Address) -> None:
    """The address is found whatever is wrong with everything else, and whatever stands behind
    it.
    """
    folder.bridge(text)
    assert listen_address(folder.path, {"HOST": "x"}) == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("listen: nowhere", "bridge.yaml:1:9: listen: expected HOST:PORT"),
        ("listen: ${UNSET}", "bridge.yaml:1:9: listen: the environment variable UNSET is not set"),
        ("listen:", "expected HOST:PORT"),
        ("a: }\nlisten: h:1", "bridge.yaml:1:4: cannot be read as far as the key 'listen'"),
        ("a: \x01", "cannot be read as far as"),
    ],
)
def test_not_found(folder: Folder, text: str, message: str) -> None:
    """What cannot be told is told with its place."""
    folder.bridge(text)
    with pytest.raises(ConfigError) as caught:
        listen_address(folder.path, {})
    assert message in str(caught.value)


def test_no_file(folder: Folder) -> None:
    """A folder without the file is a wrong configuration."""
    with pytest.raises(ConfigError, match="cannot be read"):
        listen_address(folder.path / "nowhere", {})


def test_costs_little() -> None:
    """``healthcheck`` imports nothing of what makes the other commands slow to start."""
    code = (
        "import sys, bridge.cli, bridge.cli.healthcheck;"
        " print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    heavy = {
        "aiohttp",
        "marshmallow",
        "redis",
        "structlog",
        "rich",
        "asyncio",
        "ssl",
        "uvloop",
        "jinja2",
        "orjson",
    }
    assert heavy & set(done.stdout.split()) == set()
