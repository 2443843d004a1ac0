"""``make lock-check``: the locks install as they are, with old and new pips, whatever was published
since.

Fetches what the locks name, and some pips, from where this machine's pip fetches; puts a newer
release of each package beside it; and makes environments from that folder alone, without a compiler
or a server.
Needs the standard library only.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from tests.install.packages import publish

ROOT = Path(__file__).parents[2]
LOCKS = ROOT / "deploy" / "requirements"
OLDEST = {11: "22.3", 12: "23.2.1", 13: "24.2", 14: "25.2"}
"""The pip that the first release of each Python brings."""
CONFUSED = "23.2.1"
"""The last line of pips that take ``coverage`` and ``coverage[toml]`` for two packages."""
VERSIONS = """
import json, sys
from importlib.metadata import distributions
print(json.dumps({one.metadata["Name"]: one.version for one in distributions()}))
"""


def main() -> int:
    """Try every pip; 1 where an environment is not what the locks say."""
    with tempfile.TemporaryDirectory(prefix="lock-check-") as folder:
        return check(Path(folder))


def check(home: Path) -> int:
    """Fetch, publish newer releases, and try every pip with and without uv."""
    index = home / "index"
    for lock in LOCKS.glob("*.txt"):
        only = ("--no-deps", "--only-binary=:all:", "--require-hashes")
        pip("download", *only, "-d", index, "-r", lock)
    locked = pins()
    for name in locked:
        publish(index, name.replace("-", "_"), "9999.0")
    failures = 0
    oldest = OLDEST.get(sys.version_info.minor, CONFUSED)
    for number, wanted in enumerate(dict.fromkeys((f"pip=={oldest}", f"pip=={CONFUSED}", "pip"))):
        program = home / f"pip-{number}"
        pip("download", "--no-deps", "-d", program, wanted)
        (wheel,) = program.glob("pip-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(program)
        for how in ([], ["--without-uv"]):
            begun = time.monotonic()
            complaint = attempt(home / f"venv-{number}-{len(how)}", index, program, how, locked)
            failures += complaint is not None
            title = f"{wheel.name.split('-')[1]} {'alone' if how else 'and uv'}"
            took = f"{time.monotonic() - begun:.0f} s"
            sys.stdout.write(f"pip {title}: {complaint or f'as locked, {took}'}\n")
            sys.stdout.flush()
    return 1 if failures else 0


def attempt(
    place: Path, index: Path, program: Path, how: list[str], locked: dict[str, str]
) -> str | None:
    """Make both stages of the environment and play the demo in it; what is wrong."""
    nothing = place.parent / "nothing"
    nothing.mkdir(exist_ok=True)
    closed = {
        "PATH": str(nothing),  # no compiler
        "HOME": str(nothing),
        "PYTHONPATH": str(program),
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(index),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_CACHE_DIR": "1",
        "UV_NO_CACHE": "1",
    }
    first = [LOCKS / "run.txt", LOCKS / "build.txt", LOCKS / "embedded.txt", "--project", ROOT]
    for stage in (first, [LOCKS / "dev.txt", LOCKS / "bench.txt"]):
        command = [sys.executable, ROOT / "deploy" / "environment.py", place, *stage, *how]
        done = run(command, closed)
        if done.returncode != 0:
            return done.stdout + done.stderr
    if (place / ".uv").exists() is bool(how):
        return "uv was not used" if not how else "uv was used"
    demo = run([place / "bin" / "assessment-bridge", "demo"], closed)
    if demo.returncode != 0:
        return f"the demo failed: {demo.stdout[-1500:]}{demo.stderr}"
    found = run([place / "bin" / "python", "-I", "-c", VERSIONS], closed).stdout
    strange = {
        name: version
        for name, version in re.findall(r'"([^"]+)": "([^"]+)"', found)
        if locked.get(normal(name), version) != version
    }
    return f"not as locked: {strange}" if strange else None


def pins() -> dict[str, str]:
    """The version of each package in the locks."""
    text = "".join(lock.read_text("utf-8") for lock in LOCKS.glob("*.txt"))
    found = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ ;\\]+)", text, re.MULTILINE)
    return {normal(name): version for name, version in found}


def normal(name: str) -> str:
    """A package's name as locks spell it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pip(*arguments: object) -> None:
    """This machine's pip, with its own settings."""
    done = run([sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments])
    if done.returncode != 0:
        sys.exit(done.stdout + done.stderr)


def run(
    command: list[object], environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """The command, ended."""
    return subprocess.run(
        [str(part) for part in command],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


if __name__ == "__main__":
    sys.exit(main())
