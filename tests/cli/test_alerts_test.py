"""``alerts test``: whether those who are to be told can be."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.alert_receiver import CHAT, SECRET, AlertReceiver
from tests.cli.test_commands import run, write

NO_REDIS = "redis://127.0.0.1:1/0"


async def test_every_receiver_is_tried(tmp_path: Path) -> None:
    """Each receiver gets a trial, without Redis, and the command says which of them took it; 1 if
    one did not. Neither URLs nor secrets are shown.
    """
    async with AlertReceiver.listening() as receiver:
        config = write(tmp_path / "config", NO_REDIS, alerts=receiver.settings)
        said = await asyncio.to_thread(run, "alerts", "test", "--json", "--config", config)
        assert said.code == 0, said.err
        assert said.json == [
            {"receiver": "alerts[0]", "format": "standard", "outcome": "took it"},
            {"receiver": "alerts[1]", "format": "slack", "outcome": "took it"},
        ]
        post = await receiver.wait("trial", customer=None)
        assert "Nobody must act" in post["data"]["text"]
        (message,) = receiver.chat
        assert "http://127.0.0.1:8080" in message
        receiver.status = 500
        said = await asyncio.to_thread(run, "alerts", "test", "--config", config)
    assert said.code == 1
    assert "the answer was 500" in said.out
    said = await asyncio.to_thread(run, "alerts", "test", "--config", config)
    assert said.code == 1
    assert said.out.count("no answer (ClientConnectorError)") == 2
    shown = await asyncio.to_thread(run, "config", "show", "--json", "--config", config)
    assert [one["url"] for one in shown.json["alerts"]] == ["***", "***"]
    assert [word for word in (CHAT, SECRET) if word in said.out + said.err + shown.out] == []


def test_nobody_to_try(tmp_path: Path) -> None:
    """Without receivers nothing is wrong."""
    said = run("alerts", "test", "--config", write(tmp_path / "config", NO_REDIS))
    assert (said.code, said.out) == (0, "none\n")
