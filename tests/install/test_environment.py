"""``deploy/environment.py``: a lock installs as it is, whatever has been published since.

A folder of tiny packages stands in for an index, so nothing is fetched.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.install.packages import publish

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "deploy" / "environment.py"
PYTHON = Path(sys._base_executable)  # type: ignore[attr-defined]
"""The machine's Python, from which the environment of these tests was made."""


def install(home: Path, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the script with no index but the folder."""
    command = [PYTHON, SCRIPT, home / "venv", *arguments, "--without-uv"]
    closed = {
        "PATH": str(home / "no-compiler"),
        "HOME": str(home),
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(home / "index"),
        "PIP_CONFIG_FILE": os.devnull,
    }
    return subprocess.run(
        [str(one) for one in command],
        cwd=home,
        env=closed | environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def versions(home: Path, *names: str) -> list[str]:
    code = f"import {', '.join(names)}; print({', '.join(f'{name}.version' for name in names)})"
    return subprocess.check_output([home / "venv/bin/python", "-c", code], text=True).split()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A lock of three packages, in an index that has newer ones of each by now."""
    index = tmp_path / "index"
    index.mkdir()
    hashes = [
        publish(index, "tool", "1.0", ["cover[toml]>=7"]),
        publish(index, "cover", "7.0", ["reader; extra == 'toml'"], ("toml",)),
        publish(index, "reader", "3.0"),
    ]
    for name in ("tool", "cover", "reader"):
        publish(index, name, "99.0")
    pins = zip(("tool==1.0", "cover[toml]==7.0", "reader==3.0"), hashes, strict=True)
    (tmp_path / "lock.txt").write_text("".join(f"{pin} {one}\n" for pin, one in pins))
    return tmp_path


def test_newer_releases_do_no_harm(home: Path) -> None:
    """A lock with extras installs as it was made though everything has a newer release; a second
    run adds to the first.
    """
    done = install(home, "lock.txt", PIP_USER="1", PIP_REQUIRE_VIRTUALENV="1")
    assert done.returncode == 0, done.stderr
    assert versions(home, "tool", "cover", "reader") == ["1.0", "7.0", "3.0"]
    (home / "more.txt").write_text(
        f"more==2.0 {publish(home / 'index', 'more', '2.0', ['tool'])}\n"
    )
    done = install(home, "more.txt")
    assert done.returncode == 0, done.stderr
    assert versions(home, "more", "tool") == ["2.0", "1.0"]


def test_lock_with_a_gap(home: Path) -> None:
    """A lock in which something is missing is refused in the end, by name, and nothing is fetched
    in its place.
    """
    lock = home / "lock.txt"
    lock.write_text(lock.read_text().splitlines(keepends=True)[0])
    done = install(home, "lock.txt")
    assert done.returncode == 1
    assert "cover" in done.stderr
    assert "Traceback" not in done.stderr


def test_other_file_than_was_locked(home: Path) -> None:
    """A file that is not the one that was locked is refused."""
    publish(home / "index", "reader", "3.0", ["surprise"])
    done = install(home, "lock.txt")
    assert done.returncode == 1
    assert "HASH" in done.stderr.upper()


def test_what_a_machine_gets_no_files_for(home: Path) -> None:
    """A lock that is optional may fail, which is said; the rest is there."""
    (home / "server.txt").write_text(f"server==1.0 --hash=sha256:{'0' * 64}\n")
    done = install(home, "lock.txt", "--optional", "server.txt")
    assert done.returncode == 0, done.stderr
    assert "Without server.txt" in done.stderr
    assert versions(home, "tool") == ["1.0"]


def test_environment_of_another_python(home: Path) -> None:
    """An environment that is broken, or of another Python, is made anew."""
    assert install(home, "lock.txt").returncode == 0
    python = home / "venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/nowhere/python")
    done = install(home, "lock.txt")
    assert done.returncode == 0, done.stderr
    assert versions(home, "tool") == ["1.0"]


def test_settings_of_pip_are_passed_on() -> None:
    """uv fetches from where pip would: index, extra indexes, folders, authorities, proxy, and
    whatever hosts it trusts.
    """
    code = (
        "import json, sys; sys.path.insert(0, sys.argv[1]); import environment;"
        "print(json.dumps(environment.translated(json.loads(sys.argv[2]))))"
    )
    settings = (
        '{"index-url": "https://u:p@index.invalid/simple", "find-links": "/one\\n/two",'
        ' "extra-index-url": "https://a.invalid https://b.invalid", "cert": "/ca.pem",'
        ' "proxy": "http://proxy.invalid:3128", "trusted-host": "a.invalid", "timeout": "180"}'
    )
    command = [PYTHON, "-c", code, SCRIPT.parent, settings]
    given = subprocess.check_output([str(one) for one in command], text=True)
    for expected in (
        '"UV_DEFAULT_INDEX": "https://u:p@index.invalid/simple"',
        '"UV_INDEX": "https://a.invalid https://b.invalid"',
        '"UV_FIND_LINKS": "/one,/two"',
        '"SSL_CERT_FILE": "/ca.pem"',
        '"HTTPS_PROXY": "http://proxy.invalid:3128"',
        '"UV_INSECURE_HOST": "a.invalid"',
        '"UV_HTTP_TIMEOUT": "180"',
    ):
        assert expected in given
