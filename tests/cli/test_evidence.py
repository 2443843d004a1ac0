"""``invitations show --verify`` and ``evidence``: a history that can be trusted, and proven."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from redis import Redis

from bridge.core import ids
from bridge.core.assessment import Assessment
from bridge.core.history import History, HistoryEntry, HistoryEntryKind
from bridge.core.history_chain import derive_history_keys
from bridge.core.history_events import EventDetail
from bridge.core.invitation import Invitation
from bridge.core.lifecycle import orders
from bridge.core.lifecycle.events import ErasureRequested, Event, ResultConfirmed
from bridge.service.commit_loop import CommitLoop
from bridge.store import record_codec
from bridge.store.connect import open_client
from bridge.store.invitation_store import RedisInvitations
from bridge.store.key_names import PartitionKeyNames
from tests.cli.test_commands import (
    CREATED,
    ISSUED,
    NOW,
    RETENTION,
    Content,
    config,
    content,
    redis,
    run,
)
from tests.core.build import POLICY, REPORT

__all__ = ["config", "content", "redis"]

ZEROS = bytes(32)
"""What ``KEY`` of the configuration is."""


def signed(content: Content, *events: Event) -> Invitation:
    """An invitation to which these events happened, then a notification and a reading."""

    async def make() -> Invitation:
        async with open_client(content.url) as commands:
            store = RedisInvitations(
                commands, prefix=content.prefix, retention=RETENTION, clock=lambda: NOW
            )
            records = CommitLoop(
                store, lambda: NOW, lambda: None, keys=derive_history_keys([ZEROS])
            )
            step = orders.create_invitation(
                invitation_id=ids.compose_invitation_id(3, "s" * 24),
                customer="acme",
                order_key="order",
                application_id="application-1",
                test=Assessment("test-1", "job-1", "Sales"),
                callback="https://acme.softgarden.io/notify",
                secret_digest="digest",
                replaces=None,
                order_held_by=None,
                policy=POLICY,
                now=NOW,
            )
            step = records.sign_history(step, None, HistoryEntry(HistoryEntryKind.ORDERED, NOW))
            assert await records.commit(step)
            one = await store.load(step.invitation.id)
            assert one is not None
            for event in events:
                one = await records.apply(one, event, None)
            detail = EventDetail("rejected", 400, 12)
            await records.note_in_history(one, HistoryEntryKind.NOTIFIED, number=1, detail=detail)
            await records.note_in_history(one, HistoryEntryKind.READ)
            return one

    return asyncio.run(make())


def tamper(content: Content, one: Invitation, change: Callable[[History], History]) -> None:
    """Change the stored history as somebody would who has Redis, but not the keys."""
    names = PartitionKeyNames(content.prefix).of(one.id)
    assert names is not None
    with Redis.from_url(content.url) as client:
        value = client.get(names.invitation(one.id))
        assert isinstance(value, bytes)
        version, commit, _ = value.split(b"|", 2)
        found = record_codec.load_record(one.id, value, None)
        changed = replace(found, history=change(found.history))
        data = record_codec.dump_invitation(changed)
        client.set(names.invitation(one.id), b"|".join([version, commit, data]))


def test_show_tells_everything(config: Path, content: Content) -> None:
    """``invitations show`` tells every entry with its detail, in order, and what was counted."""
    one = signed(content, CREATED, ISSUED, ResultConfirmed(REPORT))
    said = run("invitations", "show", one.id, "--config", config)
    assert said.code == 0
    lines = [re.sub(r"^\s*[\d:]+\s+", "", line) for line in said.out.splitlines()[2:]]
    assert [re.split(r"\s{2,}", line)[0] for line in lines] == [
        "ordered by softgarden",
        "created at Equalture",
        "softgarden was given the id",
        "completed",
        "✗ softgarden refused the notification",
        "read by softgarden",
    ]
    assert lines[1].endswith("reference ref-1")
    assert lines[4].endswith("400, 12 ms")
    rows = run("invitations", "show", one.id, "--config", config, "--json").json["timeline"]
    assert [row["what"] for row in rows] == [
        *("ordered", "attempt", "issued", "completed", "notified", "read"),
    ]
    assert (rows[4]["text"], rows[4]["status"], rows[4]["latency_ms"]) == ("rejected", 400, 12)
    assert rows[5]["count"] == 1


def test_verify(config: Path, content: Content) -> None:
    """``--verify`` is 0 for a history that nobody touched, and 1 and names the entry for another
    one.
    """
    one = signed(content, CREATED, ISSUED)
    said = run("invitations", "show", one.id, "--verify", "--config", config)
    assert (said.code, "nothing was changed" in said.out) == (0, True)

    def change(history: History) -> History:
        *others, last = history.entries
        return replace(history, entries=(*others, last._replace(status=204)))

    tamper(content, one, change)
    said = run("invitations", "show", one.id, "--verify", "--config", config)
    assert (said.code, "entry 4 (notified)" in said.err) == (1, True)
    said = run("invitations", "show", one.id, "--verify", "--config", config, "--json")
    assert (said.code, said.json["verified"]) == (1, False)
    assert [(fault["entry"], fault["kind"]) for fault in said.json["faults"]] == [(4, "notified")]


def test_verify_without_a_history(config: Path, content: Content) -> None:
    """A record of a version that kept none is shown as it is, and proves nothing."""
    one = content.invitation(CREATED, ISSUED)
    said = run("invitations", "show", one.id, "--verify", "--config", config)
    assert (said.code, "No history is kept" in said.out, "kept none" in said.err) == (1, True, True)


def test_verify_without_keys(config: Path, content: Content) -> None:
    """Without usable signing keys nothing is verified, and it is said which setting that is; the
    rest is shown all the same.
    """
    one = signed(content, CREATED)
    file = config / "bridge.yaml"
    file.write_text(file.read_text().replace("A" * 43, "${UNSET}"))
    said = run("invitations", "show", one.id, "--verify", "--config", config)
    assert (said.code, "signing_keys" in said.err) == (2, True)
    assert run("invitations", "show", one.id, "--config", config).code == 0


def test_evidence(config: Path, content: Content, tmp_path: Path) -> None:
    """``evidence`` writes a file that anybody with the public key can check, without a name, an
    application or a reference; ``--check`` takes it, and no changed one.
    """
    one = signed(content, CREATED, ISSUED, ResultConfirmed(REPORT))
    file = tmp_path / "evidence.json"
    assert run("evidence", one.id, "-o", file, "--config", config).code == 0
    text = file.read_text()
    document = json.loads(text)
    assert document["format"] == "assessment-bridge/evidence/1"
    assert [entry["kind"] for entry in document["history"]["entries"]] == [
        *("ordered", "attempt", "issued", "completed", "notified"),
    ]
    assert not any(word in text for word in ("application-1", "ref-1", "softgarden.io", "digest"))
    signature = document.pop("signature")
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(signature["public_key"]))
    key.verify(base64.b64decode(signature["value"]), canonical.encode())

    said = run("evidence", "--check", file, "--config", config)
    assert (said.code, "nothing was changed" in said.out) == (0, True)
    for changed in (
        text.replace('"status": 400', '"status": 204'),
        text.replace('"state": "completed"', '"state": "expired"'),
    ):
        other = tmp_path / "other.json"
        other.write_text(changed)
        said = run("evidence", "--check", other, "--config", config)
        assert (said.code, "signature does not fit" in said.err) == (1, True)
    assert json.loads(run("evidence", one.id, "--config", config).out)["invitation"]["id"] == one.id


def test_evidence_of_a_broken_history(config: Path, content: Content, tmp_path: Path) -> None:
    """Evidence of a history that was changed says so, when it is made and when it is checked."""
    one = signed(content, CREATED)
    tamper(content, one, lambda history: replace(history, entries=history.entries[:-1]))
    file = tmp_path / "evidence.json"
    assert run("evidence", one.id, "-o", file, "--config", config).code == 0
    assert [fault["kind"] for fault in json.loads(file.read_text())["faults"]] == ["seal"]
    said = run("evidence", "--check", file, "--config", config)
    assert (said.code, "seal: does not fit" in said.err) == (1, True)


def test_evidence_of_a_deletion(config: Path, content: Content) -> None:
    """After a deletion the evidence says what was deleted and when, and nothing else."""
    one = signed(content, CREATED, ISSUED, ResultConfirmed(REPORT), ErasureRequested())
    document = json.loads(run("evidence", one.id, "--config", config).out)
    (entry,) = document["history"]["entries"]
    assert (entry["kind"], entry["text"]) == ("erased", "application callback link result history")
    assert (document["history"]["counts"], document["faults"]) == ([], [])
    assert document["invitation"]["test"] == ""
    assert run("invitations", "show", one.id, "--verify", "--config", config).code == 0


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"format": "other"}', '{"format": "assessment-bridge/evidence/1"}']
)
def test_what_is_no_evidence(config: Path, tmp_path: Path, text: str) -> None:
    """A file that is no evidence is refused in words."""
    file = tmp_path / "evidence.json"
    file.write_text(text)
    said = run("evidence", "--check", file, "--config", config)
    assert (said.code, str(file) in said.err) == (1, True)


def test_evidence_usage(config: Path, content: Content, tmp_path: Path) -> None:
    """Neither both nor none; nothing is overwritten; an unknown id is 1."""
    one = signed(content, CREATED)
    there = tmp_path / "there.json"
    there.write_text("precious")
    for arguments, code in (
        ((), 2),
        ((one.id, "--check", there), 2),
        (("--check", tmp_path / "nothing.json"), 1),
        ((one.id, "-o", there), 1),
        (("iv_0" + "z" * 24,), 1),
    ):
        assert run("evidence", *arguments, "--config", config).code == code
    assert there.read_text() == "precious"
    large = tmp_path / "large.json"
    large.write_bytes(b" " * (1024 * 1024 + 1))
    assert "too large" in run("evidence", "--check", large, "--config", config).err


def test_a_command_writes_signed_history(config: Path, content: Content) -> None:
    """What a command changes is signed with the configuration's key."""
    one = signed(content, CREATED)
    document = yaml.safe_load((config / "customers" / "acme.yaml").read_text())
    assert document["equalture"]["client_id"] == "acme"
    run("erase", one.id, "--yes", "--config", config)
    said = run("invitations", "show", one.id, "--verify", "--config", config)
    assert said.code == 0, said
    assert "operator: application" in said.out
