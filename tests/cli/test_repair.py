"""What operators do about what could not be read, and about lost tasks."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.core.lifecycle.events import ResultConfirmed
from tests.cli.test_commands import CREATED, ISSUED, Content, config, content, redis, run  # noqa: F401
from tests.core.build import OTHER_REPORT
from tests.redis_servers import RedisServer

pytestmark = pytest.mark.redis


@pytest.fixture
def prefix(content: Content) -> str:  # noqa: F811
    return content.prefix


def test_quarantine(config: Path, content: Content, redis: RedisServer, prefix: str) -> None:  # noqa: F811
    """What was put aside is listed with what, why and since when, and dropped one by one or as a
    whole.
    """
    assert run("quarantine", "list", "--config", config).out.strip() == "none"
    one, other = content.invitation(CREATED), content.invitation(CREATED)
    with redis.client() as client:
        client.set(f"{prefix}:{{p{one.id[3]}}}:iv:{one.id}", "nonsense")
        client.set(f"{prefix}:{{p{other.id[3]}}}:iv:{other.id}", "1|n|[]")
        client.delete(f"{prefix}:{{p7}}:lanes")
        client.set(f"{prefix}:{{p7}}:lanes", "not ours")
    shown = run("invitations", "show", one.id, "--config", config)
    assert (shown.code, "Traceback" in shown.err) == (1, False)
    assert run("invitations", "list", "--json", "--config", config).json == []
    assert run("reconcile", "--config", config).code == 0
    listed = run("quarantine", "list", "--json", "--config", config).json
    assert {(entry["id"], entry["what"]) for entry in listed} == {
        (one.id, "record"),
        (other.id, "record"),
        ("key:lanes", "key"),
    }
    assert all(set(entry) == {"id", "what", "partition", "reason", "since"} for entry in listed)
    assert run("quarantine", "drop", "iv_unknown", "--config", config).code == 1
    assert run("quarantine", "drop", "--config", config).code == 2
    assert run("quarantine", "drop", one.id, "--yes", "--config", config).code == 0
    assert run("invitations", "show", one.id, "--config", config).code == 1
    assert run("quarantine", "drop", "--all", "--config", config).out.strip() == "2 dropped."
    assert run("quarantine", "list", "--json", "--config", config).json == []


def test_reconcile(config: Path, content: Content, redis: RedisServer, prefix: str) -> None:  # noqa: F811
    """``reconcile --dry-run`` says what is lost and changes nothing; ``reconcile`` queues it
    again.
    """
    one = content.invitation(CREATED, ISSUED, ResultConfirmed(OTHER_REPORT))
    base = f"{prefix}:{{p{one.id[3]}}}:"
    lost = {"requeued": [f"{one.id}:notify"]}
    with redis.client() as client:
        client.delete(f"{base}due:acme/notify/urgent", f"{base}due:acme/notify", f"{base}lanes")
        for _ in range(2):
            dry = run("reconcile", "--dry-run", "--json", "--config", config)
            assert (dry.code, dry.json | lost) == (0, dry.json)
        assert not client.exists(f"{base}lanes")
        done = run("reconcile", "--json", "--config", config)
        assert (done.code, done.json | lost | {"dry_run": False}) == (0, done.json)
        assert client.exists(f"{base}lanes")
    again = run("reconcile", "--config", config)
    assert (again.code, "0 tasks" in again.out) == (0, True)
