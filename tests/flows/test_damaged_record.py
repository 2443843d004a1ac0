"""A record that somebody has spoilt harms one invitation, and nothing else."""

from __future__ import annotations

import pytest

from tests.flows.conftest import Bridge, eventually

NONSENSE = (
    "nonsense",
    "1|n|{",
    '1|n:c--|{"f":1,"customer":7}',
    '1|n|{"f":1,"customer":"acme","state":"sleeping"}',
)


@pytest.mark.parametrize("value", NONSENSE)
async def test_a_damaged_record(bridge: Bridge, value: str) -> None:
    """Whoever asks for it is told to come back, never 500; others' journeys go on; repaired, it is
    served as before.
    """
    invited = await bridge.acme.invite("engineer", candidate_id="application-1")
    an_id, made = invited.json["invitationId"], bridge.created()
    page = (await bridge.acme.read_results(an_id)).json["result"]["resultUrl"]
    key = f"{bridge.runtime.settings.redis.key_prefix}:{{p{an_id[3]}}}:iv:{an_id}"
    commands = bridge.runtime.commands
    kept = await commands.run(("GET", key))
    await commands.run(("SET", key, value))
    for answer in (
        await bridge.acme.read_results(an_id),
        await bridge.acme.delete(an_id),
        await bridge.acme.invite("engineer", candidate_id="application-1"),
    ):
        assert (answer.status, answer.json["code"]) == (503, "record_damaged")
        assert answer.headers["Retry-After"]
    assert (await bridge.ask("GET", page)).status == 503
    assert await bridge.equalture.complete(made) == 503
    other = await bridge.acme.invite("engineer", candidate_id="application-2")
    assert await bridge.equalture.complete(bridge.created()) == 200
    await eventually(lambda: bridge.notified(other.json["invitationId"]))
    assert [note.name async for note in bridge.runtime.quarantine.notes()] == [an_id]
    await commands.run(("SET", key, kept))
    await bridge.runtime.reconciler.run()
    assert [note async for note in bridge.runtime.quarantine.notes()] == []
    assert await bridge.equalture.complete(made) == 200
    await eventually(lambda: bridge.notified(an_id))
