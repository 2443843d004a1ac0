"""How the log looks to people."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from bridge import logs
from bridge.log_context import begin_log_fields, bind_log_fields, get_log_fields


class Terminal(io.StringIO):
    """What a terminal would show."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def loggers() -> Iterator[None]:
    """Leave logging as it was."""
    root, server = logging.getLogger(), logging.getLogger("aiohttp.server")
    kept = root.handlers[:], root.level, server.filters[:]
    yield
    root.handlers[:], server.filters[:] = kept[0], kept[2]
    root.setLevel(kept[1])
    structlog.reset_defaults()


def test_on_a_terminal() -> None:
    """``auto`` is the console's form there: the time of day, and the fields in their order."""
    terminal = Terminal()
    logs.configure_logging("info", "auto", terminal)
    structlog.get_logger().info("request.handled", route="/x", code="busy")
    text = terminal.getvalue()
    assert not text.startswith("{")
    assert "T" not in text.partition("request")[0]
    assert text.index("route") < text.index("code")


def test_in_a_pipe() -> None:
    """Elsewhere ``auto`` is JSON, with the whole time; ``console`` has the whole time, too."""
    for form, start in (("auto", '{"status":200'), ("console", "20")):
        pipe = io.StringIO()
        logs.configure_logging("info", form, pipe)
        structlog.get_logger().info("request.handled", status=200)
        assert pipe.getvalue().startswith(start)
        assert "T" in pipe.getvalue()
        assert "\x1b" not in pipe.getvalue()


async def test_order_of_fields() -> None:
    """First what the event says, then what is under way, its level and the time; None says
    nothing.
    """
    pipe = io.StringIO()
    logs.configure_logging("info", "json", pipe)
    begin_log_fields(request_id="r1", customer="acme", task_id=None)
    structlog.get_logger().info("a.thing", status=200, code=None, customer="globex")
    line = json.loads(pipe.getvalue())
    assert list(line) == ["status", "customer", "event", "request_id", "level", "timestamp"]
    assert (line["customer"], line["level"]) == ("globex", "info")
    assert line["timestamp"].endswith("Z")
    assert abs((datetime.fromisoformat(line["timestamp"]) - datetime.now(UTC)).days) <= 1


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_levels(level: str) -> None:
    """Lines below the level are not written, neither ours nor a library's."""
    pipe = io.StringIO()
    logs.configure_logging(level, "json", pipe)
    names = ["debug", "info", "warning", "error"]
    for name in names:
        structlog.get_logger().log(getattr(logging, name.upper()), "ours")
        getattr(structlog.get_logger(), name)("ours again")
        logging.getLogger("elsewhere").log(getattr(logging, name.upper()), "theirs")
    written = [json.loads(line) for line in pipe.getvalue().splitlines()]
    assert [(line["level"], line["event"]) for line in written] == [
        (name, event)
        for name in names[names.index(level) :]
        for event in ("ours", "ours again", "theirs")
    ]


def test_fields_of_a_logger() -> None:
    """What is bound to a logger is in its lines, too, before what the event says itself."""
    pipe = io.StringIO()
    logs.configure_logging("info", "json", pipe)
    log = structlog.get_logger(part="sweep").bind(status=1)
    log.info("a.thing", status=200)
    log.unbind("status").info("a.thing")
    first, second = map(json.loads, pipe.getvalue().splitlines())
    assert list(first) == ["part", "status", "event", "level", "timestamp"]
    assert (first["status"], "status" in second) == (200, False)


def test_set_up_again() -> None:
    """Whoever sets up logging again has the new form and level, also for loggers that were used
    before.
    """
    log, before, after = structlog.get_logger(), io.StringIO(), io.StringIO()
    logs.configure_logging("warning", "console", before)
    log.info("early")
    log.warning("early")
    logs.configure_logging("info", "json", after, lasting=True)
    for _ in range(2):
        log.info("late")
    assert before.getvalue().count("early") == 1
    assert [json.loads(line)["event"] for line in after.getvalue().splitlines()] == ["late"] * 2


def test_tests_hear_of_a_lasting_logger() -> None:
    """``capture_logs`` hears of a logger that has kept what it found at its first line."""
    log = structlog.get_logger()
    logs.configure_logging("info", "json", io.StringIO(), lasting=True)
    log.info("first")
    with capture_logs() as lines:
        log.info("second", status=200)
    assert lines == [{"event": "second", "status": 200, "log_level": "info"}]


@pytest.mark.parametrize("value", ["\ud800", 2**70, {1: "\ud800"}, [object], {("a", 1): "b"}])
def test_values_that_are_no_json(value: object) -> None:
    """What JSON cannot hold is written somehow; whoever logs hears nothing of it."""
    pipe = io.StringIO()
    logs.configure_logging("info", "json", pipe)
    structlog.get_logger().info("a.thing", value=value)
    line = json.loads(pipe.getvalue())
    assert (line["event"], line["level"]) == ("a.thing", "info")
    assert line["value"]


def test_listeners() -> None:
    """Who listens to problems is told of warnings and worse, of the libraries' without a word of
    theirs.
    """
    heard: list[tuple[str, Mapping[str, Any]]] = []
    logs.configure_logging("info", "json", io.StringIO())
    log = structlog.get_logger()
    with logs.listen_to_problems(lambda level, event: heard.append((level, event))):
        log.info("fine")
        log.warning("a.warning", customer="acme")
        log.error("an.error")
        logging.getLogger("elsewhere").warning("about Ada")
    log.error("later")
    assert [(level, event["event"]) for level, event in heard] == [
        ("warning", "a.warning"),
        ("error", "an.error"),
        ("warning", "a line of elsewhere"),
    ]
    assert heard[0][1]["customer"] == "acme"
    assert "Ada" not in repr(heard)


async def test_fields_of_what_is_under_way() -> None:
    """What a request or task binds, its lines have and those of what it has started, and no
    others.
    """
    found: list[Mapping[str, Any]] = []

    async def note() -> None:
        found.append(dict(get_log_fields()))

    async def work(number: int) -> None:
        begin_log_fields(task_id=number)
        started = asyncio.create_task(note())
        bind_log_fields(customer="acme")
        await started

    bind_log_fields(request_id="r1")
    await asyncio.gather(asyncio.create_task(work(1)), asyncio.create_task(work(2)))
    await note()
    assert found == [
        {"task_id": 1, "customer": "acme"},
        {"task_id": 2, "customer": "acme"},
        {"request_id": "r1"},
    ]
