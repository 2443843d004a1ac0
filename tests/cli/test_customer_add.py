"""``customer add``: four answers make a customer, and a running daemon serves it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.sandbox import EqualtureSandbox, SoftgardenSandbox
from tests.cli.test_configuration import SHIPPED, Folder, run
from tests.processes.conftest import (
    Launch,
    Place,
    equalture,
    eventually,
    launch,
    place,
    redis,
    softgarden,
)

__all__ = ["equalture", "launch", "place", "redis", "softgarden"]

SECRET = "hush-hush of acme"


def add(config: Path, *arguments: str, answers: str = "") -> subprocess.CompletedProcess[str]:
    """The command with these answers typed in."""
    return subprocess.run(
        [sys.executable, "-m", "bridge", "customer", "add", *arguments, "--config", str(config)],
        input=answers,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(SHIPPED.parent)},
    )


def token_in(said: str) -> str:
    """The one line that holds nothing but a token."""
    (token,) = [line.strip() for line in said.splitlines() if line.startswith("  ")]
    return token


@pytest.fixture
async def config(tmp_path: Path) -> AsyncIterator[Path]:
    """A folder without acme, and an Equalture that knows it."""
    async with EqualtureSandbox() as sandbox:
        sandbox.add_account("acme-at-equalture", SECRET, [("job-1", "Sales")])
        folder = Folder(tmp_path)
        folder.daemon["equalture"]["base_url"] = sandbox.base_url
        folder.daemon["admin_listen"] = "127.0.0.1:9"
        folder.write()
        (tmp_path / "customers" / "acme.yaml").unlink()
        yield tmp_path


async def test_four_answers(config: Path) -> None:
    """The answers make a commented file, readable by its owner and group, with the secret in one of
    its own; the token is shown once, Equalture is asked, and ``check`` finds nothing wrong.
    """
    answers = f"10\nacme-at-equalture\n{SECRET}\nde\n"
    said = await asyncio.to_thread(add, config, "acme", answers=answers)
    assert said.returncode == 0, said.stderr
    file, apart = config / "customers" / "acme.yaml", config / "secrets" / "acme-equalture"
    text = file.read_text()
    assert hashlib.sha256(token_in(said.stdout).encode()).hexdigest() in text
    assert token_in(said.stdout) not in text
    assert SECRET not in text + said.stdout + said.stderr
    assert apart.read_text() == f"{SECRET}\n"
    assert {stat.S_IMODE(one.stat().st_mode) for one in (file, apart)} == {0o640}
    assert "# Which of the customer's Equalture jobs appear as tests" in text
    assert "acme: token fine, 1 job(s), 1 test(s) offered." in said.stdout
    assert "No daemon answers at 127.0.0.1:9" in said.stdout
    checked = await asyncio.to_thread(run, "check", "--config", config, "--json")
    assert checked.returncode == 0
    assert not [one for one in json.loads(checked.stdout)["warnings"] if "bridge.yaml" not in one]
    shown = await asyncio.to_thread(run, "config", "show", "--config", config, "--json")
    acme = json.loads(shown.stdout)["customers"]["acme"]
    assert acme["softgarden"]["client_id"] == "10"
    assert (acme["equalture"]["client_id"], acme["equalture"]["locale"]) == (
        "acme-at-equalture",
        "de",
    )


async def test_by_options(config: Path) -> None:
    """Scripts give everything as options; a variable that is not set here is not asked about."""
    said = await asyncio.to_thread(
        add,
        config,
        *("3m-berlin", "--json", "--locale", "nl", "--secret-env", "SECRET_OF_3M"),
        *("--softgarden-client-id", "12", "--equalture-client-id", "${x}'#z"),
    )
    assert said.returncode == 0, said.stderr
    told = json.loads(said.stdout)
    assert told["sha256"] == hashlib.sha256(told["token"].encode()).hexdigest()
    assert (told["online"], told["reload"]["status"]) == (None, None)
    file = config / "customers" / "3m-berlin.yaml"
    assert told["file"] == str(file)
    assert 'client_secret: "${SECRET_OF_3M}"' in file.read_text()
    shown = await asyncio.to_thread(
        run, "config", "show", "--config", config, "--json", SECRET_OF_3M="x"
    )
    customer = json.loads(shown.stdout)["customers"]["3m-berlin"]
    assert customer["equalture"]["client_id"] == "${x}'#z"


async def test_what_cannot_be_used(config: Path) -> None:
    """A wrong answer is told with 2 and leaves nothing behind; a name that is taken is told with 1,
    and a name that cannot be one with 2.
    """
    said = await asyncio.to_thread(add, config, "acme", answers=f"10\na:b\n{SECRET}\nde\n")
    assert (said.returncode, "equalture.client_id" in said.stderr) == (2, True)
    assert os.listdir(config / "customers") + os.listdir(config / "secrets") == []
    (config / "customers" / "acme.yaml").write_text("mine: 1\n")
    said = await asyncio.to_thread(add, config, "acme")
    assert (said.returncode, "is there already" in said.stderr) == (1, True)
    assert (config / "customers" / "acme.yaml").read_text() == "mine: 1\n"
    assert (await asyncio.to_thread(add, config, "No Name")).returncode == 2


async def test_refused_by_equalture(config: Path) -> None:
    """Where Equalture refuses, the file and the token are there all the same, the reason is told,
    and the exit code is 1.
    """
    answers = "10\nacme-at-equalture\nanother secret\nde\n"
    said = await asyncio.to_thread(add, config, "acme", answers=answers)
    assert said.returncode == 1
    assert "remedy: correct client_id or the secret" in said.stdout
    assert token_in(said.stdout.partition("acme: ")[0])
    assert (config / "customers" / "acme.yaml").exists()


async def test_a_running_daemon(
    launch: Launch, place: Place, softgarden: SoftgardenSandbox, equalture: EqualtureSandbox
) -> None:
    """A daemon that runs serves the new customer as soon as the command has ended."""
    daemon = launch()
    await daemon.ready()
    equalture.add_account("initech", SECRET, [("job-7", "Support")])
    answers = f"30\ninitech\n{SECRET}\nen\n"
    said = await asyncio.to_thread(add, daemon.folder, "initech", answers=answers)
    assert said.returncode == 0, said.stderr
    assert "The running daemon serves initech now." in said.stdout
    token = token_in(said.stdout)
    softgarden.add_customer("initech", "30")
    client = softgarden.connect(daemon.url, token, customer="initech")
    assert [test["testId"] for test in (await client.list_tests()).json] == ["job-7"]
    await eventually(lambda: daemon.entries("config.reloaded"))
    daemon.terminate()
    assert await daemon.ended() == 0
