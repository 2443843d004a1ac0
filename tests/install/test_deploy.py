"""What is deployed: the build context holds no secret; unit and image say what the code does, and
are valid where a tool can tell.
"""

from __future__ import annotations

import configparser
import os
import re
import subprocess
from fnmatch import fnmatch
from pathlib import Path

import pytest

import bridge
from bridge import connection_limits
from bridge.cli.configuration_commands import SAMPLES
from tests.install.test_environment import ROOT

CONTAINERFILE = (ROOT / "deploy" / "Containerfile").read_text("utf-8")
UNIT = ROOT / "deploy" / "assessment-bridge.service"
PINNED = re.compile(r"[a-z/]+:[a-z0-9.-]*\d[a-z0-9.-]*@sha256:[0-9a-f]{64}")


def run(*command: str | Path, **environ: str) -> str:
    """What a command prints; it must succeed."""
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **environ}, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def sent(path: str) -> bool:
    """Is this file sent to whoever builds the image?

    The last rule of .dockerignore that fits decides.
    """
    kept = True
    for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines():
        rule = line.strip()
        if not rule or rule.startswith("#"):
            continue
        pattern = rule.removeprefix("!").removeprefix("**/")
        parts = path.split("/")
        prefixes = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
        if any(fnmatch(prefix, pattern) for prefix in prefixes) or (
            rule.startswith("**/") and any(fnmatch(part, pattern) for part in parts)
        ):
            kept = rule.startswith("!")
    return kept


def test_build_context_is_closed() -> None:
    """No secret, no data and no history is sent to whoever builds the image; what the image is made
    of, is.
    """
    for path in (
        *(
            ".env",
            ".git/config",
            ".data/appendonly.aof",
            ".venv/bin/python",
            "secrets/key",
            "config/.env",
        ),
        *(
            "config/customers/acme.yaml",
            "config/signing-keys",
            "tests/fakes.py",
            "deploy/other.pem",
        ),
        *("bridge/__pycache__/app.pyc", "dump.rdb", "id_rsa"),
    ):
        assert not sent(path), path
    copied = re.findall(r"^COPY (?!--)(.+) \S+$", CONTAINERFILE, re.MULTILINE)
    names = [name for line in copied for name in line.split()]
    assert {"bridge", "setup.cfg", "deploy/requirements/run.txt"} <= set(names)
    for name in names:
        files = list((ROOT / name).rglob("*.*")) if (ROOT / name).is_dir() else [ROOT / name]
        assert any(sent(str(file.relative_to(ROOT))) for file in files), name
    for name in SAMPLES:
        assert sent(f"config/{name}"), name


def unit() -> configparser.ConfigParser:
    read = configparser.ConfigParser(strict=False, interpolation=None)
    read.optionxform = str  # type: ignore[assignment,method-assign]
    read.read(UNIT)
    return read


def test_unit_has_limits() -> None:
    """The unit bounds memory, core dumps, files and the network; the number of callers in it is the
    code's.
    """
    service = unit()["Service"]
    assert service["LimitCORE"] == "0"
    assert service["MemoryMax"]
    assert "10.0.0.0/8" in service["IPAddressDeny"].split()
    files = int(service["LimitNOFILE"])
    text = UNIT.read_text("utf-8")
    assert f"callers get {connection_limits.allocate_connections(files).public:,} of these" in text


def test_unit_is_told() -> None:
    """systemd learns from the bridge itself when it serves, and ends one that says nothing."""
    service = unit()["Service"]
    assert service["Type"] == "notify"
    assert service["WatchdogSec"]
    assert service["ExecReload"] == "kill -HUP $MAINPID"


@pytest.mark.systemd
def test_unit_holds(tmp_path: Path) -> None:
    """systemd finds no mistake in the unit, and an exposure of 1.5 at most."""
    here = tmp_path / UNIT.name
    here.write_text(re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text("utf-8")))
    run("systemd-analyze", "verify", here)
    run("systemd-analyze", "security", "--offline=true", "--threshold=15", here)


def test_image_is_pinned_and_stamped() -> None:
    """Both stages begin with one base of a digest; version, user, labels and a health check that is
    cheap and not too frequent are the image's.
    """
    (base,) = re.findall(r"^ARG PYTHON=(.+)$", CONTAINERFILE, re.MULTILINE)
    assert PINNED.fullmatch(base)
    stages = re.findall(r"^FROM (\S+)", CONTAINERFILE, re.MULTILINE)
    assert stages == ["${PYTHON}", "${PYTHON}"]
    versions = re.findall(r"^ARG VERSION=(.+)$", CONTAINERFILE, re.MULTILINE)
    assert versions == [bridge.__version__] * 2
    final = CONTAINERFILE.rpartition("\nFROM ")[2]
    for label in ("title", "description", "version", "revision", "licenses"):
        assert f"org.opencontainers.image.{label}=" in final
    assert "\nUSER 10001:10001\n" in final
    check = re.search(r"HEALTHCHECK --interval=(\d+)s .* CMD (\[.*\])", final)
    assert check is not None
    assert int(check[1]) >= 30
    assert check[2] == '["assessment-bridge", "healthcheck"]'


@pytest.mark.hadolint
def test_image_has_nothing_to_complain_of() -> None:
    """hadolint finds nothing in the Containerfile."""
    run("hadolint", ROOT / "deploy" / "Containerfile")
