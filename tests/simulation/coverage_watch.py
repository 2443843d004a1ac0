"""Notes what meets what while a world is played."""

from __future__ import annotations

import contextlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final, NamedTuple, cast

from bridge.core.invitation import Invitation, State, Transition
from bridge.core.lifecycle import decide as decisions
from bridge.core.lifecycle.policy import LifecyclePolicy
from bridge.sandbox import EqualtureSandbox, SoftgardenSandbox
from tests.simulation.incidents import Incident
from tests.simulation.tape import Tape, TapedCall
from tests.simulation.webhooks import BEGUN, DONE

CHANGE: Final = "change of state"
RULE: Final = "event of the rules"
CALL: Final = "call"
NOTHING: Final = "none"
"""The state where there is no record yet, and the trouble where there is none."""

_ID: Final = re.compile(r"iv_[0-9a-f][A-Za-z0-9]{24}")
_REFERENCE: Final = re.compile(rb'"data": \{"reference_id": ("[^"]*")')
"""In a webhook."""
_INBOUND: Final = (
    ("POST", "/softgarden/invitations", "order"),
    ("DELETE", "/softgarden/invitations", "deletion"),
    ("GET", "/softgarden/results", "reading"),
    ("PUT", "/equalture/callbacks", "callback"),
    ("POST", "/equalture/webhooks", "webhook"),
)


class Cell(NamedTuple):
    """Something that happened in a state during a trouble."""

    group: str
    event: str
    state: str
    trouble: str

    def format(self) -> str:
        """As a key of a file."""
        return "|".join(self)


class CoverageWatch:
    """What one world met; *list_trouble* says what goes wrong now."""

    def __init__(self, list_trouble: Callable[[], list[str]]) -> None:
        self.met: Counter[str] = Counter()
        self._list_trouble = list_trouble

    def note_change(self, before: State, after: State) -> None:
        """A record has another state."""
        self._note(CHANGE, f"to {after}", f"{before}", self._list_trouble())

    @contextlib.contextmanager
    def watch_rules(self) -> Iterator[None]:
        """While this is open, every event that is decided on is noted."""
        handlers = cast("dict[type, Any]", decisions.HANDLERS)
        usual = dict(handlers)
        for kind, handle in usual.items():
            handlers[kind] = self._watch_rule(kind, handle)
        try:
            yield
        finally:
            handlers.update(usual)

    def note_calls(
        self,
        tape: Tape,
        incidents: list[Incident],
        reached: dict[tuple[str, State], float],
        callback_of: Callable[[str], str],
    ) -> None:
        """All calls of the world: *reached* says when an invitation was in a state first,
        *callback_of* finds the URL that Equalture has for an application.
        """
        history: dict[str, list[tuple[float, State]]] = {}
        for (invitation_id, state), at in reached.items():
            history.setdefault(invitation_id, []).append((at, state))
        for line in tape.lines:
            call = line.call
            if call is None or (event := name_call(call)) is None:
                continue
            until = line.at
            active = {one.kind for one in incidents if one.at <= until and one.end >= call.began}
            known = history.get(_find_invitation(call, callback_of), [])
            states = [state for at, state in known if at < call.began]
            met = f"{states[-1]}" if states else NOTHING
            self._note(CALL, event, met, sorted(active))

    def _watch_rule(self, kind: type, handle: Callable[..., Transition]) -> Callable[..., Any]:
        def decide(
            invitation: Invitation, event: Any, policy: LifecyclePolicy, now: datetime
        ) -> Transition:
            self._note(RULE, kind.__name__, f"{invitation.state}", self._list_trouble())
            return handle(invitation, event, policy, now)

        return decide

    def _note(self, group: str, event: str, state: str, troubles: list[str]) -> None:
        for trouble in troubles or [NOTHING]:
            self.met[Cell(group, event, state, trouble).format()] += 1


def name_call(call: TapedCall) -> str | None:
    """What a call is about and how it ended; None: it concerns no invitation."""
    method, path = call.request.method, call.request.path.partition("?")[0]
    if call.receiver == SoftgardenSandbox.name:
        event = "notification"
    elif call.receiver == EqualtureSandbox.name:
        parts = path.removeprefix("/connect_ats/applications").strip("/").split("/")
        if not path.startswith("/connect_ats/applications"):
            return None
        event = f"Equalture's {parts[1]}" if len(parts) > 1 else "Equalture's create"
    else:
        names = (
            name for verb, start, name in _INBOUND if verb == method and path.startswith(start)
        )
        named = 3 if path.startswith("/softgarden") else 2  # behind that stand tokens
        event = next(names, f"{method} {'/'.join(path.split('/')[:named])}")
        if event == "webhook":
            event = _name_webhook(call)
    status = call.answer.status if call.answer is not None else 0
    if 200 <= status < 300:
        return event
    return f"{event}, refused" if status else f"{event}, unanswered"


def _name_webhook(call: TapedCall) -> str:
    known = (word for word in (BEGUN, DONE) if f'{word}", "data' in call.request.body.decode())
    return f"webhook: {next(known, 'something else')}"


def _find_invitation(call: TapedCall, callback_of: Callable[[str], str]) -> str:
    answered = call.answer.body if call.answer is not None else b""
    bodies = (call.request.body + answered).decode("utf-8", "replace")
    parts = call.request.path.partition("?")[0].split("/")
    known = callback_of(parts[3]) if len(parts) > 3 else ""
    if named := _REFERENCE.search(call.request.body):
        known = callback_of(json.loads(named[1]))
    found = _ID.search(f"{call.request.path} {known} {bodies}")
    return found[0] if found else ""
