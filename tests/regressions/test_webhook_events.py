"""Webhooks crashed: redis-py makes a bool of what SET with GET gives, so the short cut's script
read no text.

An event that came before the create's answer made the invite a 500, a repeated event too; and a
repeated one was acted upon.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from bridge import webhook_signature as signature
from bridge.core.invitation import AddedReference
from bridge.errors import BadSignature
from bridge.store.connect import open_client
from bridge.store.reference_index import RedisReferenceIndex
from tests.redis_servers import RedisServer, binaries
from tests.service.fakes import ACME, NOW, World


@pytest.mark.redis
async def test_references_on_a_real_redis() -> None:
    """What waits for an application is told, again where the answer was lost; a known one is found,
    and a forgotten one is gone with its key.
    """
    server = RedisServer(next(iter(binaries().values()))).start()
    try:
        async with open_client(server.url) as commands:
            references = RedisReferenceIndex(commands, prefix="x", retention=timedelta(days=1))
            assert (await references.add("acme", "new", "iv_1")).word is None
            assert (await references.add("acme", "new", "iv_1")).word is None
            await references.hold_event("acme", "early", "started", life=timedelta(minutes=1))
            await references.hold_event("acme", "early", "finished", life=timedelta(minutes=1))
            for word, replaces in (("started", ""), ("finished", "started"), ("started", "")):
                life = timedelta(minutes=1)
                await references.hold_event("acme", "later", word, life=life, replaces=replaces)
            assert (await references.add("acme", "later", "iv_3")).word == "finished"
            await references.remove("acme", "later", "iv_3")
            assert await references.find("acme", "early") == ()
            assert (await references.add("acme", "early", "iv_2")).word == "started"
            assert (await references.add("acme", "early", "iv_2")).word == "started"
            assert (await references.add("acme", "early", "iv_4")) == AddedReference(
                "started", ("iv_2",)
            )
            await references.hold_event("acme", "early", "finished", life=timedelta(minutes=1))
            await references.remove("acme", "early", "iv_4")
            found = [await references.find("acme", one) for one in ("new", "early", "other")]
            assert found == [("iv_1",), ("iv_2",), ()]
            await references.remove("acme", "new", "iv_2")
            assert (await references.add("acme", "new", "iv_2")).word is None
            assert (await references.add("acme", "new", "iv_1")).word is None
            assert await references.find("acme", "new") == ("iv_2", "iv_1")
            await references.remove("acme", "new", "iv_2")
            assert await references.find("acme", "new") == ("iv_1",)
            await references.remove("acme", "new", "iv_1")
            assert await references.find("acme", "new") == ()
            assert [await references.is_event_seen("acme", "e") for _ in range(2)] == [False, False]
            await references.mark_event_seen("acme", "e", life=timedelta(minutes=1))
            assert [await references.is_event_seen(name, "e") for name in ("acme", "globex")] == [
                True,
                False,
            ]
            with server.client() as client:
                assert all(client.pttl(key) > 0 for key in client.keys("*"))
                assert len(client.keys("*")) == 2
    finally:
        server.close()


async def test_repeated_event_is_not_acted_upon() -> None:
    """An event that comes again wakes nobody."""
    world = World()
    await world.invited()
    assert await world.events.take(ACME, "e", "finished", "ref-1", None) == "taken"
    woken = world.woken
    assert await world.events.take(ACME, "e", "finished", "ref-1", None) == "repeated"
    assert world.woken == woken


def test_time_that_no_calendar_has() -> None:
    """A signed timestamp beyond the year 9999 was a 500 and is a stale one."""
    secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
    stamp = "999999999999"
    signed = {
        "webhook-id": "m",
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{signature.compute_signature(b'', 'm', stamp, secret)}",
    }
    with pytest.raises(BadSignature, match="off the bridge's time"):
        signature.verify_signature(b"", signature.read_signature_headers(signed, NOW), secret)
