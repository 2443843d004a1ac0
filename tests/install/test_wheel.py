"""The built wheel, in an environment that holds nothing but it and what the locks name."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

from tests.install.test_dist import checkout, dist
from tests.install.test_environment import PYTHON, ROOT, SCRIPT
from tests.redis_servers import free_port
from tests.test_locks import pinned

SAMPLES = (
    "HILFE.md",
    "README.md",
    "SETTINGS.md",
    "bridge.yaml",
    "customers/example.yaml.sample",
    "schema/bridge.schema.json",
    "schema/customer.schema.json",
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The one that is to be released, if ``BRIDGE_TEST_WHEEL`` names it.

    Else one built from a copy of the checkout that also holds what an administrator keeps there.
    """
    if released := os.environ.get("BRIDGE_TEST_WHEEL"):
        return Path(released).absolute()
    home = checkout(tmp_path_factory.mktemp("wheel"))
    (home / "config" / "customers" / "acme.yaml").write_text("secret", "utf-8")
    built: Path = dist.build_wheel(home, home, 1_000_000_000)
    return built


@pytest.fixture(scope="module")
def commands(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the commands of the new environment are."""
    place = tmp_path_factory.mktemp("environment")
    subprocess.run([PYTHON, "-m", "venv", "--without-pip", place], check=True, capture_output=True)
    (library,) = place.glob("lib/python*/site-packages")
    for name in {**pinned("run.txt"), **pinned("embedded.txt")}:
        _take_over(name, library)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import environment;"
        "pip = environment.Pip(environment.make(environment.Path(sys.argv[2])));"
        "pip.install('--no-index', sys.argv[3]); pip.check()"
    )
    command = [PYTHON, "-c", code, SCRIPT.parent, place, wheel]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    yield place / "bin"
    shutil.rmtree(place)


def _take_over(name: str, library: Path) -> None:
    """Copy a package of our own environment; what is for other systems is not there."""
    try:
        package = distribution(name)
    except PackageNotFoundError:
        return
    for file in package.files or ():
        source = Path(str(package.locate_file(file)))
        if ".." in file.parts or file.suffix == ".pyc" or not source.exists():
            continue
        target = library / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)


def run(commands: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    nothing = {"PATH": str(cwd), "HOME": str(cwd), "TMPDIR": str(cwd)}
    command = [commands / "assessment-bridge", *arguments]
    return subprocess.run(
        command, cwd=cwd, env=nothing, capture_output=True, text=True, timeout=100, check=False
    )


def test_samples_are_the_ones_in_config(wheel: Path) -> None:
    """The wheel has the files of config/ as they are, and nothing else that lies there."""
    with zipfile.ZipFile(wheel) as archive:
        prefix = "bridge/samples/"
        found = {
            name.removeprefix(prefix) for name in archive.namelist() if name.startswith(prefix)
        }
        assert found == set(SAMPLES)
        for name in SAMPLES:
            assert archive.read(prefix + name) == (ROOT / "config" / name).read_bytes()


@pytest.mark.redis
def test_demo(commands: Path, tmp_path: Path) -> None:
    """With the extra [embedded] the installed wheel plays the demo, far from any checkout and
    without a server on PATH.
    """
    done = run(commands, tmp_path, "demo")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert "Everything went as it should" in done.stdout


def test_config_init(commands: Path, tmp_path: Path) -> None:
    """The installed wheel writes the sample configuration, which it then accepts, and overwrites
    nothing.
    """
    done = run(commands, tmp_path, "config", "init", "here")
    assert done.returncode == 0, done.stderr
    for name in SAMPLES:
        assert (tmp_path / "here" / name).read_bytes() == (ROOT / "config" / name).read_bytes()
        assert (tmp_path / "here" / name).stat().st_mode & 0o007 == 0
    key = run(commands, tmp_path, "key", "new").stdout.strip()
    check = [commands / "assessment-bridge", "check", "--config", "here"]
    environment = {"PATH": os.defpath, "BRIDGE_SIGNING_KEY": key}
    assert (
        subprocess.run(
            check, cwd=tmp_path, env=environment, capture_output=True, check=False
        ).returncode
        == 0
    )


def test_config_init_overwrites_nothing(tmp_path: Path) -> None:
    """Where one of the files is there already, nothing is written at all, and it is named."""
    (tmp_path / "customers").mkdir()
    mine = tmp_path / "customers" / "example.yaml.sample"
    mine.write_text("mine", "utf-8")
    command = [sys.executable, "-m", "bridge", "config", "init", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert str(mine) in done.stderr
    assert mine.read_text("utf-8") == "mine"
    assert not (tmp_path / "bridge.yaml").exists()


@pytest.mark.redis
def test_traces_without_their_extra(commands: Path, tmp_path: Path) -> None:
    """Where traces are asked for and the extra [otel] is not installed, the log says once what to
    install, and the daemon serves all the same.
    """
    assert run(commands, tmp_path, "config", "init", "here").returncode == 0
    key = run(commands, tmp_path, "key", "new").stdout.strip()
    port, admin_port = free_port(), free_port()
    environment = {
        "PATH": str(tmp_path),
        "BRIDGE_SIGNING_KEY": key,
        "BRIDGE_LISTEN": f"127.0.0.1:{port}",
        "BRIDGE_ADMIN_LISTEN": f"127.0.0.1:{admin_port}",
        "BRIDGE_DATA_DIR": str(tmp_path / "data"),
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318",
    }
    command = [commands / "assessment-bridge", "serve", "--config", "here"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    ) as daemon:
        assert daemon.stderr is not None
        lines = []
        for line in daemon.stderr:
            lines.append(json.loads(line))
            if lines[-1]["event"] == "daemon.started":
                daemon.terminate()
        assert daemon.wait() == 0, lines
    (said,) = [line for line in lines if line["event"] == "tracing.unavailable"]
    assert said["level"] == "error"
    assert "pip install '.[otel]'" in said["text"]
