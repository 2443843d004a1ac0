"""The rig's own caller: it checks each answer, counts what is done, and never calls back twice."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import orjson
import pytest

from tests.bench.generator import Load, WrongAnswer
from tests.bench.http_messages import MessageProtocol, build_answer, build_request
from tests.bench.ledger import Ledger
from tests.bench.operations import Caller
from tests.bench.simulator import NOTIFY_PATH, run_vendors


class Server(MessageProtocol):
    """A candidate that answers from *answers*, by the first word of the request."""

    def __init__(self, answers: dict[str, bytes]) -> None:
        super().__init__()
        self._answers = answers

    def take_message(self, head: bytes, body: bytes) -> None:
        """Answer."""
        self.transport.write(self._answers[head.partition(b" ")[0].decode()])


@contextlib.asynccontextmanager
async def serving(answers: dict[str, bytes]) -> AsyncIterator[tuple[Load, Caller]]:
    """Callers of such a candidate, over two connections."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Server(answers), "127.0.0.1", 0)
    ledger = Ledger("candidate")
    load = Load(ledger, server.sockets[0].getsockname()[1])
    await load.open(2)
    try:
        yield load, Caller(ledger, "token", 1)
    finally:
        load.close()
        server.close()


INVITED = orjson.dumps({"invitationId": "iv_1", "testUrl": "https://tests.example/1"})


async def test_everything_that_was_asked_for_is_counted() -> None:
    """A source of five operations makes five, and the load is free again."""
    async with serving({"POST": build_answer(INVITED)}) as (load, caller):
        load.start(caller.source("invite", 5))
        await load.dry.wait()
        await load.stop()
    assert (load.done, len(load.times), len(load.ledger.invitations)) == (5, 5, 5)


@pytest.mark.parametrize("answer", [build_answer(b"{}", "503 Away"), build_answer(b"{}")])
async def test_a_wrong_answer_ends_the_run(answer: bytes) -> None:
    """An answer of another status, or a result that is none, is told and not counted."""
    async with serving({"GET": answer}) as (load, caller):
        load.ledger.read.append("iv_1")
        load.start(caller.source("results"))
        await load.dry.wait()
        with pytest.raises(WrongAnswer, match="candidate"):
            await load.stop()
    assert load.done == 0


async def test_no_callback_is_sent_twice() -> None:
    """There are as many callbacks as invitations without one, and each counts once the ATS was
    notified.
    """
    async with serving({"POST": build_answer(INVITED), "PUT": build_answer(b"{}")}) as (
        load,
        caller,
    ):
        load.ledger.add_create(1, "/equalture/callbacks/iv_1/secret")
        load.start(caller.source("invite", 1))
        await load.dry.wait()
        await load.stop()
        load.start(caller.source("callback"))
        await load.dry.wait()
        assert load.done == 1
        load.ledger.add_notification("iv_1")
        await load.stop()
    assert load.done == 2
    assert load.ledger.reported == ["iv_1"]


async def test_vendors_keep_to_their_ledger() -> None:
    """A create is noted with its callback, results are there once the applicant has finished, a
    notification is noted, and a call that no vendor knows is remembered as strange.
    """
    ledger = Ledger("candidate")
    order = orjson.dumps(
        {
            "callback_url": "http://bridge.example/equalture/callbacks/iv_7/secret",
            "applicant_details": {"email": "7@example.org"},
        }
    )
    calls = [
        ("POST", "/connect_ats/applications", order, 201),
        ("GET", "/connect_ats/applications/candidate-000000007-0/results", b"", 404),
        ("POST", NOTIFY_PATH, b'{"invitationId":"iv_7"}', 200),
    ]
    statuses = []

    def ask() -> object:
        method, path, body, _ = calls[len(statuses)]
        answer = yield build_request(method, path, body=body)
        statuses.append(answer.status)

    async with run_vendors(ledger) as port:
        load = Load(ledger, port)
        await load.open(1)
        load.start(lambda: ask() if len(statuses) < len(calls) else None)
        await load.dry.wait()
        await load.stop()
        load.close()
    assert statuses == [call[3] for call in calls]
    assert ledger.creates[7][0].callback_path == "/equalture/callbacks/iv_7/secret"
    assert ledger.notifications == {"iv_7": 1}
    assert len(ledger.strange) == 1
