"""One mistake in one customer's file, seen from outside: at the start, on reload, and when the
customer is away and back.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable

import pytest
import yaml

from bridge.sandbox import EqualtureSandbox, SoftgardenSandbox
from tests.processes.conftest import Daemon, Launch, Place, acme, eventually


def break_globex(place: Place) -> None:
    place.customers["globex"]["equalture"]["client_secert"] = "${UNSET}"


def mend_globex(place: Place, daemon: Daemon) -> None:
    del place.customers["globex"]["equalture"]["client_secert"]
    (daemon.folder / "customers" / "globex.yaml").write_text(
        yaml.safe_dump(place.customers["globex"])
    )


async def reload(daemon: Daemon, event: str) -> None:
    """Send SIGHUP and wait until this event is logged once more."""
    before = len(daemon.entries(event))
    daemon.process.send_signal(signal.SIGHUP)
    await eventually(lambda: len(daemon.entries(event)) > before)


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_broken_file_at_the_start(
    launch: Launch, place: Place, softgarden: SoftgardenSandbox, workers: str
) -> None:
    """The others are served; the one that is set aside is named with every position, asked to come
    back, shown to operators, and served after a reload that finds everything in order.
    """
    break_globex(place)
    daemon = launch("--workers", workers)
    await daemon.ready()
    await eventually(lambda: len(daemon.entries("daemon.started")) == int(workers))
    (aside, *more) = daemon.entries("config.customer_set_aside")
    assert (aside["customer"], aside["level"], len(more)) == ("globex", "error", int(workers) - 1)
    assert "globex.yaml:" in aside["complaints"][0]
    assert {entry["set_aside"] for entry in daemon.entries("daemon.started")} == {1}
    assert (await acme(softgarden, daemon).list_tests()).status == 200
    waiting = acme(softgarden, daemon, "globex")
    refused = await waiting.list_tests()
    assert (refused.status, refused.json["code"]) == (503, "customer_set_aside")
    assert (await daemon.get("/readyz"))[1] == '{"status":"ok"}'
    assert (
        '"customers_set_aside":{"globex":["' in (await daemon.get("/readyz", daemon.admin_url))[1]
    )

    await reload(daemon, "config.reload_refused")
    assert (await acme(softgarden, daemon).list_tests()).status == 200
    assert "reload_refused" in (await daemon.get("/readyz", daemon.admin_url))[1]
    mend_globex(place, daemon)
    await reload(daemon, "config.reloaded")

    async def served() -> bool:
        return all([(await waiting.list_tests()).status == 200 for _ in range(4)])

    await eventually(served)

    async def fine() -> bool:
        return all(
            [
                (await daemon.get("/readyz", daemon.admin_url))[1] == '{"status":"ok"}'
                for _ in range(4)
            ]
        )

    await eventually(fine)
    daemon.terminate()
    assert await daemon.ended() == 0


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_strict(launch: Launch, place: Place, workers: str) -> None:
    """``serve --strict`` refuses to start where any file is broken, with 2, whatever the number of
    workers.
    """
    break_globex(place)
    assert await launch("--strict", "--workers", workers).ended() == 2


async def test_all_broken(launch: Launch, place: Place, softgarden: SoftgardenSandbox) -> None:
    """With every file broken the daemon serves nobody, says so loudly, and waits for a reload."""
    for customer in place.customers.values():
        customer["nonsense"] = 1
    daemon = launch()
    await daemon.ready()
    assert daemon.entries("config.no_usable_customer")[0]["level"] == "error"
    assert (await acme(softgarden, daemon).list_tests()).status == 503


async def test_a_worker_that_dies_after_a_mistake(
    launch: Launch, place: Place, softgarden: SoftgardenSandbox
) -> None:
    """A mistake that was made while the daemon runs, in whichever file, does not end it when a
    worker has to be replaced.
    """
    daemon = launch("--strict", "--workers", "2")
    await daemon.ready()
    await eventually(lambda: len(daemon.entries("daemon.started")) == 2)
    (daemon.folder / "bridge.yaml").write_text(
        "nonsense: 1\n" + (daemon.folder / "bridge.yaml").read_text()
    )
    (daemon.folder / "customers" / "globex.yaml").write_text("}")
    os.kill(daemon.children()[0], signal.SIGKILL)
    await eventually(lambda: len(daemon.entries("worker_process.died")) > 1)
    assert (await acme(softgarden, daemon).list_tests()).status == 200
    assert daemon.process.poll() is None
    daemon.terminate()
    await daemon.ended()


@pytest.mark.parametrize("empty", ["no file", "no folder"])
async def test_reload_without_any_file(
    launch: Launch, place: Place, softgarden: SoftgardenSandbox, empty: str
) -> None:
    """A folder that is empty or missing is refused: everybody is served on, and the log says how to
    serve nobody.
    """
    daemon = launch()
    await daemon.ready()
    shutil.rmtree(daemon.folder / "customers")
    if empty == "no file":
        (daemon.folder / "customers").mkdir()
    await reload(daemon, "config.reload_refused")
    assert "stop the daemon" in daemon.entries("config.reload_refused")[0]["complaints"][0]
    assert (await acme(softgarden, daemon).list_tests()).status == 200


async def _reload_back(daemon: Daemon, launch: Launch) -> Daemon:
    await reload(daemon, "config.reloaded")
    return daemon


async def _restart(daemon: Daemon, launch: Launch) -> Daemon:
    daemon.terminate()
    assert await daemon.ended() == 0
    again = launch(public_url=daemon.url)
    await again.ready()
    return again


@pytest.mark.parametrize("back", [_reload_back, _restart], ids=["reload", "restart"])
@pytest.mark.parametrize("away", ["removed", "set aside"])
async def test_away_and_back(
    launch: Launch,
    place: Place,
    softgarden: SoftgardenSandbox,
    equalture: EqualtureSandbox,
    away: str,
    back: Callable[..., object],
) -> None:
    """A report that came while its customer was away is known seconds after it is back, by reload
    or restart, though the next poll is half an hour off.
    """
    daemon = launch()
    await daemon.ready()
    invited = await acme(softgarden, daemon).invite("engineer")
    (reference,) = equalture.applications
    file = daemon.folder / "customers" / "acme.yaml"
    good = file.read_text()
    if away == "removed":
        file.unlink()
        await reload(daemon, "config.reloaded")
        assert daemon.entries("config.reloaded")[0]["removed"] == ["acme"]
        assert await equalture.complete(reference) == 404
    else:
        daemon.terminate()
        assert await daemon.ended() == 0
        secret = place.customers["acme"]["equalture"].pop("client_secret")
        daemon = launch(public_url=daemon.url)
        await daemon.ready()
        file = daemon.folder / "customers" / "acme.yaml"
        await equalture.complete(reference, send_callback=False)
        place.customers["acme"]["equalture"]["client_secret"] = secret
    # It has noticed whose work waits.
    file.write_text(good)
    daemon = await back(daemon, launch)  # type: ignore[misc]
    client = softgarden.connect(daemon.url, acme(softgarden, daemon).token, customer="acme")

    async def known() -> bool:
        reply = await client.read_results(invited.json["invitationId"])
        return reply.status == 200 and reply.json["status"] == "COMPLETED"

    await eventually(known, 30)
    await softgarden.wait_calls("notify", status=204)
