"""The process that makes PDFs may hang, die, refuse or be missing: its reports are refused, and all
others are made.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.errors import ProcessOverloaded
from bridge.report.renderer import (
    MOST_OF_ONE,
    MOST_WAITING,
    TYPESETTING,
    ReportFailed,
    ReportRenderer,
)

TYPESETTER = """
import json, os, sys, time
calls = 0
while head := sys.stdin.buffer.read(4):
    text = json.loads(sys.stdin.buffer.read(int.from_bytes(head)))
    calls += 1
    match text["do"]:
        case "hang":
            time.sleep(600)
        case "die":
            os._exit(3)
        case "environment":
            answer = json.dumps(dict(os.environ)).encode()
        case _:
            answer = b"%d %d %d" % (os.getpid(), calls, text.get("number", 0))
    good = text["do"] != "refuse"
    answer = answer if good else b'wrong key "the person\\'s result" in the text'
    sys.stdout.buffer.write(bytes([good]) + len(answer).to_bytes(4) + answer)
    sys.stdout.buffer.flush()
"""

TOLD = """
import os
Fonts = lambda **_: None
class Compiler:
    def __init__(self, *_, **__):
        pass
    def compile(self, **_):
        return os.environ["RAYON_NUM_THREADS"].encode()
"""
"""In place of the library: its document is how many threads it was told to use."""


@pytest.fixture
def command(tmp_path: Path) -> tuple[str, ...]:
    """A typesetter that does what it is told."""
    script = tmp_path / "typesetter.py"
    script.write_text(TYPESETTER, encoding="utf-8")
    return sys.executable, str(script)


@pytest.fixture
async def renderer(command: tuple[str, ...]) -> AsyncIterator[ReportRenderer]:
    made = ReportRenderer(command)
    yield made
    await made.close()


async def test_one_process_for_all(renderer: ReportRenderer) -> None:
    """Reports are made by one process, one after the other."""
    texts = [{"do": "well", "number": number} for number in range(5)]
    answers = [answer.split() for answer in await asyncio.gather(*map(renderer.render, texts))]
    assert len({process for process, _, _ in answers}) == 1
    assert [int(calls) for _, calls, _ in answers] == [1, 2, 3, 4, 5]
    assert [int(number) for _, _, number in answers] == [0, 1, 2, 3, 4]


async def test_the_same_report_is_made_once(renderer: ReportRenderer) -> None:
    """Whoever opens a report again, at the same time or later, gets the one that was made."""
    text = {"do": "well", "number": 7}
    answers = await asyncio.gather(*(renderer.render(text) for _ in range(30)))
    assert {*answers, await renderer.render(text)} == {answers[0]}
    assert answers[0].split()[1] == b"1"


async def test_it_sees_no_environment(
    renderer: ReportRenderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process has none of the daemon's variables, some of which are secrets."""
    monkeypatch.setenv("BRIDGE_SIGNING_KEY", "secret")
    seen = await renderer.render({"do": "environment"})
    assert b"secret" not in seen
    assert b"BRIDGE" not in seen


async def test_one_thread_typesets(tmp_path: Path) -> None:
    """The library is told to use one thread, not one for each CPU: a host may have more of them
    than a container may have threads.
    """
    (tmp_path / "typst.py").write_text(TOLD, encoding="utf-8")
    start = (
        f"import runpy, sys; sys.path.insert(0, {str(tmp_path)!r});"
        f" runpy.run_path({TYPESETTING[-1]!r}, run_name='__main__')"
    )
    renderer = ReportRenderer((sys.executable, "-c", start))
    assert await renderer.render({}) == b"1"
    await renderer.close()


@pytest.mark.parametrize("failure", ["die", "refuse"])
async def test_a_failure_is_one_reports_alone(renderer: ReportRenderer, failure: str) -> None:
    """A report that cannot be made is refused, and the next one is made."""
    await renderer.render({"do": "well"})
    with pytest.raises(ReportFailed) as caught:
        await renderer.render({"do": failure})
    assert "person" not in str(caught.value)
    assert (await renderer.render({"do": "well", "number": 3})).endswith(b"3")


async def test_a_hanging_process_is_replaced(command: tuple[str, ...]) -> None:
    """A process that does not answer in time is killed; another takes its place."""
    renderer = ReportRenderer(command, patience_s=2)
    first = (await renderer.render({"do": "well"})).split()[0]
    with pytest.raises(ReportFailed, match="in time"):
        await renderer.render({"do": "hang"})
    second = (await renderer.render({"do": "well", "number": 2})).split()[0]
    assert first != second
    await renderer.close()
    for process in (first, second):
        with pytest.raises(ProcessLookupError):
            os.kill(int(process), 0)


async def test_what_failed_is_not_tried_again_at_once(renderer: ReportRenderer) -> None:
    """A report that ended its process is refused for a moment without trying: it would delay all
    others.
    """
    with pytest.raises(ReportFailed):
        await renderer.render({"do": "die"})
    before = await renderer.render({"do": "well"})
    with pytest.raises(ReportFailed, match="a moment ago"):
        await renderer.render({"do": "die"})
    after = await renderer.render({"do": "well", "number": 2})
    assert after.split()[0] == before.split()[0]


async def test_no_process_no_report() -> None:
    """Where it cannot be started, reports are refused."""
    renderer = ReportRenderer(("/nowhere/typesetter",))
    with pytest.raises(ReportFailed, match="started"):
        await renderer.render({"do": "well"})
    await renderer.close()


async def test_only_so_many_wait(command: tuple[str, ...]) -> None:
    """Behind a report that takes long, a limited number waits; whoever waits too long is refused,
    too, and so is everybody at the end.
    """
    renderer = ReportRenderer(command, patience_s=600)
    texts = [{"do": "hang", "number": number} for number in range(MOST_WAITING)]
    waiting = [
        asyncio.create_task(renderer.render(text, str(number % 3)))
        for number, text in enumerate(texts)
    ]
    await asyncio.sleep(0)
    with pytest.raises(ProcessOverloaded):
        await renderer.render({"do": "well"}, "another")
    await renderer.close()
    ended = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(one, BaseException) for one in ended)


async def test_one_customer_leaves_room(renderer: ReportRenderer) -> None:
    """Where one customer wants many reports at once, some of its own are refused, and nobody
    else's; once they are made it may want others.
    """
    wanted = [renderer.render({"do": "well", "number": n}, "acme") for n in range(MOST_OF_ONE + 2)]
    *made, other = await asyncio.gather(
        *wanted, renderer.render({"do": "well", "number": 99}, "globex"), return_exceptions=True
    )
    assert [isinstance(one, ProcessOverloaded) for one in made] == [
        *(False for _ in range(MOST_OF_ONE)),
        *(True, True),
    ]
    assert isinstance(other, bytes)
    assert await renderer.render({"do": "well", "number": 100}, "acme")
