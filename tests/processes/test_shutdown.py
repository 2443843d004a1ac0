"""SIGTERM under load: whoever was let in gets an answer, and what was leased goes on elsewhere at
once.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from bridge.sandbox import EqualtureSandbox, SoftgardenSandbox
from tests.processes.conftest import GRACE_S, TOKENS, Daemon, Launch, Place, acme, eventually
from tests.stalls import net_since

pytestmark = pytest.mark.redis

CALLERS = 12
CLAIM = {"fit": "high"}


@dataclass(slots=True)
class Load:
    """Callers that invite, report and read as fast as they are answered, at the first daemon that
    lets them in.
    """

    daemons: list[Daemon]
    callback: str
    session: aiohttp.ClientSession
    answers: Counter[int] = field(default_factory=Counter)
    refused: int = 0
    broken: list[str] = field(default_factory=list)
    invited: list[str] = field(default_factory=list)
    stopped: bool = False

    async def call(self, method: str, path: str, **kwargs: Any) -> tuple[int, Any]:
        """One call, at the next daemon where one refuses the connection or says 503; (0, None):
        nobody let us in.
        """
        status, answer = 0, None
        for daemon in self.daemons:
            try:
                async with self.session.request(method, daemon.url + path, **kwargs) as response:
                    body = await response.json(content_type=None)
                    status, answer = response.status, body
            except aiohttp.ClientConnectorError:
                self.refused += 1
                continue
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                self.broken.append(f"{method} {path.split('/')[1:3]}: {error!r}")
                return 0, None
            self.answers[status] += 1
            if status != 503:
                return status, answer
        return status, answer

    async def invite(self) -> None:
        """Invite somebody; known afterwards if it worked."""
        person = {
            "id": str(uuid4()),
            "firstName": "Ada",
            "lastName": "Muster",
            "email": "ada@example.org",
        }
        order = {"testId": "engineer", "candidate": person, "callback": self.callback}
        headers = {"Authorization": f"Bearer {TOKENS['acme']}"}
        status, answer = await self.call(
            "POST", "/softgarden/invitations", json=order, headers=headers
        )
        if status == 200:
            self.invited.append(answer["invitationId"])
        elif status:
            self.broken.append(f"invite: {status} {answer}")

    async def run(self, equalture: EqualtureSandbox, number: int) -> None:
        """One caller: mostly invites, then a report and a read."""
        reported: set[str] = set()
        while not self.stopped:
            before = self.refused
            await self.invite()
            for reference, application in list(equalture.applications.items())[number::CALLERS]:
                if reference in reported:
                    continue
                path = application.callback_url.split("/", 3)[3]
                await equalture.complete(reference, send_callback=False)
                status, answer = await self.call("PUT", f"/{path}", json=CLAIM)
                if status == 200:
                    reported.add(reference)
                elif status:
                    self.broken.append(f"callback: {status} {answer}")
            if self.invited:
                headers = {"Authorization": f"Bearer {TOKENS['acme']}"}
                status, answer = await self.call(
                    "GET", f"/softgarden/results/{self.invited[-1]}", headers=headers
                )
                if status not in (0, 200):
                    self.broken.append(f"read: {status} {answer}")
            if self.refused > before and len(self.daemons) == 1:
                return  # the only listener has closed


@contextlib.asynccontextmanager
async def loaded(
    daemons: Sequence[Daemon],
    equalture: EqualtureSandbox,
    softgarden: SoftgardenSandbox,
    *,
    keep_alive: bool = False,
) -> AsyncIterator[Load]:
    """Load on these daemons meanwhile; in the end no caller may have been cut off."""
    acme(softgarden, daemons[0])
    connector = aiohttp.TCPConnector(force_close=not keep_alive, limit=0)
    timeout = aiohttp.ClientTimeout(total=25)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        load = Load(list(daemons), softgarden.callback_url("acme"), session)
        callers = [asyncio.create_task(load.run(equalture, number)) for number in range(CALLERS)]
        try:
            await eventually(lambda: len(load.invited) > CALLERS)
            yield load
        finally:
            load.stopped = True
            await asyncio.gather(*callers)
    assert load.broken == []


@pytest.mark.parametrize("keep_alive", [False, True], ids=["fresh connections", "kept connections"])
async def test_sigterm_under_load(
    launch: Launch, equalture: EqualtureSandbox, softgarden: SoftgardenSandbox, keep_alive: bool
) -> None:
    """Every call that was let in is answered, the exit code is 0, and what softgarden was told is
    in the store.
    """
    daemon = launch()
    await daemon.ready()
    equalture.fault("create", delay=0.3)
    async with loaded([daemon], equalture, softgarden, keep_alive=keep_alive) as load:
        daemon.terminate()
        assert await daemon.ended(GRACE_S) == 0
        await eventually(lambda: load.refused >= CALLERS)
    assert set(load.answers) <= {200, 503}
    successor = launch()
    await successor.ready()
    client = acme(softgarden, successor)
    for an_id in load.invited:
        assert (await client.read_results(an_id)).status == 200


async def test_leased_tasks_are_given_back(
    launch: Launch, place: Place, equalture: EqualtureSandbox, softgarden: SoftgardenSandbox
) -> None:
    """Tasks that a stopping process could not finish are performed by the next one at once, not
    after their lease.
    """
    place.document["softgarden"]["timeout"] = "30s"  # longer than a stopping worker waits
    daemon = launch()
    await daemon.ready()
    client = acme(softgarden, daemon)
    hung = softgarden.fault("notify", hang="before")
    for _ in range(3):
        await client.invite("engineer")
    for reference in list(equalture.applications):
        assert await equalture.complete(reference) == 200
    await hung.wait_applied(3)
    daemon.terminate()
    assert await daemon.ended(GRACE_S) == 0
    ended_at = time.monotonic()
    assert sum(entry["count"] for entry in daemon.entries("worker.released")) == 3
    hung.heal()
    successor = launch(public_url=daemon.url)
    await softgarden.wait_calls("notify", 3, status=204, timeout=30)
    assert net_since(ended_at) < 8
    await successor.ready()


async def test_rolling_restart(
    launch: Launch, equalture: EqualtureSandbox, softgarden: SoftgardenSandbox
) -> None:
    """Two processes on one Redis are replaced one by one under load: no call fails, and every
    completion is notified.
    """
    daemons = [launch(), launch()]
    for daemon in daemons:
        await daemon.ready()
    equalture.fault("create", delay=0.1)
    async with loaded(daemons, equalture, softgarden) as load:
        for number in range(2):
            old = daemons[number]
            old.terminate()
            assert await old.ended(GRACE_S) == 0
            new = launch()
            await new.ready()
            load.daemons[number] = new
            seen = len(load.invited)
            await eventually(lambda seen=seen: len(load.invited) > seen + CALLERS)
    assert load.refused
    client = acme(softgarden, load.daemons[0])
    for reference in list(equalture.applications):
        if not equalture.applications[reference].done:
            await equalture.complete(reference, send_callback=False)
            url = (
                load.daemons[0].url
                + "/"
                + equalture.applications[reference].callback_url.split("/", 3)[3]
            )
            assert await equalture.put_callback(reference, url=url) == 200

    def told() -> set[str | None]:
        return {entry.invitation_id for entry in softgarden.calls("notify", status=204)}

    await eventually(lambda: told() >= set(load.invited), 30)
    for an_id in load.invited:
        assert (await client.read_results(an_id)).json["status"] == "COMPLETED"
