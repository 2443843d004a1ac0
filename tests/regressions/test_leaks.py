"""Small leaks: exception messages and cache keys in the log, a vendor's host in a policy, a short
cut after a deletion.
"""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Iterator

import aiocache
import pytest
import structlog

from bridge import logs
from bridge.equalture import schemas
from bridge.errors import StoreUnavailable
from tests.service.fakes import ACME, World


@pytest.fixture(params=["json", "console"])
def stream(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """The log in either format, at its most talkative."""
    root, stream = logging.getLogger(), io.StringIO()
    handlers, level = list(root.handlers), root.level
    others = {name: logging.getLogger(name) for name in ("asyncio", "aiohttp.server", "aiocache")}
    before = {name: (one.level, list(one.filters)) for name, one in others.items()}
    logs.configure_logging("debug", request.param, stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, one in others.items():
        one.setLevel(before[name][0])
        one.filters[:] = before[name][1]
    structlog.reset_defaults()


def test_messages_of_other_peoples_exceptions(stream: io.StringIO) -> None:
    """A traceback names types and places; the message only of errors of ours, which hold nothing
    private.
    """
    log = structlog.get_logger()
    for error in (
        KeyError("Ada Muster"),
        ExceptionGroup("Ada", [ValueError("Muster")]),
        StoreUnavailable("no Redis"),
    ):
        try:
            raise error
        except Exception:
            log.exception("task.failed")
    text = stream.getvalue()
    assert "Ada" not in text
    assert "Muster" not in text
    for word in (
        "KeyError",
        "ExceptionGroup",
        "ValueError",
        "StoreUnavailable",
        "no Redis",
        "test_leaks.py",
    ):
        assert word in text


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_letter_commands_a_terminal(form: str) -> None:
    """Neither a value nor an exception's text reaches a terminal as a command, nor makes a second
    line.
    """
    stream, root = io.StringIO(), logging.getLogger()
    handlers, level = list(root.handlers), root.level
    evil = "\x1b[2J\x1b]0;x\x07\r\n\x9b1m\u2028\u202eevent=fine"
    try:
        logs.configure_logging("debug", form, stream)
        log = structlog.get_logger()
        log.warning("a.thing", text=evil, many=[evil], inner={evil: evil}, error=ValueError(evil))
        logging.getLogger("elsewhere").warning("said %s", evil)
        lines = stream.getvalue().splitlines()
        try:
            raise StoreUnavailable(evil)
        except StoreUnavailable:
            log.exception("task.failed")
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.reset_defaults()
    assert len(lines) == 2
    text = stream.getvalue()
    assert "\\u001b[2J" in text or "\\x1b[2J" in text
    assert [one for one in text if not one.isprintable() and one != "\n"] == []


async def test_asyncio_does_not_repeat_them(stream: io.StringIO) -> None:
    """asyncio's own complaint about a failed task is told without the task's representation."""
    asyncio.get_running_loop().call_exception_handler(
        {
            "message": "Task exception was never retrieved",
            "exception": ValueError("Muster"),
            "future": "Muster",
        }
    )
    assert "Task exception was never retrieved" in stream.getvalue()
    assert "Muster" not in stream.getvalue()


async def test_cache_keys(stream: io.StringIO) -> None:
    """The job cache's keys, digests that a client secret went into, are not logged."""
    await aiocache.SimpleMemoryCache(timeout=None).get("digest-of-a-secret")
    assert "digest-of-a-secret" not in stream.getvalue()


@pytest.mark.parametrize("host", ["a;script-src", "a,b", "a'", 'a"', "a*b", "a$b"])
def test_hosts_that_a_policy_would_read(host: str) -> None:
    """A vendor's link whose host has punctuation, which a Content-Security-Policy would take as its
    own, is no link.
    """
    created = schemas.read_created({"reference_id": "r", "assessment_url": f"https://{host}/x"})
    assert created.assessment_url is None


async def test_short_cut_goes_with_the_deletion() -> None:
    """After a deletion the provider's id leads nowhere, also when its application was only made
    then.
    """
    world = World()
    one = await world.invited()
    await world.erasure.erase(ACME, one.id)
    assert await world.references.find("acme", "ref-1") == ()
    await world.events.reference_committed(
        await world.load(one), "ref-1", await world.events.register_reference(one, "ref-1")
    )
    assert await world.references.find("acme", "ref-1") == ()
