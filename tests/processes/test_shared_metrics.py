"""What several processes have counted is one answer, whichever of them is asked."""

from __future__ import annotations

import os
import signal
import stat
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.processes.conftest import Daemon, Launch, eventually, running

pytestmark = pytest.mark.redis

ASKED = 12
"""Fresh connections: more than enough for each of two workers to answer some."""


async def counted(daemon: Daemon, name: str, **labels: str) -> float:
    """The sum of the samples of this name with these labels."""
    status, text = await daemon.get("/metrics", daemon.admin_url)
    assert status == 200
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == f"bridge_{name}" and labels.items() <= sample.labels.items()
    )


async def openapi_read(daemon: Daemon) -> float:
    """How often the OpenAPI document was read, as one of the workers says."""
    return await counted(daemon, "http_requests_total", route="/openapi.json", status="200")


async def test_workers_answer_for_each_other(
    launch: Launch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each worker gives the sum over all; a worker that was killed is counted on, nothing is
    counted twice, and a folder that only the daemon's user can read goes with it.
    """
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    daemon = launch("--workers", "2")
    await daemon.ready(within_s=60)
    (folder,) = temporary.iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for read in range(1, ASKED + 1):
        assert (await daemon.get("/openapi.json"))[0] == 200
        assert await openapi_read(daemon) == read
    assert await counted(daemon, "http_request_seconds_count", route="/openapi.json") == ASKED
    assert await counted(daemon, "config_hash_info") == 1
    assert await counted(daemon, "config_last_reload_successful") == 1
    assert await counted(daemon, "build_info") == 1
    files = sorted(path.name for path in folder.iterdir())
    for dead in daemon.children():
        os.kill(dead, signal.SIGKILL)
        await eventually(lambda dead=dead: len(set(daemon.children()) - {dead}) == 2)
        await daemon.ready()
    for read in range(ASKED + 1, 2 * ASKED + 1):
        assert (await daemon.get("/openapi.json"))[0] == 200
        assert await openapi_read(daemon) == read
    assert sorted(path.name for path in folder.iterdir()) == files
    daemon.terminate()
    assert await daemon.ended() == 0
    assert list(temporary.iterdir()) == []


async def test_one_worker_refused_is_a_reload_refused(launch: Launch) -> None:
    """A reload that is refused shows whoever is asked, until it is mended everywhere."""
    daemon = launch("--workers", "2")
    await daemon.ready(within_s=60)
    file = daemon.folder / "customers" / "globex.yaml"
    right = file.read_text("utf-8")

    async def successful() -> set[float]:
        return {await counted(daemon, "config_last_reload_successful") for _ in range(ASKED)}

    async def all_say(value: float) -> bool:
        return await successful() == {value}

    file.write_text("nonsense: 1\n", "utf-8")
    daemon.process.send_signal(signal.SIGHUP)
    await eventually(lambda: all_say(0.0), within_s=60)
    file.write_text(right.replace("30", "45"), "utf-8")
    daemon.process.send_signal(signal.SIGHUP)
    await eventually(lambda: all_say(1.0), within_s=60)

    async def one_configuration() -> bool:
        return await counted(daemon, "config_hash_info") == 1

    # Each worker reads the files by itself: one that never saw the wrong file still has the old
    # ones in force for a moment after the other has reloaded, and says so.
    await eventually(one_configuration, within_s=60)
    daemon.terminate()
    assert await daemon.ended() == 0


async def test_a_killed_daemon_leaves_nothing_for_long(
    launch: Launch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a daemon that was killed has left in the folder for temporary files is removed when one
    is started again; what a living one has there is left alone.
    """
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    killed = launch("--workers", "2")
    await killed.ready(within_s=60)
    workers = killed.children()
    (left,) = temporary.iterdir()
    killed.kill()
    await eventually(lambda: not any(map(running, workers)))
    daemons = []
    for _ in range(2):
        daemon = launch("--workers", "2")
        await daemon.ready(within_s=60)
        assert (await daemon.get("/openapi.json"))[0] == 200
        assert await openapi_read(daemon) == 1
        daemons.append(daemon)
    assert len(list(temporary.iterdir())) == 2
    assert left not in temporary.iterdir()
    for daemon in daemons:
        daemon.terminate()
    assert [await daemon.ended() for daemon in daemons] == [0, 0]
    assert list(temporary.iterdir()) == []
