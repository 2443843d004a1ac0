"""How commands show what happened to an invitation."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final

import click
from rich.console import Console
from rich.text import Text

from bridge.cli.output import format_time
from bridge.core.customers import Customer
from bridge.core.history import HistoryEntryKind
from bridge.core.history_events import CONFIRMED
from bridge.core.invitation import Invitation
from bridge.core.score import render_score
from bridge.core.timeline import TimelineEntry, build_timeline

_WORDS: Final = {
    HistoryEntryKind.ORDERED: "ordered by softgarden",
    HistoryEntryKind.REPEATED: "ordered again",
    HistoryEntryKind.ISSUED: "softgarden was given the id",
    HistoryEntryKind.LINK_OPENED: "page with the test's link opened",
    HistoryEntryKind.LINK_FOLLOWED: "led from there to the test",
    HistoryEntryKind.STARTED: "test started",
    HistoryEntryKind.CALLBACK: "Equalture reported",
    HistoryEntryKind.WEBHOOK: "Equalture reported",
    HistoryEntryKind.CHECKED: "Equalture asked: nothing new",
    HistoryEntryKind.UNANSWERED: "Equalture asked: no usable answer",
    HistoryEntryKind.COMPLETED: "completed",
    HistoryEntryKind.CONFIRMED: "confirmed by Equalture",
    HistoryEntryKind.CORRECTED: "result corrected by Equalture",
    HistoryEntryKind.EXPIRED: "expired",
    HistoryEntryKind.READ_OPEN: "read by softgarden before the end",
    HistoryEntryKind.READ: "read by softgarden",
    HistoryEntryKind.PAGE_OPENED: "result page opened",
    HistoryEntryKind.REPORT_OPENED: "report (PDF) opened",
    HistoryEntryKind.SHARE_USED: "share link used",
    HistoryEntryKind.HIRE_REQUESTED: "to be hired at Equalture",
    HistoryEntryKind.HIRED: "hired at Equalture",
    HistoryEntryKind.ERASED: "deleted",
    HistoryEntryKind.ANONYMISED: "anonymised at Equalture",
    HistoryEntryKind.PASSED_ON: "application left to another invitation",
    HistoryEntryKind.GIVEN_UP: "given up",
    HistoryEntryKind.BEGUN: "history begins; earlier is not known",
    HistoryEntryKind.DISTURBED: "history found changed or unsigned",
}
_DETAILS: Final = {
    "": "",
    CONFIRMED: "confirmed by Equalture",
    "unconfirmed": "by its report, not confirmed yet",
}
_NOTIFIED: Final = {
    "delivered": "softgarden notified",
    "rejected": "softgarden refused the notification",
    "unauthorized": "softgarden did not accept client_id",
    "callback_not_allowed": "callback host is not allowed any more",
}
_ATTEMPTS: Final = {
    "created": "created at Equalture",
    "orphan": "created at Equalture once more",
    "unknown": "create without an answer",
    "upstream_refused": "Equalture refused the create",
    "upstream_unavailable": "Equalture could not be reached",
    "upstream_broken": "created, but without a link",
    "failed": "create failed",
}
_BAD: Final = frozenset(
    {
        HistoryEntryKind.UNANSWERED,
        HistoryEntryKind.EXPIRED,
        HistoryEntryKind.GIVEN_UP,
        HistoryEntryKind.DISTURBED,
    }
)
WORDED: Final = frozenset({*_WORDS, HistoryEntryKind.NOTIFIED, HistoryEntryKind.ATTEMPT})
"""Kinds that have words."""


def convert_row_to_json(row: TimelineEntry) -> dict[str, Any]:
    """A row as data: what it does not know is left out."""
    known = {
        "number": row.number or None,
        "text": row.text or None,
        "status": row.status,
        "latency_ms": row.latency_ms,
        "count": row.count if row.last else None,
        "last": format_time(row.last),
    }
    told = {name: value for name, value in known.items() if value is not None}
    return {"at": format_time(row.at), "what": row.kind, **told}


def needs_attention(row: TimelineEntry) -> bool:
    """Whether somebody should look at it."""
    if row.kind == HistoryEntryKind.NOTIFIED:
        return row.text != "delivered"
    if row.kind == HistoryEntryKind.ATTEMPT:
        return row.text not in ("created", "orphan")
    return row.kind in _BAD


def choose_score_locale(customer: Customer | None) -> str:
    """The language in which *customer*'s softgarden reads scores; English where it is unknown."""
    return customer.provider.locale if customer else "en"


def describe_row(row: TimelineEntry, invitation: Invitation, locale: str = "en") -> tuple[str, str]:
    """What happened, and what else is to be said about it; the score as in *locale*."""
    facts = [str(row.status)] if row.status is not None else []
    if row.latency_ms is not None:
        facts.append(f"{row.latency_ms} ms")
    if row.kind == HistoryEntryKind.NOTIFIED:
        what = _NOTIFIED.get(row.text, f"notification failed: {row.text}")
        facts += [f"attempt {row.number}"] if row.number > 1 else []
    elif row.kind == HistoryEntryKind.ATTEMPT:
        what = _ATTEMPTS.get(row.text, f"create failed: {row.text}")
        facts += [f"attempt {row.number}"] if row.number > 1 else []
        facts += _reference(row, invitation)
    else:
        what = _WORDS[HistoryEntryKind(row.kind)] if row.kind in WORDED else row.kind
        facts += _details(row, invitation, locale)
    if row.last is not None:
        facts.append(_times(row))
    return what, ", ".join(fact for fact in facts if fact)


def _details(row: TimelineEntry, invitation: Invitation, locale: str) -> list[str]:
    match row.kind:
        case HistoryEntryKind.ORDERED:
            return [f"request {row.text}"] if row.text else []
        case HistoryEntryKind.CALLBACK:
            return ["callback", row.text]
        case HistoryEntryKind.WEBHOOK:
            return ["webhook"]
        case HistoryEntryKind.COMPLETED:
            how, _, pattern = row.text.partition(" ")
            return [_DETAILS.get(how, how), *_score(pattern, invitation, locale)]
    return [row.text]


def _score(pattern: str, invitation: Invitation, locale: str) -> list[str]:
    if not pattern:
        return []
    # The result may have been corrected since, or erased: then the pattern alone is known.
    result = invitation.result
    text = render_score([pattern], result, locale) if result is not None else None
    return [f"score {text}, by {pattern}" if text else f"score by {pattern}"]


def _reference(row: TimelineEntry, invitation: Invitation) -> list[str]:
    reference = next(
        (one.reference_id for one in invitation.attempts if one.number == row.number), None
    )
    return [f"reference {reference[:8]}"] if reference else []


def _times(row: TimelineEntry) -> str:
    if row.count == 1 or row.last is None:
        return ""
    same_day = row.last.date() == row.at.date()
    last = row.last.strftime("%H:%M:%S" if same_day else "%Y-%m-%d %H:%M:%S")
    return f"{row.count} times, last {last}"


def print_invitation(invitation: Invitation, locale: str) -> None:
    """Who it is, and everything that happened to it; the score as in *locale*."""
    console = Console(highlight=False)
    parts = (invitation.id, invitation.customer, invitation.test_id, str(invitation.state))
    console.print(Text("  ".join(part for part in parts if part)), soft_wrap=True)
    print_timeline(console, invitation, locale)


def print_signature_verdict(faults: Sequence[str], what: str) -> None:
    """Whether the signatures of *what* hold; on standard error where they do not."""
    if not faults:
        click.echo(f"{what} is signed, and nothing was changed in it.")
    for fault in faults:
        click.echo(f"{what} cannot be trusted: {fault}.", err=True)


def print_timeline(console: Console, invitation: Invitation, locale: str = "en") -> None:
    """One row for each, under its day; on a narrow terminal the details go below.

    The score is as the ATS is told it, in *locale*.
    """
    day = None
    for row in build_timeline(invitation):
        if row.at.date() != day:
            day = row.at.date()
            console.print(Text(f"{day:%Y-%m-%d}", "bold"))
        for line in _lines(row, invitation, console, locale):
            console.print(line, soft_wrap=True)
    if not invitation.history:
        text = "  No history is kept: this is all that the record of an earlier version says."
        console.print(Text(text, "yellow"))


def _lines(
    row: TimelineEntry, invitation: Invitation, console: Console, locale: str
) -> Iterator[Text]:
    what, facts = describe_row(row, invitation, locale)
    bad = needs_attention(row)
    shown = f"{'✗ ' if bad else ''}{what}"
    head = Text(f"  {_clock(row.at)}  ").append(shown, "red" if bad else "")
    room = console.width if console.is_terminal else 1000
    pad = max(2, 52 - len(head.plain)) if room > 80 else 2
    if facts and len(head.plain) + pad + len(facts) <= room:
        yield head.append(" " * pad).append(facts, "dim")
        return
    yield head
    for line in textwrap.wrap(facts, room - 12, break_long_words=False):
        yield Text(" " * 12).append(line, "dim")


def _clock(at: datetime) -> str:
    return f"{at:%H:%M:%S}"
