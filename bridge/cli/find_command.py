"""``find``: what became of an invitation, why, and what to do, from whatever one has of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from bridge import app
from bridge.cli.causes import ADVICE
from bridge.cli.dead_letter_commands import convert_dead_letter_to_json
from bridge.cli.operator_session import run_on_stored_data
from bridge.cli.options import json_option
from bridge.cli.output import colour_state, print_json
from bridge.cli.timeline_view import choose_score_locale, convert_row_to_json, print_timeline
from bridge.core.diagnosis import InvitationSituation, diagnose_dead_letter, list_situations
from bridge.core.history import HistoryEntryKind
from bridge.core.invitation import Invitation, State
from bridge.core.queueing import DeadLetter, TaskKind
from bridge.core.timeline import build_timeline
from bridge.service.operations import DeadLetterFilter

PROGRAM = "assessment-bridge"
_FIELDS = ("id", "letter", "customer", "client", "status", "reason")


@click.command()
@click.argument("term")
@json_option
@run_on_stored_data
async def find(runtime: app.Runtime, term: str, as_json: bool) -> None:
    """Find an invitation: its state, timeline, likely cause and next command.

    TERM is softgarden's application id, an invitation id, Equalture's reference id, or any link
    pasted from softgarden or a mail. Exit code 1: nothing is found.

    \b
    assessment-bridge find app-3001
    assessment-bridge find https://bridge.example.com/results/iv_7yvH...
    """
    found = await runtime.services.lookup.find(term)
    told = [await _told(runtime, one) for one in found.invitations]
    extra = [InvitationSituation.BAD_LINK] if found.bad_link else []
    extra += [InvitationSituation.DAMAGED] if found.unreadable else []
    extra += [InvitationSituation.UNKNOWN] if not told and not found.unreadable else []
    fields = dict.fromkeys(_FIELDS, "")
    fields["id"] = found.unreadable[0] if found.unreadable else ""
    fields["id"] = told[0].invitation.id if told else fields["id"]
    if as_json:
        print_json(
            {
                "term": term,
                "found": [one.json() for one in told],
                "also": [_advice_json(situation, fields) for situation in extra],
            }
        )
    else:
        console = Console(highlight=False)
        for number, one in enumerate(told):
            if number:
                console.print()
            one.print(console)
        for situation in extra:
            _print_advice(console, situation, fields)
    if not told:
        raise SystemExit(1)


async def _told(runtime: app.Runtime, invitation: Invitation) -> _Told:
    letters = await runtime.services.operations.dead_letters(DeadLetterFilter(invitation.id))
    directory = runtime.customers()
    customer = directory.get(invitation.customer)
    situations = list_situations(
        invitation,
        letters,
        served=customer is not None,
        set_aside=invitation.customer in directory.set_aside,
        now=app.utc_now(),
    )
    client_id = str(getattr(customer.ats, "client_id", "")) if customer else ""
    return _Told(invitation, letters, situations, client_id, choose_score_locale(customer))


class _Told:
    """One invitation, explained."""

    def __init__(
        self,
        invitation: Invitation,
        letters: Sequence[DeadLetter],
        situations: Sequence[InvitationSituation],
        client_id: str,
        locale: str,
    ) -> None:
        self.invitation = invitation
        self._letters = letters
        self._situations = situations
        self._client_id = client_id
        self._locale = locale

    def _fields(self, situation: InvitationSituation) -> dict[str, str]:
        letter = next(
            (one for one in self._letters if diagnose_dead_letter(one) is situation), None
        )
        # To replay a hire says that somebody has looked: no other letter's replay may do that.
        by_task = letter is not None and (letter.kind == TaskKind.HIRE or len(self._letters) > 1)
        return {
            "id": self.invitation.id,
            "letter": letter.task_id if letter and by_task else self.invitation.id,
            "customer": self.invitation.customer,
            "client": f"client_id {self._client_id!r}" if self._client_id else "the client_id",
            **_reason(self.invitation, letter, situation),
        }

    def json(self) -> dict[str, Any]:
        one = self.invitation
        first, *further = (
            _advice_json(situation, self._fields(situation)) for situation in self._situations
        )
        return {
            "id": one.id,
            "customer": one.customer,
            "test": one.test_id,
            "state": str(one.state),
            **first,
            "further": further,
            "timeline": [convert_row_to_json(row) for row in build_timeline(one)],
            "dead_letters": [convert_dead_letter_to_json(letter) for letter in self._letters],
        }

    def print(self, console: Console) -> None:
        one = self.invitation
        head = Text(one.customer)
        head.append(f" · {one.test_id}" if one.test_id else "").append(" · ")
        head.append_text(colour_state(one.state))
        head.append(f" · {ADVICE[self._situations[0]].short}")
        _print_apart(console, Text(one.id), head, "  ")
        print_timeline(console, one, self._locale)
        for letter in self._letters:
            log = letter.history[-1].excerpt if letter.history else ""
            text = Text(f"  given up: {letter.kind}, {letter.reason}", "red")
            _print_apart(console, text, Text(log[:200].strip(), "red"), "  ")
        if _was_never_read(one):
            console.print(Text("  never     read by softgarden", "yellow"), soft_wrap=True)
        for situation in self._situations:
            _print_advice(console, situation, self._fields(situation))


def _was_never_read(one: Invitation) -> bool:
    ended = one.state in (State.COMPLETED, State.EXPIRED) and one.issued
    return ended and bool(one.history) and one.history.count(HistoryEntryKind.READ) is None


def _reason(
    invitation: Invitation, letter: DeadLetter | None, situation: InvitationSituation
) -> dict[str, str]:
    if letter is not None:
        status = letter.history[-1].status if letter.history else None
        return {"reason": letter.reason.removeprefix("http_"), "status": str(status or "")}
    history = invitation.history
    if situation is InvitationSituation.PROVIDER_SILENT:
        silent = history.count(HistoryEntryKind.UNANSWERED)
        return _words(silent.text if silent else "", silent.status if silent else None)
    told = history.last(HistoryEntryKind.NOTIFIED)
    return _words(told.text if told else "", told.status if told else None)


def _words(text: str, status: int | None) -> dict[str, str]:
    return {"reason": str(status) if status else text, "status": str(status or "")}


def _advice_json(situation: InvitationSituation, fields: dict[str, str]) -> dict[str, str | None]:
    advice = ADVICE[situation]
    command = f"{PROGRAM} {advice.command.format_map(fields)}" if advice.command else None
    return {
        "situation": str(situation),
        "cause": advice.cause.format_map(fields),
        "do": command,
        "note": advice.note.format_map(fields) or None,
    }


def _print_advice(console: Console, situation: InvitationSituation, fields: dict[str, str]) -> None:
    told = _advice_json(situation, fields)
    console.print(Text(f"Likely: {told['cause']}"), soft_wrap=not console.is_terminal)
    parts = [part for part in (told["do"], told["note"]) if part]
    if not parts:
        return
    line = Text("Do:     ").append(parts[0], "bold" if told["do"] else "")
    _print_apart(console, line, Text(parts[1] if parts[1:] else "", "dim"), " " * 5)


def _print_apart(console: Console, first: Text, then: Text, gap: str) -> None:
    """*first*, which may have to be copied and is never broken, and *then* behind it, or below
    where the terminal is too narrow.
    """
    whole = Text.assemble(first, gap, then) if then.plain else first
    if not console.is_terminal or whole.cell_len <= console.width:
        console.print(whole, soft_wrap=True)
        return
    console.print(first, soft_wrap=True)
    for line in then.wrap(console, max(20, console.width - 8)):
        line.rstrip()
        console.print(Text(" " * 8).append_text(line), soft_wrap=True)
