"""Every command as an operator or a script calls it: exit codes, JSON shapes, and what is said."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
import yaml
from click.testing import CliRunner

from bridge.cli import main
from bridge.core import ids
from bridge.core.assessment import Assessment
from bridge.core.invitation import Invitation, State
from bridge.core.lifecycle import orders
from bridge.core.lifecycle.decide import decide
from bridge.core.lifecycle.events import (
    ApplicationCreated,
    CreateOutcomeUnknown,
    ErasureRequested,
    Event,
    InvitationIdIssued,
    ResultConfirmed,
)
from bridge.core.queueing import LEASE_LIFE, AttemptNote, GiveUpTask, TaskKind
from bridge.store.connect import open_client
from bridge.store.invitation_store import RedisInvitations
from bridge.store.status_word_store import RedisStatusWords
from bridge.store.task_queue import RedisTasks
from tests.core.build import OTHER_REPORT, POLICY
from tests.redis_servers import RedisServer, binaries, free_port

KEY = "A" * 43
NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)
AN_ID = "iv_0" + "a" * 24
RETENTION = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def run(*arguments: str | Path, **environment: str) -> Said:
    """Run the commands' entry point with these arguments, in this process: a fresh one would take a
    second each time.
    """
    before = sys.argv, logging.getLogger().handlers[:], logging.getLogger().level
    sys.argv = ["assessment-bridge", *map(str, arguments)]
    try:
        with CliRunner(env={"COLUMNS": "80", **environment}).isolation() as (out, err, _):
            with pytest.raises(SystemExit) as ended:
                main()
            sys.stdout.flush()
            said = Said(
                int(ended.value.code or 0), out.getvalue().decode(), err.getvalue().decode()
            )
    finally:
        sys.argv, logging.getLogger().handlers[:] = before[0], before[1]
        logging.getLogger().setLevel(before[2])
        structlog.reset_defaults()
    return said


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    """A Redis for all commands."""
    server = RedisServer(next(iter(binaries().values())))
    yield server.start()
    server.close()


def write(folder: Path, redis_url: str, **daemon: Any) -> Path:
    """A configuration with the customers acme and globex."""
    (folder / "customers").mkdir(parents=True)
    document = {
        "public_url": "http://127.0.0.1:8080",
        "redis": {"url": redis_url, "require_durable": "off"},
        "signing_keys": [KEY],
        "equalture": {"base_url": "http://127.0.0.1:1", "timeout": "1s"},
        **daemon,
    }
    (folder / "bridge.yaml").write_text(yaml.safe_dump(document))
    for number, name in enumerate(("acme", "globex"), start=1):
        customer = {
            "softgarden": {"tokens_sha256": [str(number) * 64], "client_id": "10"},
            "equalture": {"client_id": name, "client_secret": "s3cret-of-the-customer"},
        }
        (folder / "customers" / f"{name}.yaml").write_text(yaml.safe_dump(customer))
    return folder


@pytest.fixture
def config(tmp_path: Path, redis: RedisServer) -> Path:
    return write(tmp_path / "config", redis.url)


class Content:
    """What lies in Redis: invitations made by the core, debts settled as the worker does it."""

    def __init__(self, url: str, prefix: str) -> None:
        self.url = self._url = url
        self.prefix = prefix
        self._count = 0

    def invitation(self, *events: Event, customer: str = "acme", at: datetime = NOW) -> Invitation:
        """Store one to which these events happened."""
        return asyncio.run(self._invitation(events, customer, at))

    def dead_letter(self, customer: str = "acme", since: datetime = NOW) -> Invitation:
        """Store a completed one whose notification was given up."""
        one = self.invitation(
            ApplicationCreated(1, "ref-1", "https://equalture.example.com/1"),
            ISSUED,
            ResultConfirmed(OTHER_REPORT),
            customer=customer,
        )
        self.give_up(one, since=since)
        return one

    def give_up(
        self,
        one: Invitation,
        kind: TaskKind = TaskKind.NOTIFY,
        reason: str = "rejected",
        since: datetime = NOW,
    ) -> None:
        """Make a dead letter of this task of *one*."""
        asyncio.run(self._give_up(one, kind, reason, since))

    async def _invitation(
        self, events: tuple[Event, ...], customer: str, at: datetime
    ) -> Invitation:
        self._count += 1
        step = orders.create_invitation(
            invitation_id=ids.compose_invitation_id(self._count % 16, f"{os.urandom(16).hex()}"),
            customer=customer,
            order_key=f"order-{self._count}",
            application_id="application-1",
            test=Assessment("test-1", "job-1", "Sales"),
            callback="https://acme.softgarden.io/notify",
            secret_digest="digest",
            replaces=None,
            order_held_by=None,
            policy=POLICY,
            now=at,
        )
        async with open_client(self._url) as commands:
            store = RedisInvitations(
                commands, prefix=self.prefix, retention=RETENTION, clock=lambda: NOW
            )
            assert await store.commit(step)
            for event in events:
                known = await store.load(step.invitation.id)
                assert known is not None
                assert await store.commit(decide(known, event, POLICY, at))
            stored = await store.load(step.invitation.id)
        assert stored is not None
        return stored

    async def _give_up(self, one: Invitation, kind: TaskKind, reason: str, since: datetime) -> None:
        async with open_client(self._url) as commands:
            queue = RedisTasks(commands, prefix=self.prefix, retention=RETENTION)
            lease = await queue.take(one.id, kind, NOW, owner="test", until=NOW + LEASE_LIFE)
            assert lease is not None
            note = AttemptNote(since, reason, 400, 12, "what is this?")
            assert await queue.settle(lease, GiveUpTask(reason, note), since)


@pytest.fixture
def content(config: Path, redis: RedisServer, tmp_path: Path) -> Content:
    """A key prefix of its own, which the configuration names."""
    document = yaml.safe_load((config / "bridge.yaml").read_text())
    document["redis"]["key_prefix"] = prefix = f"cli-{os.urandom(4).hex()}"
    (config / "bridge.yaml").write_text(yaml.safe_dump(document))
    return Content(redis.url, prefix)


CREATED = ApplicationCreated(1, "ref-1", "https://equalture.example.com/1")


ISSUED = InvitationIdIssued("https://acme.softgarden.io/notify")


# -- what needs no Redis


def test_token_new(config: Path) -> None:
    """``token new`` shows a token once and the digest that goes into the YAML; with --json exactly
    these two.
    """
    made = run("token", "new", "acme", "--json", "--config", config)
    assert (made.code, set(made.json)) == (0, {"token", "sha256"})
    assert hashlib.sha256(made.json["token"].encode()).hexdigest() == made.json["sha256"]
    assert len(made.json["token"]) >= 32
    words = run("token", "new", "acme", "--config", config)
    assert words.code == 0
    assert f"Digest for {config}/customers/acme.yaml, " in words.out
    nowhere = run("token", "new", "acme", BRIDGE_CONFIG="").out
    assert "Digest for config/customers/acme.yaml, " in nowhere
    token = re.search(r"^  (\S+)$", words.out, re.MULTILINE)
    assert token is not None
    assert hashlib.sha256(token[1].encode()).hexdigest() in words.out
    assert token[1] != made.json["token"]


def test_key_new(config: Path) -> None:
    """``key new`` makes a key that the configuration takes."""
    made = run("key", "new").out.strip()
    write(
        config.parent / "other",
        "redis://127.0.0.1:1/0",
        signing_keys=[made],
        encryption_keys=[made],
    )
    assert run("check", "--config", config.parent / "other").code == 0
    assert run("key", "new", "--json").code == 0


def test_check(config: Path) -> None:
    """``check`` is 0 for good files, also by BRIDGE_CONFIG, and never prints a secret."""
    for said in (run("check", "--config", config), run("check", BRIDGE_CONFIG=str(config))):
        assert (said.code, "2 customer" in said.out) == (0, True)
        assert "s3cret" not in said.out + said.err


def test_check_names_the_place(config: Path) -> None:
    """``check`` names file, line and column of everything wrong, and exits with 2."""
    broken = config / "customers" / "acme.yaml"
    broken.write_text(broken.read_text() + "test_ulr: landing\n")
    daemon = config / "bridge.yaml"
    daemon.write_text(daemon.read_text() + "retention: tomorrow\n")
    said = run("check", "--config", config)
    assert said.code == 2
    text = said.out + said.err
    line = len(broken.read_text().splitlines())
    assert re.search(rf"acme\.yaml:{line}:1: .*test_url", text)
    assert re.search(r"bridge\.yaml:\d+:\d+: .*retention", text)
    assert "s3cret" not in text


@pytest.mark.parametrize(
    "arguments",
    [
        ("check",),
        ("serve",),
        ("serve", "--workers", "2"),
        ("healthcheck",),
        ("invitations", "list"),
        ("invitations", "show", "iv_1"),
        ("dead", "list"),
        ("dead", "replay", "--all"),
        ("dead", "drop", "--all"),
        ("erase", "iv_1"),
    ],
    ids=" ".join,
)
def test_no_configuration(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """Every command that needs a configuration takes --config behind it, and exits with 2 where
    there is none.
    """
    said = run(*arguments, "--config", tmp_path / "nowhere")
    assert (said.code, "bridge.yaml" in said.err) == (2, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("serve", "--workers", "0"),
        ("serve", "--nonsense"),
        ("invitations", "list", "--state", "nonsense"),
        ("invitations", "show"),
        ("dead", "replay"),
        ("dead", "drop"),
        ("dead", "replay", "iv_1", "--all"),
        ("dead", "list", "--older-than", "yesterday"),
        ("token", "new"),
        ("erase",),
        ("sandbox", "--bridge-url", "http://127.0.0.1:8080"),
        ("sandbox", "--bridge-url", "127.0.0.1:8080", "--token", "t"),
        ("sandbox", "--bridge-url", "http://127.0.0.1:8080", "--token", "two words"),
        ("--nonsense",),
    ],
    ids=" ".join,
)
def test_bad_usage(arguments: tuple[str, ...]) -> None:
    """Bad usage is exit code 2 and says what is wrong."""
    said = run(*arguments)
    assert (said.code, bool(said.err), said.out) == (2, True, "")


def test_help() -> None:
    """Help is no mistake, and names every command."""
    said = run("--help")
    assert said.code == 0
    for command in (
        "serve",
        "check",
        "healthcheck",
        "token",
        "key",
        "invitations",
        "dead",
        "erase",
        "demo",
        "sandbox",
    ):
        assert command in said.out
    for command in ("serve", "dead", "invitations"):
        assert run(command, "--help").code == 0


# -- what looks into Redis


def test_invitations_list(config: Path, content: Content) -> None:
    """``invitations list`` is filtered by customer, state and unanswered creates, oldest first."""
    done = content.invitation(CREATED, ResultConfirmed(OTHER_REPORT), at=NOW - 2 * DAY)
    invited = content.invitation(CREATED, customer="globex", at=NOW - DAY)
    lost = content.invitation(CreateOutcomeUnknown(1))

    def listed(*arguments: str) -> list[str]:
        said = run("invitations", "list", *arguments, "--config", config, "--json")
        assert said.code == 0
        return [row["id"] for row in said.json]

    assert listed() == [done.id, invited.id, lost.id]
    assert listed("--customer", "globex") == [invited.id]
    assert listed("--state", "completed") == [done.id]
    assert listed("--state", "completed", "--customer", "globex") == []
    assert listed("--uncertain") == [lost.id]
    said = run("invitations", "list", "--config", config)
    assert said.code == 0
    for one in (done, invited, lost):
        assert re.search(rf"^{one.id}\b.*\b{one.state}\b", said.out, re.MULTILINE), said.out


def test_unknown_words_are_told_by_check_online(config: Path, content: Content) -> None:
    """``check --online`` tells which status words the daemons did not understand, unless the
    settings know them meanwhile.
    """

    async def heard() -> None:
        async with open_client(content.url) as commands:
            words = RedisStatusWords(commands, prefix=content.prefix, life=DAY)
            for word in ("finished", "finished", "completed", "all_done", "one_too_many"):
                await words.keep("acme", word, NOW, limit=3)
            assert await commands.run(("PTTL", f"{content.prefix}:words:acme")) > 0

    asyncio.run(heard())
    said = run("check", "--online", "--config", config)
    assert (said.code, "acme: Equalture's status said all_done, finished, which" in said.out) == (
        1,
        True,
    ), said
    assert "globex: Equalture's status" not in said.out
    document = yaml.safe_load((config / "bridge.yaml").read_text())
    document["equalture"]["done_words"] = ["FINISHED", "all_done"]
    document["redis"]["url"] = "redis://127.0.0.1:1"
    (config / "bridge.yaml").write_text(yaml.safe_dump(document))
    assert "not looked for" in run("check", "--online", "--config", config).out


def test_invitations_shared(config: Path, content: Content) -> None:
    """``invitations list --shared`` shows those with the same application, and with whom they share
    it.
    """
    one, other = content.invitation(CREATED, at=NOW - DAY), content.invitation(CREATED)
    content.invitation(CREATED, customer="globex")
    content.invitation(CREATED, ErasureRequested())
    said = run("invitations", "list", "--shared", "--config", config, "--json")
    assert said.code == 0
    assert [(row["id"], row["shared_with"]) for row in said.json] == [
        (one.id, [other.id]),
        (other.id, [one.id]),
    ]
    words = run("invitations", "list", "--shared", "--config", config)
    assert (words.code, words.out.count(other.id)) == (0, 2)


def test_invitations_refresh_errors(config: Path, content: Content) -> None:
    """``invitations refresh`` of an unknown id, of a lost create and without Equalture is 1, and
    says why.
    """
    lost = content.invitation(CreateOutcomeUnknown(1))
    for an_id, why in (
        (AN_ID, AN_ID),
        (lost.id, "no application"),
        (content.invitation(CREATED).id, "no answer"),
    ):
        said = run("invitations", "refresh", an_id, "--config", config)
        assert (said.code, why in said.out + said.err) == (1, True), said
    said = run("invitations", "refresh", lost.id, "--config", config, "--json")
    assert (said.code, said.json["outcome"], said.json["id"]) == (1, "nothing_to_ask", lost.id)


def test_invitations_show(config: Path, content: Content) -> None:
    """``invitations show`` tells one invitation's timeline and dead letters; an unknown id is 1."""
    one = content.dead_letter()
    said = run("invitations", "show", one.id, "--config", config, "--json")
    assert said.code == 0
    assert (said.json["id"], said.json["state"], said.json["references"]) == (
        one.id,
        "completed",
        ["ref-1"],
    )
    assert next(moment["what"] for moment in said.json["timeline"]) == "ordered"
    assert [letter["id"] for letter in said.json["dead_letters"]] == [f"{one.id}:notify"]
    words = run("invitations", "show", one.id, "--config", config)
    assert (words.code, "ordered" in words.out, "rejected" in words.out) == (0, True, True)
    for unknown in (AN_ID, "nonsense"):
        said = run("invitations", "show", unknown, "--config", config)
        assert (said.code, unknown in said.err) == (1, True)


def test_dead_list(config: Path, content: Content) -> None:
    """``dead list`` has the documented shape, and is filtered by id, customer and age; an unknown
    id is 1.
    """
    old = content.dead_letter(since=NOW - 3 * DAY)
    new = content.dead_letter(customer="globex")

    def listed(*arguments: str, code: int = 0) -> list[str]:
        said = run("dead", "list", *arguments, "--config", config, "--json")
        assert said.code == code
        return [row["invitation"] for row in said.json]

    said = run("dead", "list", "--json", "--config", config)
    row = said.json[0]
    assert set(row) >= {"id", "invitation", "customer", "kind", "attempts", "reason", "since"}
    assert (row["id"], row["invitation"], row["customer"]) == (f"{old.id}:notify", old.id, "acme")
    assert (row["kind"], row["attempts"], row["reason"]) == ("notify", 1, "rejected")
    assert row["since"] == (NOW - 3 * DAY).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert row["log"][0]["body"] == "what is this?"
    assert listed() == [old.id, new.id]
    assert listed("--customer", "globex") == [new.id]
    assert listed("--older-than", "2d") == [old.id]
    assert listed(new.id) == listed(f"{new.id}:notify") == [new.id]
    assert listed(AN_ID, code=1) == []
    words = run("dead", "list", "--config", config)
    for one in (old, new):
        assert f"{one.id}:notify" in words.out, words.out


def test_dead_replay_and_drop(config: Path, content: Content) -> None:
    """Dead letters are queued again or dropped by id, customer and age; one that is not there is 1,
    none of all is 0.
    """
    letters = [content.dead_letter(since=NOW - number * DAY) for number in range(4)]
    other = content.dead_letter(customer="globex")

    def left() -> set[str]:
        return {row["invitation"] for row in run("dead", "list", "--json", "--config", config).json}

    assert run("dead", "replay", letters[0].id, "--config", config).out == "1 queued again.\n"
    assert run("dead", "replay", letters[0].id, "--config", config).code == 1
    assert run("dead", "drop", f"{letters[1].id}:notify", "--config", config).out == "1 dropped.\n"
    assert left() == {letters[2].id, letters[3].id, other.id}
    assert (
        run("dead", "replay", "--all", "--customer", "globex", "--config", config).out
        == "1 queued again.\n"
    )
    assert (
        run("dead", "drop", "--all", "--older-than", "60h", "--config", config).out
        == "1 dropped.\n"
    )
    assert left() == {letters[2].id}
    assert run("dead", "drop", "--all", "--config", config).code == 0
    assert run("dead", "drop", "--all", "--config", config).out == "0 dropped.\n"
    for unknown in (AN_ID, "nonsense"):
        assert run("dead", "drop", unknown, "--config", config).code == 1


def test_erase(config: Path, content: Content) -> None:
    """``erase`` erases here at once; while Equalture is away it says so with 1; done or unknown is
    0 or 1.
    """
    one = content.invitation(CREATED)
    said = run("erase", one.id, "--config", config)
    assert (said.code, "the provider has not confirmed" in said.err) == (1, True)
    shown = run("invitations", "show", one.id, "--config", config, "--json").json
    assert shown["state"] == str(State.ERASED)
    owed = run("invitations", "list", "--owed", "--config", config, "--json").json
    assert [row["id"] for row in owed] == [one.id]
    nothing_owed = content.invitation(CreateOutcomeUnknown(1))
    assert run("erase", nothing_owed.id, "--config", config).code == 0
    assert run("erase", nothing_owed.id, "--config", config).code == 0
    for unknown in (AN_ID, "nonsense"):
        assert run("erase", unknown, "--config", config).code == 1


def test_redis_away(tmp_path: Path) -> None:
    """Without Redis, commands that need it fail quickly with 1 and say why."""
    config = write(tmp_path / "config", f"unix://{tmp_path}/nowhere.sock")
    for arguments in (
        ("dead", "list"),
        ("invitations", "list"),
        ("dead", "replay", "--all"),
        ("erase", AN_ID),
    ):
        said = run(*arguments, "--config", config)
        assert (said.code, "Redis" in said.err) == (1, True)


def test_healthcheck(tmp_path: Path, redis: RedisServer) -> None:
    """``healthcheck`` is 0 while the local daemon is ready and 1 when it is not there."""
    port, admin = free_port(), free_port()
    listen = {"listen": f"0.0.0.0:{port}", "admin_listen": f"127.0.0.1:{admin}"}
    config = write(tmp_path / "config", redis.url, **listen)
    said = run("healthcheck", "--config", config)
    assert (said.code, said.out) == (
        1,
        f"not running: nobody answers at http://127.0.0.1:{port}/readyz\n",
    )
    with (tmp_path / "log").open("wb") as log:
        daemon = subprocess.Popen(
            [sys.executable, "-m", "bridge", "serve", "--config", config], stderr=log
        )
    try:
        deadline = time.monotonic() + 20
        while (said := run("healthcheck", "--config", config)).code and time.monotonic() < deadline:
            time.sleep(0.1)
        assert (said.code, said.out) == (0, "ready\n")
    finally:
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(30) == 0
    assert run("healthcheck", "--config", config).code == 1
