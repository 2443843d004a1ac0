"""Changes of the configuration's files show, however they are made."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.settings.watched_files import take_files_snapshot


def _write_in_place(file: Path) -> None:
    file.write_text("b: 2")


def _write_and_rename(file: Path) -> None:
    (new := file.with_name("4913")).write_text("b: 2")
    os.utime(new, ns=(0, file.stat().st_mtime_ns))
    new.replace(file)


def _swap_link(file: Path) -> None:
    """As Kubernetes does with its volumes."""
    (new := file.parent / "..2026_2").mkdir()
    (new / file.name).write_text("a: 1")
    (file.parent / "..data_tmp").symlink_to(new)
    (file.parent / "..data_tmp").replace(file.parent / "..data")


def _swap_folder(file: Path) -> None:
    """As a checkout does that is put in place of the one before."""
    file.parent.rename(file.parent.with_name("old"))
    file.parent.mkdir()
    (file.parent / file.name).write_text("a: 1")


def _remove_folder(file: Path) -> None:
    file.parent.rename(file.parent.with_name("old"))


def _change_bridge_yaml(file: Path) -> None:
    (file.parents[1] / "bridge.yaml").write_text("c: 3")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A customer's file, where Kubernetes would have put it."""
    folder = tmp_path / "customers"
    (folder / "..2026_1").mkdir(parents=True)
    (folder / "..2026_1" / "acme.yaml").write_text("a: 1")
    (folder / "..data").symlink_to("..2026_1")
    (folder / "acme.yaml").symlink_to("..data/acme.yaml")
    (tmp_path / "bridge.yaml").write_text("{}")
    return folder / "acme.yaml"


@pytest.mark.parametrize(
    "change",
    [
        _write_in_place,
        _write_and_rename,
        _swap_link,
        _swap_folder,
        _remove_folder,
        _change_bridge_yaml,
        Path.unlink,
    ],
)
def test_changes_show(file: Path, tmp_path: Path, change: Callable[[Path], None]) -> None:
    """Whatever an editor, a deployment or Kubernetes does to a file shows; without a change nothing
    does.
    """
    before = take_files_snapshot(tmp_path)
    assert take_files_snapshot(tmp_path) == before
    change(file)
    assert take_files_snapshot(tmp_path) != before


def test_hidden_files_do_not_count(file: Path, tmp_path: Path) -> None:
    """What an editor keeps beside the files is no change of theirs."""
    before = take_files_snapshot(tmp_path)
    (file.parent / ".acme.yaml.swp").write_text("b: 2")
    assert take_files_snapshot(tmp_path) == before
