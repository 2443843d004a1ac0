"""``check --online``: what Equalture says of every customer, at once."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.sandbox import EqualtureSandbox
from tests.cli.test_configuration import Folder, run


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.fixture
async def equalture() -> AsyncIterator[EqualtureSandbox]:
    async with EqualtureSandbox() as sandbox:
        sandbox.add_account("acme", "hush", [("job-1", "Sales"), ("job-2", "Sales")])
        yield sandbox


async def test_hidden_and_namesakes(folder: Folder, equalture: EqualtureSandbox) -> None:
    """A job that is hidden, but not listed, is named like a mapped one, with 1; tests of one name
    are told apart by their jobs.
    """
    folder.daemon["equalture"]["base_url"] = equalture.base_url
    folder.customer["tests"] = {"hidden": ["job-9"]}
    config = folder.write()
    said = await asyncio.to_thread(run, "check", "--online", "--config", config)
    assert said.returncode == 1
    assert "acme: token fine, 2 job(s), 2 test(s) offered." in said.stdout
    assert "tests.hidden: job job-9 is not listed by Equalture" in said.stdout
    assert "2 tests are called 'Sales'" in said.stdout
    assert "jobs job-1, job-2" in said.stdout
    as_json = await asyncio.to_thread(run, "check", "--online", "--json", "--config", config)
    (report,) = json.loads(as_json.stdout)["online"]
    assert (report["customer"], report["jobs"], len(report["problems"])) == ("acme", 2, 1)
    in_workflow = await asyncio.to_thread(run, "check", "--online", "--github", "--config", config)
    lines = in_workflow.stdout.splitlines()
    assert [line for line in lines if line.startswith("::error title=online::acme: tests.hidden")]
    assert all(line.startswith("::") for line in lines)


async def test_refused_credentials(folder: Folder, equalture: EqualtureSandbox) -> None:
    """Refused credentials are told with the address, where they come from, and what to do; none of
    them is shown.
    """
    folder.daemon["equalture"]["base_url"] = equalture.base_url
    del folder.customer["equalture"]["client_secret"]
    secret = folder.secret("acme-equalture", "wrong-secret-of-acme")
    folder.customer["equalture"]["client_secret_file"] = secret
    said = await asyncio.to_thread(run, "check", "--online", "--config", folder.write())
    assert said.returncode == 1
    assert f"asked:  {equalture.base_url}/connect_ats/access_token" in said.stdout
    assert f"client_id acme, secret from {secret}" in said.stdout
    assert "remedy: correct client_id or the secret" in said.stdout
    assert "wrong-secret" not in said.stdout + said.stderr


@pytest.mark.parametrize(
    ("written", "source"), [("${ACME}", "${ACME} ("), ("hush-hush", "acme.yaml, line ")]
)
def test_where_a_secret_comes_from(folder: Folder, written: str, source: str) -> None:
    """A secret from a variable, or from the file itself, is named by that."""
    folder.daemon["equalture"]["base_url"] = "http://127.0.0.1:9"
    folder.customer["equalture"]["client_secret"] = written
    said = run("check", "--online", "--config", folder.write(), ACME="hush-hush")
    assert said.returncode == 1
    assert source in said.stdout
    assert "remedy: is equalture.base_url right" in said.stdout
    assert "hush-hush" not in said.stdout + said.stderr


def test_silent_customers_wait_together(folder: Folder) -> None:
    """Thirty customers whose Equalture does not answer take as long as one."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        folder.daemon["equalture"] |= {
            "base_url": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "timeout": "3s",
        }
        config = folder.write()
        text = (config / "customers" / "acme.yaml").read_text()
        for number in range(29):
            copy = text.replace("a" * 64, f"c{number:02}a" * 16)
            (config / "customers" / f"customer{number}.yaml").write_text(copy)
        begun = time.monotonic()
        said = run("check", "--online", "--json", "--config", config)
        assert time.monotonic() - begun < 45  # one after the other: 90
    assert said.returncode == 1
    reports = json.loads(said.stdout)["online"]
    assert len(reports) == 30
    assert all("no answer" in report["problems"][0] for report in reports)
