"""How ``tail`` shows a call."""

from __future__ import annotations

from bridge.cli.tail_command import format_call
from tests.cli.test_commands import run

CALL = {
    "at": "2026-11-27T10:00:00+00:00",
    "direction": "out",
    "party": "softgarden",
    "operation": "notify",
    "ms": 12.3,
    "status": 400,
    "code": "rejected",
    "reason": "no such invitation",
    "customer": "acme",
    "invitation_id": "iv_3TKWBo89bML7CazgAxk3W05UK",
}


def test_a_call_on_a_line() -> None:
    """Who called whom, what, status, time, customer, the whole id, and why it failed."""
    text = format_call(CALL).plain
    for part in ("bridge → softgarden", "notify", "400", "12 ms", "acme", CALL["invitation_id"]):
        assert str(part) in text
    assert text.endswith("rejected: no such invitation")


def test_a_call_of_somebody_else() -> None:
    """A request has its method, and one without an answer says so."""
    call = {**CALL, "direction": "in", "party": "pages", "method": "GET", "operation": "/start"}
    assert "pages → bridge" in format_call(call).plain
    assert "GET /start" in format_call(call).plain
    assert " none " in format_call({**CALL, "status": None}).plain


def test_a_narrow_terminal() -> None:
    """Where a line has no room, what, whose and why stand below; nothing is cut."""
    lines = format_call(CALL, narrow=True).plain.splitlines()
    assert [line.strip() for line in lines[1:]] == [
        "notify",
        f"acme {CALL['invitation_id']}",
        "rejected: no such invitation",
    ]
    assert all(len(line) <= 60 for line in lines)


def test_help_has_examples() -> None:
    """The help shows how it is called."""
    assert "tail --customer acme" in run("tail", "--help").out
