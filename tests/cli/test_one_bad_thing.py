"""Commands while something is wrong: with one customer's file, with where they are started, with
what was typed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from bridge.core.invitation import State
from bridge.core.lifecycle.events import CreateOutcomeUnknown
from bridge.store import embedded
from tests.cli.test_commands import CREATED, Content, config, content, redis, run, write
from tests.redis_servers import RedisServer

__all__ = ["config", "content", "redis"]


def spoil(config: Path, customer: str = "acme") -> None:
    """One typo, one variable that is not set."""
    file = config / "customers" / f"{customer}.yaml"
    file.write_text(
        file.read_text().replace("s3cret-of-the-customer", "${UNSET}") + "nonsense: 1\n"
    )


# -- one customer's file


def test_operators_are_not_stopped(config: Path, content: Content) -> None:
    """With one customer's file broken, and no signing key at hand, operators see and do everything,
    for it too.
    """
    letters = [content.dead_letter(), content.dead_letter(customer="globex")]
    document = yaml.safe_load((config / "bridge.yaml").read_text())
    document["signing_keys"] = ["${UNSET_KEY}"]
    (config / "bridge.yaml").write_text(yaml.safe_dump(document))
    spoil(config)
    listed = run("dead", "list", "--json", "--config", config)
    assert (listed.code, len(listed.json)) == (0, 2)
    assert (
        len(run("invitations", "list", "--customer", "acme", "--json", "--config", config).json)
        == 1
    )
    assert run("invitations", "show", letters[0].id, "--config", config).code == 0
    assert run("dead", "replay", letters[0].id, "--config", config).code == 0
    assert run("dead", "drop", letters[1].id, "--config", config).code == 0
    assert run("check", "--config", config).code == 2
    for wrong in ("tests", "acme"), ("config", "show"):
        said = run(*wrong, "--config", config)
        assert (said.code, "acme.yaml:" in said.err) == (2, True)


@pytest.mark.parametrize("away", ["set aside", "removed"])
def test_erase_without_the_account(config: Path, content: Content, away: str) -> None:
    """``erase`` works for a customer without a usable file: at once here, said with 1 as owed,
    listed as such.
    """
    one, clean = content.invitation(CREATED), content.invitation(CreateOutcomeUnknown(1))
    if away == "removed":
        (config / "customers" / "acme.yaml").unlink()
    else:
        spoil(config)
    said = run("erase", one.id, "--config", config)
    assert (said.code, "stays open" in said.err, "acme" in said.err) == (1, True, True)
    shown = run("invitations", "show", one.id, "--config", config, "--json").json
    assert shown["state"] == str(State.ERASED)
    owed = run("invitations", "list", "--owed", "--json", "--config", config).json
    assert [row["id"] for row in owed] == [one.id]
    assert run("erase", clean.id, "--config", config).code == 0


# -- the wrong folder


@pytest.mark.parametrize(
    "arguments",
    [
        ("dead", "list"),
        ("dead", "replay", "--all"),
        ("dead", "drop", "--all", "--yes"),
        ("invitations", "list"),
        ("invitations", "list", "--customer", "acme"),
        ("invitations", "show", "iv_0" + "a" * 24),
        ("erase", "iv_0" + "a" * 24, "--yes"),
        ("reencrypt",),
    ],
    ids=" ".join,
)
def test_wrong_folder(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """A command where no daemon has kept data says so with 1, and leaves nothing behind, not even
    in an empty data folder.
    """
    config = write(tmp_path / "config", "")
    for folder in (tmp_path / "elsewhere", tmp_path / "empty" / ".data"):
        folder.mkdir(parents=True)
        place = folder if folder.name == "elsewhere" else folder.parent
        before = sorted(tmp_path.rglob("*"))
        with contextlib.chdir(place):
            said = run(*arguments, "--config", config)
        assert (said.code, f"there is no data at {place / '.data'}" in said.err) == (1, True), (
            said.err
        )
        assert sorted(tmp_path.rglob("*")) == before


def test_right_folder(tmp_path: Path) -> None:
    """Where a daemon has kept data, commands find them with the daemon gone."""
    config = write(tmp_path / "config", "")
    with contextlib.chdir(tmp_path):

        async def once() -> None:
            async with embedded.run_redis_server(Path(".data")):
                pass

        asyncio.run(once())
        assert run("dead", "list", "--json", "--config", config).json == []


# -- what was typed


@pytest.mark.parametrize(
    "arguments", [("invitations", "list"), ("dead", "list"), ("dead", "replay", "--all")]
)
def test_unknown_customer(config: Path, content: Content, arguments: tuple[str, ...]) -> None:
    """A customer of whom nobody knows is bad usage, with the one that was meant; a removed or
    set-aside one is known.
    """
    content.dead_letter(customer="removed-one")
    said = run(*arguments, "--customer", "glbex", "--config", config)
    assert (said.code, "did you mean 'globex'?" in said.err, said.out) == (2, True, "")
    said = run(*arguments, "--customer", "removed-oen", "--config", config)
    assert (said.code, "did you mean 'removed-one'?" in said.err) == (2, True)
    said = run(*arguments, "--customer", "zzzzz", "--config", config)
    assert (said.code, "known: acme, globex, removed-one" in said.err) == (2, True)
    spoil(config)
    for known in ("acme", "globex", "removed-one"):
        assert run(*arguments, "--customer", known, "--config", config).code == 0


def test_drop_of_an_unknown_customer(config: Path, content: Content) -> None:
    """A mistyped customer drops nothing."""
    content.dead_letter()
    assert run("dead", "drop", "--all", "--customer", "acne", "--yes", "--config", config).code == 2
    assert len(run("dead", "list", "--json", "--config", config).json) == 1


# -- asking before it is too late


def on_terminal(*arguments: str | Path, types: str | None) -> tuple[int, str]:
    """Exit code and screen of a command on a terminal, where somebody *types* this once it asks."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "bridge", *map(str, arguments)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    screen, deadline = "", time.monotonic() + 60
    with contextlib.suppress(OSError):
        while time.monotonic() < deadline:
            if not select.select([ours], [], [], 0.5)[0]:
                continue
            raw = os.read(ours, 4096)
            if not raw:
                break
            screen += raw.decode()
            if types is not None and screen.rstrip().endswith("[y/N]:"):
                os.write(ours, f"{types}\n".encode())
                types = None
    code = process.wait(60)
    os.close(ours)
    return code, screen


def test_destroying_asks_on_a_terminal(config: Path, content: Content) -> None:
    """``dead drop`` and ``erase`` ask on a terminal, saying what would be gone; anything but yes
    changes nothing and is 1.
    """
    one = content.dead_letter()
    code, screen = on_terminal("dead", "drop", "--all", "--config", config, types="n")
    assert (code, "1 notify of acme" in screen) == (1, True), screen
    code, screen = on_terminal("erase", one.id, "--config", config, types="")
    assert (code, "Sales" in screen) == (1, True), screen
    assert len(run("dead", "list", "--json", "--config", config).json) == 1
    assert (
        run("invitations", "show", one.id, "--json", "--config", config).json["state"]
        == "completed"
    )

    code, screen = on_terminal("dead", "drop", one.id, "--config", config, types="y")
    assert (code, "1 dropped." in screen) == (0, True), screen
    code, screen = on_terminal("erase", one.id, "--yes", "--config", config, types=None)
    assert "[y/N]" not in screen
    assert (
        run("invitations", "show", one.id, "--json", "--config", config).json["state"] == "erased"
    )


def test_scripts_are_not_asked(config: Path, content: Content) -> None:
    """Without a terminal nobody is asked: a script does not hang, with --yes or without."""
    content.dead_letter()
    assert run("dead", "drop", "--all", "--config", config).out == "1 dropped.\n"
    content.dead_letter()
    assert run("dead", "drop", "--all", "--yes", "--config", config).out == "1 dropped.\n"


# -- healthcheck


@pytest.fixture
def fake_daemon() -> Iterator[tuple[int, list[bytes]]]:
    """Something that listens, and answers each request with the next of these."""
    answers: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection:
                        connection.recv(4096)
                        connection.sendall(answers.pop(0))

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1], answers
        server.shutdown(socket.SHUT_RDWR)


def test_healthcheck_says_what_readyz_says(
    tmp_path: Path, fake_daemon: tuple[int, list[bytes]]
) -> None:
    """``healthcheck`` is 0 if and only if /readyz is 200, whatever is wrong with the configuration,
    a proxy or the secrets.
    """
    port, answers = fake_daemon
    config = write(
        tmp_path / "config",
        "${UNSET}",
        listen=f"0.0.0.0:{port}",
        signing_keys=["${UNSET}"],
        nonsense=1,
    )
    spoil(config)
    environ = {"http_proxy": "http://127.0.0.1:1", "HTTP_PROXY": "http://127.0.0.1:1"}
    for answer, code, words in (
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0, "ready"),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", 1, "not ready"),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", 1, "not ready"),
        (b"SSH-2.0-OpenSSH\r\n", 1, "not running"),
        (b"", 1, "not running"),
    ):
        answers.append(answer)
        said = run("healthcheck", "--config", config, **environ)
        assert (said.code, said.out.startswith(words)) == (code, True), said


def test_healthcheck_without_an_address(tmp_path: Path) -> None:
    """Where the address cannot be told it is 2, with the place."""
    config = write(tmp_path / "config", "", listen="nowhere")
    said = run("healthcheck", "--config", config)
    assert (said.code, "bridge.yaml:" in said.err) == (2, True)


# -- serve --strict


@pytest.mark.parametrize("workers", [(), ("--workers", "2")])
def test_strict(config: Path, redis: RedisServer, workers: tuple[str, ...]) -> None:
    """``serve --strict`` refuses what ``check`` refuses, with 2 and the place."""
    spoil(config)
    said = run("serve", "--strict", *workers, "--config", config)
    assert (said.code, "acme.yaml:" in said.err) == (2, True)
