"""``find`` and lists: from whatever one has to the cause and the next command."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bridge.cli import find_command, output
from bridge.cli.causes import ADVICE
from bridge.cli.timeline_view import WORDED, describe_row, print_timeline
from bridge.core.diagnosis import InvitationSituation
from bridge.core.history import HistoryEntryKind
from bridge.core.lifecycle.events import (
    CreateFailed,
    CreateOutcomeUnknown,
    ErasureRequested,
    HireRequested,
    ResultConfirmed,
)
from bridge.core.links import LinkSigner
from bridge.core.queueing import TaskKind
from bridge.core.timeline import TimelineEntry
from tests.cli.test_commands import (
    CREATED,
    DAY,
    ISSUED,
    NOW,
    Content,
    Said,
    config,
    content,
    redis,
    run,
)
from tests.cli.test_evidence import ZEROS, signed
from tests.core.build import REPORT
from tests.core.test_history import FULL

__all__ = ["config", "content", "redis"]

SIGNER = LinkSigner("http://127.0.0.1:8080", [ZEROS])


def find(config: Path, term: str, **environment: str) -> Said:
    return run("find", term, "--config", config, "--json", **environment)


def test_every_situation_has_its_advice() -> None:
    """No situation is without a cause, and every command in the table is one that there is."""
    assert set(ADVICE) == set(InvitationSituation)
    commands = {advice.command.split(" ")[0] for advice in ADVICE.values() if advice.command}
    for command in commands:
        assert run(command, "--help").code == 0
    assert all(advice.cause and advice.short for advice in ADVICE.values())


def test_every_kind_has_words() -> None:
    """No entry of a history is shown as a code."""
    assert set(HistoryEntryKind) == WORDED


def test_find_by_everything(config: Path, content: Content) -> None:
    """One invitation is found by softgarden's application id, its own id, the reference id, every
    link and the callback URL.
    """
    one = signed(content, CREATED, ISSUED, ResultConfirmed(REPORT))
    for term in (
        one.id,
        f"  {one.id}\n",
        "application-1.",
        f"<{SIGNER.start_url(one.id)}>",
        "application-1",
        "ref-1",
        SIGNER.results_url(one.id),
        SIGNER.report_url(one.id),
        SIGNER.share_url(one.id),
        SIGNER.start_url(one.id),
        SIGNER.callback_url("equalture", one.id, "secret"),
        f"https://bridge.example.com/softgarden/results/{one.id}",
        "https://acme.softgarden.io/notify",
        "https://equalture.example.com/1",
    ):
        said = find(config, term)
        assert (said.code, [found["id"] for found in said.json["found"]]) == (0, [one.id]), term
        assert said.json["also"] == []


def test_the_example(config: Path, content: Content) -> None:
    """A dead letter is told as in the manual: what happened, why, and what to do."""
    one = content.dead_letter()
    said = run("find", one.id, "--config", config)
    assert said.code == 0
    assert said.out.splitlines()[0] == (
        f"{one.id}  acme · test-1 · completed · softgarden does not know yet"
    )
    assert "given up: notify, rejected  what is this?" in said.out
    assert said.out.splitlines()[-2:] == [
        "Likely: softgarden does not know this invitation, or client_id '10' may not notify it.",
        f"Do:     assessment-bridge dead replay {one.id}     once softgarden has fixed it",
    ]
    found = find(config, one.id).json["found"][0]
    assert (found["situation"], found["do"]) == (
        "notify_rejected",
        f"assessment-bridge dead replay {one.id}",
    )
    assert found["dead_letters"][0]["reason"] == "rejected"


def test_the_score_and_its_pattern(content: Content) -> None:
    """A completion is shown with the score and the pattern that it is from; without the result the
    pattern is still known.
    """
    row = TimelineEntry(NOW, HistoryEntryKind.COMPLETED, text="confirmed {fit_label}")
    one = content.invitation(CREATED, ISSUED, ResultConfirmed(REPORT))
    told = describe_row(row, one)
    assert told == ("completed", "confirmed by Equalture, score High fit, by {fit_label}")
    told = describe_row(row, replace(one, result=None))
    assert told == ("completed", "confirmed by Equalture, score by {fit_label}")


def test_a_hire_that_is_not_done(config: Path, content: Content) -> None:
    """A hire that waits, and one that was given up, is explained beside whatever else is amiss; its
    replay names the one task.
    """
    one = content.invitation(CREATED, ISSUED, ResultConfirmed(REPORT), HireRequested(True))
    found = find(config, one.id).json["found"][0]
    assert found["situation"] == "unread"
    assert [more["situation"] for more in found["further"]] == ["hire_waiting"]
    assert f"hire {one.id}" in found["further"][0]["note"]
    content.give_up(one, TaskKind.HIRE, "refused")
    said = run("find", one.id, "--config", config)
    assert f"Do:     assessment-bridge dead replay {one.id}:hire" in said.out
    assert said.out.splitlines()[0].endswith("not hired at Equalture")
    assert said.out.count("Likely: ") == 2


def test_never_read(config: Path, content: Content) -> None:
    """That softgarden never read an end is said."""
    one = signed(content, CREATED, ISSUED)
    assert "never     read" not in run("find", one.id, "--config", config).out
    erased = signed_again(content)
    assert "never     read" not in run("find", erased, "--config", config).out


def signed_again(content: Content) -> str:
    return content.invitation(CREATED, ISSUED, ErasureRequested()).id


@pytest.mark.parametrize(
    ("events", "situation"),
    [
        ((CreateOutcomeUnknown(1),), "uncertain"),
        ((CreateFailed(1, "upstream_refused"),), "create_refused"),
        ((CREATED,), "invited"),
        ((CREATED, ResultConfirmed(REPORT)), "not_issued"),
        ((CREATED, ErasureRequested()), "erased_owed"),
    ],
)
def test_situations(config: Path, content: Content, events: Any, situation: str) -> None:
    """States are explained, in words and as data."""
    one = content.invitation(*events)
    assert find(config, one.id).json["found"][0]["situation"] == situation
    words = run("find", one.id, "--config", config).out
    assert ADVICE[InvitationSituation(situation)].short in words
    assert "Likely: " in words


def test_customers_away(config: Path, content: Content) -> None:
    """A customer whose file is broken or gone is the cause, and is named."""
    one = content.invitation(CREATED, ISSUED)
    file = config / "customers" / "acme.yaml"
    text = file.read_text()
    file.write_text(text + "nonsense: 1\n")
    found = find(config, one.id).json["found"][0]
    assert (found["situation"], "customer acme" in found["cause"]) == ("set_aside", True)
    file.unlink()
    assert find(config, "ref-1").json["found"][0]["situation"] == "removed"


def test_unknown(config: Path, content: Content) -> None:
    """What is not found is exit code 1, and what that means is said."""
    content.invitation(CREATED)
    for term in ("iv_0" + "q" * 24, "no-such-application", " "):
        said = find(config, term)
        assert (said.code, said.json["found"]) == (1, [])
        assert said.json["also"][0]["situation"] == "unknown"
    said = run("find", "no-such-application", "--config", config)
    assert (said.code, "Likely: it was never ordered" in said.out) == (1, True)


def test_a_link_that_is_not_valid(config: Path, content: Content) -> None:
    """A link that was changed leads to its invitation, and it is said why it gets 404."""
    one = content.invitation(CREATED, ISSUED)
    for link in (
        SIGNER.share_url(one.id)[:-1] + "?",
        LinkSigner(SIGNER.public_url, [b"o" * 32]).results_url(one.id),
    ):
        said = find(config, f"https://bridge.example.com/{link.split('/', 3)[-1]}")
        assert (said.code, len(said.json["found"])) == (0, 1)
        assert [also["situation"] for also in said.json["also"]] == ["bad_link"]


def test_a_record_that_cannot_be_read(config: Path, content: Content) -> None:
    """A damaged record is the cause, and where to look is said."""
    from redis import Redis

    one = content.invitation(CREATED)
    with Redis.from_url(content.url) as client:
        client.set(f"{content.prefix}:{{p{one.id[3]}}}:iv:{one.id}", b"1|x:---|nonsense")
    said = find(config, one.id)
    assert (said.code, said.json["also"][0]["situation"]) == (1, "damaged")


def test_list_by_age(config: Path, content: Content) -> None:
    """``--since`` takes a duration or a date, ``--limit`` the newest, and what is left out is
    said.
    """
    ones = [content.invitation(CREATED, at=NOW - age) for age in (10 * DAY, 3 * DAY, DAY)]
    listed = ("invitations", "list", "--config", config, "--json")

    def ids(*more: str) -> list[str]:
        return [row["id"] for row in run(*listed, *more).json]

    assert ids() == [one.id for one in ones]
    assert ids("--since", "7d") == [one.id for one in ones[1:]]
    assert ids("--since", f"{NOW - 2 * DAY:%Y-%m-%d}") == [ones[2].id]
    assert ids("--since", (NOW - timedelta(days=2)).isoformat()) == [ones[2].id]
    assert ids("--limit", "1") == [ones[2].id]
    said = run("invitations", "list", "--config", config, "--limit", "2")
    assert "1 older ones are left out" in said.err
    for wrong in (("--since", "yesterday"), ("--limit", "0")):
        assert run(*listed, *wrong).code == 2


def on_a_terminal(width: int, monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What is printed from now on, as on a terminal of this width."""
    stream = io.StringIO()

    def console(**options: Any) -> Console:
        return Console(
            file=stream, force_terminal=True, width=width, color_system="standard", **options
        )

    monkeypatch.setattr(output, "Console", console)
    return stream


ROWS = [
    {"id": "iv_0" + "a" * 24, "state": "invited", "customer": "acme", "test": "engineer-2026"},
    {"id": "iv_1" + "b" * 24, "state": "odd", "customer": "globex", "test": None},
]
COLUMNS = ("id", "customer", "state", "test")


@pytest.mark.parametrize("width", [40, 60, 200])
def test_lists_fit_the_terminal(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """On a narrow terminal no line is longer than it, nothing is cut, and states have colours."""
    stream = on_a_terminal(width, monkeypatch)
    output.print_rows(ROWS, COLUMNS)
    text = stream.getvalue()
    assert "\x1b[36minvited" in text
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert max(map(len, plain.splitlines())) <= width
    for row in ROWS:
        assert all(str(value) in plain for value in row.values() if value)


def test_pipes_stay_plain() -> None:
    """Into a pipe goes one row a line, without colours, and no id is cut, however narrow."""
    said = run("config", "schema", "--help", COLUMNS="30")
    assert said.code == 0
    stream = io.StringIO()
    rows = [{"job": "j" * 60, "name": "n" * 90, "state": "invited"}]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(output, "Console", lambda **_: Console(file=stream, highlight=False))
        output.print_rows(rows, ("job", "name", "state"))
    assert "\x1b" not in stream.getvalue()
    assert [len(line.split()) for line in stream.getvalue().splitlines()] == [3, 3]


@pytest.mark.parametrize("width", [60, 100])
def test_a_timeline_fits_the_terminal(width: int) -> None:
    """A timeline is readable on 60 columns: details go below what happened."""
    stream = io.StringIO()
    print_timeline(Console(file=stream, force_terminal=True, width=width, no_color=True), FULL)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue())
    assert max(map(len, plain.splitlines())) <= width
    assert "softgarden was given the id" in plain


@pytest.mark.parametrize("width", [40, 60, 200])
def test_advice_fits_the_terminal(
    config: Path, content: Content, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    """On a narrow terminal what find says stays below each other; ids and commands are whole."""
    one = content.dead_letter()
    stream = io.StringIO()

    def console(**options: Any) -> Console:
        return Console(file=stream, force_terminal=True, width=width, **options)

    monkeypatch.setattr(find_command, "Console", console)
    assert run("find", one.id, "--config", config).code == 0
    lines = re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue()).splitlines()
    command = f"assessment-bridge dead replay {one.id}"
    if width < 200:
        assert (lines[0], f"Do:     {command}" in lines) == (one.id, True)
    else:
        assert lines[0].startswith(f"{one.id}  acme")
    assert [line for line in lines if len(line) > width and command not in line] == []
