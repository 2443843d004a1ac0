"""``check``: what is wrong is shown like a good compiler does, to people and to programs."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.test_configuration import SHIPPED, Folder, run

BROKEN = """\
softgarden:
  tokens_sha256: ["{digest}"]
  client_id: "10"
equalture:
  client_id: acme
  client_secert: hush-hush-1
  client_secret: "hush-hush-2"   # before: hush-hush-3
tests:
  items:
    - id: engineer
      job_id: job-1
    - id: sales
      job_id: job-2
    - id: support
      job_id: 12
      duration: soon
  hidden:
    - job-3
    - 5
"""


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.fixture
def broken(folder: Folder) -> Path:
    """A folder with four mistakes in one customer's file, one in another, one in bridge.yaml."""
    folder.daemon["log"] = {"level": "loud"}
    config = folder.write()
    (config / "customers" / "acme.yaml").write_text(BROKEN.format(digest="a" * 64))
    (config / "customers" / "globex.yaml").write_text("softgarden:\n  a: b\n   c: d\n")
    return config


def test_source_and_caret(broken: Path) -> None:
    """Each mistake has its place, the whole path of its key with the index, a code, two lines of
    the file and a caret; the last line counts.
    """
    said = run("check", "--config", broken)
    assert (said.returncode, said.stdout) == (2, "")
    file = broken / "customers" / "acme.yaml"
    assert (
        f"{file}:15:15: tests.items[2].job_id: expected text, found the number 12;"
        " put it into quotes  [wrong-value]\n"
        "  14 |     - id: support\n"
        "  15 |       job_id: 12\n"
        "     |               ^\n"
    ) in said.stderr
    assert "tests.hidden[1]: " in said.stderr
    assert "equalture.client_secert: unknown key" in said.stderr
    assert f"{broken / 'customers' / 'globex.yaml'}:3:4: " in said.stderr
    assert said.stderr.endswith("\n6 mistakes in 3 files.\n")
    assert "\x1b" not in said.stderr


def test_no_secret_in_the_source(broken: Path) -> None:
    """Neither the value of a secret, nor that of a key like one, nor a comment is shown."""
    said = run("check", "--config", broken)
    assert "  6 |   client_secert: ***\n" in said.stderr
    assert "hush" not in said.stderr
    assert "a" * 64 not in said.stderr


def test_json(broken: Path) -> None:
    """``--json`` has each mistake with file, line, column, path, code and message."""
    said = run("check", "--json", "--config", broken)
    assert (said.returncode, said.stderr) == (2, "")
    found = json.loads(said.stdout)
    assert len(found["mistakes"]) == 6
    assert {
        "file": str(broken / "customers" / "acme.yaml"),
        "line": 6,
        "column": 3,
        "path": "equalture.client_secert",
        "code": "unknown-key",
        "message": "unknown key 'client_secert'; did you mean 'client_secret'?",
    } in found["mistakes"]


def test_github(broken: Path) -> None:
    """``--github`` has one annotation for each mistake, escaped as workflows want it."""
    said = run("check", "--github", "--config", broken)
    assert said.returncode == 2
    lines = said.stdout.splitlines()
    assert len(lines) == 6
    file = broken / "customers" / "acme.yaml"
    assert (
        f"::error file={file},line=16,col=17,title=wrong-value::tests.items[2].duration: expected"
        " a whole number of minutes, at least 1, or null, found the text 'soon'"
    ) in lines


def test_a_good_configuration(folder: Folder) -> None:
    """Where nothing is wrong, programs and workflows are told that, with 0."""
    config = folder.write()
    (config / "customers" / "acme.yaml").chmod(0o600)
    (config / "bridge.yaml").chmod(0o600)
    said = run("check", "--json", "--config", config)
    assert said.returncode == 0
    assert json.loads(said.stdout) == {
        "config": str(config),
        "customers": ["acme"],
        "mistakes": [],
        "warnings": [],
    }
    assert run("check", "--github", "--config", config).returncode == 0
    assert run("check", "--github", "--json", "--config", config).returncode == 2


@pytest.mark.parametrize(("no_color", "colored"), [("", True), ("1", False)])
def test_color_on_a_terminal(broken: Path, no_color: str, colored: bool) -> None:
    """On a terminal the words are coloured, unless NO_COLOR says otherwise."""
    master, terminal = pty.openpty()
    command = [sys.executable, "-m", "bridge", "check", "--config", str(broken)]
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SHIPPED.parent), "NO_COLOR": no_color}
    done = subprocess.run(command, stderr=terminal, env=environ, timeout=60, check=False)
    os.close(terminal)
    said = os.read(master, 65536)
    os.close(master)
    assert done.returncode == 2
    assert (b"\x1b[31m" in said) is colored
