"""Builds what is released: ``python3 deploy/dist.py [DIST]``, or ``make dist``.

The wheel of the commit that is checked out, byte for byte the same wherever and whenever it is
built, beside a bill of materials (``*.cdx.json``, CycloneDX 1.6) and the digests of both. What is
not committed is not built. Needs Git and the setuptools of ``requirements/build.txt``.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
LOCKS = {"run.txt": "required", "embedded.txt": "optional", "otel.txt": "optional"}
"""What the bridge runs with, and what only its extras need."""
BUILD = "from setuptools import build_meta; print(build_meta.build_wheel('dist'))"
PINNED = re.compile(
    r"^(?P<name>[A-Za-z0-9._-]+)(?:\[.*\])?==(?P<version>\S+)(?: ; (?P<marker>.*?))?(?: \\)?$"
)


def build_wheel(source: Path, target: Path, at: int) -> Path:
    """Build the wheel of this folder, a copy that is thrown away afterwards.

    *at*, in seconds since 1970, is the time of all its files.
    """
    for path in source.rglob("*"):
        if path.is_file() and not path.is_symlink():
            path.chmod(0o644)  # else the wheel would hold what this machine's umask made of them
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(at), "PYTHONHASHSEED": "0"}
    done = subprocess.run(
        [sys.executable, "-c", BUILD],
        cwd=source,
        env=environment,
        umask=0o022,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    (built,) = (source / "dist").glob("*.whl")
    target.mkdir(parents=True, exist_ok=True)
    return built.rename(target / built.name)


def bill_of_materials(wheel: Path, locks: Path, at: int) -> dict[str, Any]:
    """What the wheel is installed with, from the lock files: CycloneDX 1.6.

    Each lock is named by its digest, for it holds the digest of every file that may be installed.
    """
    _, version, *_ = wheel.name.split("-")
    this = {
        "type": "application",
        "bom-ref": "bridge",
        "name": "softgarden-equalture-bridge",
        "version": version,
        "hashes": [{"alg": "SHA-256", "content": _digest(wheel)}],
    }
    parts: dict[str, dict[str, Any]] = {}
    for lock, scope in LOCKS.items():
        for part in _components(locks / lock, scope):
            parts.setdefault(part["bom-ref"], part)
    serial = uuid.uuid5(uuid.NAMESPACE_URL, f"{wheel.name} {_digest(wheel)}")
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(at, UTC).isoformat(),
            "component": this,
            "properties": [
                {"name": f"bridge:lock:{lock}:sha256", "value": _digest(locks / lock)}
                for lock in LOCKS
            ],
        },
        "components": list(parts.values()),
        "dependencies": [{"ref": "bridge", "dependsOn": list(parts)}],
    }


def _components(lock: Path, scope: str) -> list[dict[str, Any]]:
    found = []
    for line in lock.read_text("utf-8").splitlines():
        pin = PINNED.match(line)
        if pin is None:
            continue
        purl = f"pkg:pypi/{pin['name'].lower()}@{pin['version']}"
        part: dict[str, Any] = {
            "type": "library",
            "bom-ref": purl,
            "name": pin["name"],
            "version": pin["version"],
            "scope": scope,
            "purl": purl,
        }
        if pin["marker"]:
            part["properties"] = [{"name": "bridge:marker", "value": pin["marker"]}]
        found.append(part)
    return found


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=True).stdout


def main(target: Path) -> None:
    """Build into *target* and say what was built."""
    at = int(_git("log", "-1", "--format=%ct"))
    with tempfile.TemporaryDirectory() as folder:
        committed = _git("archive", "HEAD")
        subprocess.run(["tar", "-x", "-C", folder], input=committed, umask=0o022, check=True)
        wheel = build_wheel(Path(folder), target, at)
        document = bill_of_materials(wheel, Path(folder, "deploy", "requirements"), at)
    bill = wheel.with_suffix(".cdx.json")
    bill.write_text(json.dumps(document, indent=2) + "\n", "utf-8")
    digests = "".join(f"{_digest(file)}  {file.name}\n" for file in (wheel, bill))
    (target / "SHA256SUMS").write_text(digests, "utf-8")
    print(digests, end="")


if __name__ == "__main__":
    main(Path(*sys.argv[1:2] or ["dist"]).absolute())
