"""``reencrypt`` as administrators run it, on a real Redis."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from bridge.core.invitation import Invitation, Transition
from bridge.settings import rules
from bridge.store.connect import open_client
from bridge.store.encryption import EncryptionKeyRing
from bridge.store.invitation_store import RedisInvitations
from tests.redis_servers import RedisServer, binaries
from tests.store.conformance import Clock, invitation
from tests.store.test_record_codec import full

OLD, NEW, OTHER = "O" * 43, "N" * 43, "X" * 43
pytestmark = pytest.mark.redis


@pytest.fixture(name="redis")
def _redis() -> Iterator[RedisServer]:
    server = RedisServer(next(iter(binaries().values())))
    yield server.start()
    server.close()


def reencrypt(
    folder: Path, redis: RedisServer, *keys: str
) -> tuple[int, dict[str, dict[str, object]], str]:
    """Run it with these keys; gives exit code, counts and complaints."""
    daemon = {
        "public_url": "https://bridge.example.com",
        "signing_keys": [OLD],
        "encryption_keys": list(keys),
        "redis": {"url": redis.url, "key_prefix": "b"},
        "equalture": {"base_url": "https://equalture.example.com"},
    }
    (folder / "bridge.yaml").write_text(yaml.safe_dump(daemon), "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "bridge", "reencrypt", "--json", "--config", str(folder)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout or "{}"), done.stderr


async def store(redis: RedisServer, *keys: str) -> Invitation:
    """Put a full record, as a daemon with these keys would."""
    async with open_client(redis.url) as commands:
        cipher = EncryptionKeyRing([rules.parse_secret_key(key) for key in keys]) if keys else None
        records = RedisInvitations(
            commands, prefix="b", retention=timedelta(days=1), clock=Clock(), cipher=cipher
        )
        one = replace(full(), id=invitation().id, version=0)
        assert await records.commit(Transition(one))
        return one


async def test_a_key_is_changed(redis: RedisServer, tmp_path: Path) -> None:
    """The counts tell what was done, a second run has nothing to do, and afterwards the old key is
    not needed any more.
    """
    await store(redis)
    await store(redis, OLD)
    await store(redis, NEW, OLD)
    code, counts, _ = reencrypt(tmp_path, redis, NEW, OLD)
    assert (code, counts["records"]) == (0, {"renewed": 2, "current": 1, "left": []})
    code, counts, _ = reencrypt(tmp_path, redis, NEW)
    assert (code, counts["records"]) == (0, {"renewed": 0, "current": 3, "left": []})


async def test_a_missing_key_is_told(redis: RedisServer, tmp_path: Path) -> None:
    """What cannot be read is exit code 1, with the id and the setting; the rest is done all the
    same.
    """
    lost = await store(redis, OTHER)
    await store(redis, OLD)
    code, counts, complaints = reencrypt(tmp_path, redis, NEW, OLD)
    assert code == 1
    assert (counts["records"]["renewed"], counts["records"]["current"]) == (1, 0)
    assert f"{lost.id} is encrypted with a key that is not in encryption_keys" in complaints


async def test_without_a_key_there_is_nothing_to_encrypt_with(
    redis: RedisServer, tmp_path: Path
) -> None:
    """No key is exit code 2, and nothing is changed; Redis away is exit code 1."""
    await store(redis, OLD)
    code, counts, complaints = reencrypt(tmp_path, redis)
    assert (code, counts) == (2, {})
    assert "encryption_keys" in complaints
    redis.kill()
    code, counts, complaints = reencrypt(tmp_path, redis, NEW)
    assert (code, counts) == (1, {})
    assert "Redis does not answer" in complaints


async def test_damaged_values_stop_nothing(redis: RedisServer, tmp_path: Path) -> None:
    """Whatever lies under the bridge's keys is left as it was and named; all else is encrypted,
    without a traceback.
    """
    await store(redis)
    nonsense = ("", "x", "1|n|", "1|n|[]", '1|n:c--|{"f":1,"sealed":7}', '1|n|{"f":"x"}')
    with redis.client() as client:
        for number, value in enumerate(nonsense):
            client.set(f"b:{{p3}}:iv:iv_3{number:024}", value)
        client.hset("b:{p3}:tasks", mapping={b"\xff": b"x", b"iv_3:check": b"||||0|{"})
        client.zadd("b:{p3}:dead", {b"\xff:notify": 1, "iv_3:notify": 2})
        client.set("b:{p3}:dead:iv_3:notify", "[]")
        client.set("b:{p4}:tasks", "not a hash")
    code, found, said = reencrypt(tmp_path, redis, NEW)
    assert (code, found["records"]["renewed"]) == (1, 1)
    assert len(found["records"]["left"]) == len(nonsense)  # type: ignore[arg-type]
    assert said
