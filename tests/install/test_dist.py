"""``deploy/dist.py``: what is released can be built again by anybody, and says what is in it."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import uuid
from pathlib import Path

from tests.install.test_environment import ROOT
from tests.test_locks import pinned

SOURCES = ("bridge", "config", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")
LOCKS = ROOT / "deploy" / "requirements"
AT = 1_767_225_600

_spec = importlib.util.spec_from_file_location("dist", ROOT / "deploy" / "dist.py")
assert _spec is not None
assert _spec.loader is not None
dist = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(dist)


def checkout(home: Path) -> Path:
    """A copy of what a wheel is built from, with times of its own."""
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(
                source, home / name, symlinks=True, ignore=ignored, copy_function=shutil.copyfile
            )
        else:
            shutil.copyfile(source, home / name)
    return home


def test_two_builds_are_the_same(tmp_path: Path) -> None:
    """Two builds of one commit, in other folders, at other times and under another umask, are the
    same byte for byte.
    """
    wheels = []
    for name, umask in (("one", 0o022), ("other/place", 0o077)):
        home = tmp_path / name
        home.mkdir(parents=True)
        before = os.umask(umask)
        try:
            wheels.append(dist.build_wheel(checkout(home), home / "built", AT))
        finally:
            os.umask(before)
    one, other = wheels
    assert one.name == other.name
    assert one.read_bytes() == other.read_bytes()


def test_bill_of_materials(tmp_path: Path) -> None:
    """The bill of materials is CycloneDX, names every pinned package once with its version, and is
    the same every time.
    """
    wheel = tmp_path / "softgarden_equalture_bridge-1.2.3-py3-none-any.whl"
    wheel.write_bytes(b"a wheel")
    bill = dist.bill_of_materials(wheel, LOCKS, AT)
    assert bill == dist.bill_of_materials(wheel, LOCKS, AT)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert uuid.UUID(bill["serialNumber"].removeprefix("urn:uuid:"))
    assert bill["metadata"]["component"]["version"] == "1.2.3"
    named = [(part["name"], part["version"], part["scope"]) for part in bill["components"]]
    required, optional = pinned("run.txt"), {**pinned("embedded.txt"), **pinned("otel.txt")}
    expected = {
        (name, str(one.specifier).removeprefix("=="), "required")
        for name, each in required.items()
        for one in each
    } | {
        (name, str(one.specifier).removeprefix("=="), "optional")
        for name, each in optional.items()
        for one in each
        if name not in required
    }
    assert sorted(named) == sorted(expected)
    references = [part["bom-ref"] for part in bill["components"]]
    assert bill["dependencies"] == [{"ref": "bridge", "dependsOn": references}]
    assert json.dumps(bill)
