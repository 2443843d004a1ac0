"""The one value that ``healthcheck`` needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bridge.errors import ConfigError
from bridge.readiness_probe import read_plain_listen_address
from bridge.settings.listen import DEFAULT, read_listen_address
from bridge.settings.rules import ListenAddress

if TYPE_CHECKING:
    from conftest import Folder

SAMPLE = Path(__file__).parents[2] / "config" / "bridge.yaml"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("listen: 127.0.0.1:1", ListenAddress("127.0.0.1", 1)),
        ("x: {listen: a:2}\ny: [listen, b:3]\n'listen': '[::1]:4'\n", ListenAddress("::1", 4)),
        ("a: {b: {c: [1, {d: e}]}}\nlisten: h:5", ListenAddress("h", 5)),
        (
            (
                "signing_keys: ['${UNSET}']\nnonsense: 1\nlisten:"
                " ${HOST}:${PORT:-6}\nredis: {url: '${UNSET}'}"
            ),
            ListenAddress("x", 6),
        ),
        ("listen: h:7\nredis: [}", ListenAddress("h", 7)),
        ("listen: [a]\npublic_url: http://x", DEFAULT),
        ("public_url: http://x", DEFAULT),
        ("", DEFAULT),
    ],
)
def test_found(folder: Folder, text: str, found: ListenAddress) -> None:
    """The address is found whatever is wrong with everything else, and whatever stands behind
    it.
    """
    folder.bridge(text)
    assert read_listen_address(folder.path, {"HOST": "x"}) == found


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
        read_listen_address(folder.path, {})
    assert message in str(caught.value)


def test_no_file(folder: Folder) -> None:
    """A folder without the file is a wrong configuration."""
    with pytest.raises(ConfigError, match="cannot be read"):
        read_listen_address(folder.path / "nowhere", {})


def test_costs_little(tmp_path: Path) -> None:
    """In the form that containers use, ``healthcheck`` imports neither click nor PyYAML, and of the
    bridge nothing but what asks; in any form nothing of what makes other commands slow to start.
    """
    (tmp_path / "bridge.yaml").write_text("listen: 127.0.0.1:1\n")
    usual = imported("bridge.__main__", "healthcheck", "--config", str(tmp_path))
    assert {name for name in usual if name.partition(".")[0] == "bridge"} == {
        "bridge",
        "bridge.__main__",
        "bridge.readiness_probe",
    }
    assert {"click", "yaml", "dataclasses"} & usual == set()
    other = imported("bridge.__main__", "healthcheck", f"--config={tmp_path}")
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
    assert "click" in other
    assert heavy & other == set()


def imported(module: str, *arguments: str) -> set[str]:
    """The modules that this command has imported when it ends."""
    code = (
        "import atexit, sys, importlib; sys.argv[1:] = sys.argv[2:];"
        " atexit.register(lambda: print(*sys.modules));"
        f" importlib.import_module({module!r}).main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "x", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "text",
    [
        "listen: 127.0.0.1:9\n",
        "a: 1\nlisten:   '0.0.0.0:8080'   # here\nadmin_listen: 127.0.0.1:1\n",
        'listen: "${SET:-0.0.0.0:8080}"\n',
        'listen: "${EMPTY:-0.0.0.0:8080}"\n',
        "listen: ${SET}\n",
        "listen: ${UNSET}\n",
        "listen: ${UNSET:-1.2.3.4:5}\n",
        "listen: 1.2.3.4:99999\n",
        "listen: 1.2.3.4\n",
        "listen: localhost:80\n",
        'listen: "[::1]:80"\n',
        "listen: \"0.0.0.0:80'\n",
        "listen: &a 1.2.3.4:5\n",
        "listen:\n  1.2.3.4:5\n",
        "listen:1.2.3.4:5\n",
        "listen: 1.2.3.4:5#6\n",
        "listen: 1.2.3.4:5\n listen: 6\n",
        "listen: 1.2.3.4:5\nlisten: 1.2.3.4:6\n",
        "a:\n  listen: 1.2.3.4:5\n",
        "a: |\n  x\n  listen: 1.2.3.4:5\n",
        "{listen: '1.2.3.4:5'}\n",
        "",
    ],
)
def test_healthcheck_needs_no_yaml(folder: Folder, text: str) -> None:
    """Where ``healthcheck`` finds the address without reading YAML, it is what YAML says."""
    folder.bridge(text)
    environ = {"SET": "10.0.0.1:80", "EMPTY": ""}
    found = read_plain_listen_address(text, environ)
    try:
        address = read_listen_address(folder.path, environ)
    except ConfigError:
        assert found is None
    else:
        assert found in (None, (address.host, address.port))


def test_the_samples_listen_is_plain() -> None:
    """The address in the file that ``config init`` writes is found without reading YAML, with the
    environment's value or without.
    """
    text = SAMPLE.read_text("utf-8")
    assert read_plain_listen_address(text, {}) == ("0.0.0.0", 8080)
    assert read_plain_listen_address(text, {"BRIDGE_LISTEN": "127.0.0.1:99"}) == ("127.0.0.1", 99)
