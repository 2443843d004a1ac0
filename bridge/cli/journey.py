"""One candidate's journey, from the list of tests to the deletion, and what it proves."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

from bridge.cli import traces
from bridge.cli.people import People
from bridge.cli.sample import TEST_ID
from bridge.cli.screen import Check, Screen
from bridge.cli.stage import Stage
from bridge.cli.tape import CANDIDATE, COLLEAGUE, RECRUITER, Tape
from bridge.sandbox import BridgeReply, SandboxClock

FIRST, LAST, EMAIL = "Friederike", "Sonnenschein", "friederike.sonnenschein@example.org"
"""No real person, and no name that random text would hold by accident."""
_LONG_S = 60.0
_PATIENCE_S = 10.0


class Stuck(Exception):
    """The journey cannot go on; the message says why."""


class Journey:
    """The play; *checks* fills while it is played."""

    def __init__(self, stage: Stage, screen: Screen, tape: Tape, people: People) -> None:
        self.checks: list[Check] = []
        self._stage = stage
        self._screen = screen
        self._tape = tape
        self._people = people
        self._application_id = str(uuid4())
        self._invitation: dict[str, Any] = {}
        self._result: dict[str, Any] = {}
        self._reference = ""

    async def play(self) -> bool:
        """Play to the end, or to the point where it cannot go on; gives whether everything was
        proven.
        """
        try:
            async with asyncio.timeout(_LONG_S):
                await self._tests()
                await self._invite()
                await self._candidate()
                await self._read()
                await self._share()
                await self._later()
                await self._delete()
                await self._traces()
        except Stuck as stuck:
            self._prove(str(stuck), False)
        except TimeoutError:
            self._prove(
                "Something that should have happened did not, although the demo waited for it.",
                False,
            )
        except Exception as error:
            # Whoever runs a demo is told what is wrong in words; the daemon's own errors are in its
            # log.
            self._prove(f"Something unexpected happened: {type(error).__name__}: {error}", False)
        return all(check.fine for check in self.checks)

    async def _tests(self) -> None:
        with self._step(
            "Which tests are there?",
            "HR opens a job in softgarden, which asks the bridge for tests.",
        ):
            reply = await self._stage.client.list_tests()
        _need(reply, 200, "The list of tests")
        names = [test.get("name") for test in reply.json]
        self._prove(
            f"softgarden was offered {len(names)} tests, taken from Equalture's jobs",
            len(names) == 3,
        )

    async def _invite(self) -> None:
        with self._step(
            "HR invites a candidate.",
            "The bridge opens an application at Equalture and gives a link back.",
        ):
            first = await self._ask()
        _need(first, 200, "The invitation")
        self._invitation = first.json
        with self._step(
            "softgarden asks again.",
            "Time-outs make callers repeat themselves. Nobody is invited twice.",
        ):
            again = await self._ask()
        _need(again, 200, "The repeated invitation")
        created = self._stage.equalture.calls("create", status=201)
        self._prove("asked twice, the bridge gave the same invitation", again.json == first.json)
        self._prove("one application at Equalture", len(created) == 1)
        self._reference = created[0].reference_id or ""
        _, found = await self._remembered()
        self._prove(
            "no name and no e-mail address in Redis, not even now",
            not found - {self._application_id},
        )
        # Else the search after the deletion would prove nothing.
        self._prove("the application's id is in Redis for now", self._application_id in found)

    async def _candidate(self) -> None:
        with self._step(
            "The candidate follows the link.",
            "One button, since mail scanners open links too; then Equalture's own page.",
        ):
            await self._people.open(CANDIDATE, self._invitation["testUrl"])
            pressed = await self._people.open(CANDIDATE, self._invitation["testUrl"], "POST")
            opened = (
                await self._people.open(CANDIDATE, pressed.location)
                if pressed.location
                else pressed
            )
        if opened.status != 200:
            raise Stuck(f"The test could not be opened ({opened.status}).")
        finish = ("assessment_finish", "callback", "webhook")
        with self._step(
            "The candidate finishes the test.",
            "Equalture reports to the bridge, which confirms once it is safe on disk.",
            *finish,
        ):
            await self._people.open(CANDIDATE, pressed.location, "POST", {"fit": "high"})
            await self._stage.equalture.wait_calls("callback", timeout=_PATIENCE_S)
            with contextlib.suppress(TimeoutError):
                await self._stage.softgarden.wait_calls("notify", timeout=_PATIENCE_S)
        callback = self._stage.equalture.calls("callback")[-1]
        self._prove("Equalture's callback was confirmed with 200", callback.status == 200)
        with self._step(
            "The bridge checks, and tells softgarden.",
            "A callback is only a hint: the result is fetched from Equalture with the bridge's own token.",
        ):
            pass

    async def _read(self) -> None:
        with self._step(
            "softgarden reads the result.",
            "HR sees it beside the application; the links lead to the bridge.",
        ):
            reply = await self._stage.client.read_results(self._invitation["invitationId"])
            _need(reply, 200, "The result")
            self._result = reply.json["result"]
            page = await self._people.open(RECRUITER, self._result["resultUrl"])
            report = await self._people.open(RECRUITER, self._result.get("reportUrl", ""))
        score = self._result.get("score")
        self._prove(
            f"the result was served: {reply.json['status']}, score “{score}”",
            reply.json["status"] == "COMPLETED",
        )
        self._prove(
            "with a page and a PDF report",
            page.status == report.status == 200 and report.body.startswith(b"%PDF"),
        )

    async def _share(self) -> None:
        with self._step(
            "A colleague opens the share link.",
            "No login: the bridge fetches a public link of Equalture's.",
        ):
            shared, shown = await self._open_share()
        self._prove("the share link leads to the result (302)", (shared, shown) == (302, 200))

    async def _later(self) -> None:
        with self._step(
            "Three hours later.",
            "Equalture's token and public link are dead by now. Nobody notices.",
        ):
            self._stage.equalture.clock.advance(timedelta(hours=3))
            self._stage.hours.ahead_s += 3 * 3600
            shared, shown = await self._open_share()
            # Back to today, for what is tried by hand: events are signed with this clock's time.
            self._stage.equalture.clock = SandboxClock()
        self._prove(
            "and still does hours later, when Equalture's own link is dead",
            (shared, shown) == (302, 200),
        )

    async def _delete(self) -> None:
        invitation_id = self._invitation["invitationId"]
        with self._step(
            "The candidate's data are deleted.",
            "Here at once, and anonymised at Equalture before softgarden is told so.",
        ):
            deleted = await self._stage.client.delete(invitation_id)
            again = await self._stage.client.delete(invitation_id)
        application = self._stage.equalture.applications[self._reference]
        self._prove(
            "the deletion was confirmed with 204, also the second time",
            (deleted.status, again.status) == (204, 204),
        )
        self._prove("Equalture has anonymised the application", application.state == "anonymized")
        with self._step(
            "Nothing is left.",
            "Old links say so, and a late callback of Equalture's brings nothing back.",
        ):
            late = await self._stage.equalture.put_callback(self._reference)
            gone = await self._people.open(COLLEAGUE, self._result.get("shareUrl", ""))
            read = await self._stage.client.read_results(invitation_id)
        self._prove(
            "from then on the share link is 410 and the result 404, in spite of a late callback",
            (late, gone.status, read.status) == (200, 410, 404),
        )

    async def _traces(self) -> None:
        keys, found = await self._remembered()
        self._prove(
            f"name, e-mail address and application id are in none of Redis's {keys} keys", not found
        )
        lines, found = traces.in_file(self._stage.log, self._needles())
        self._prove(f"and in none of the log's {lines} lines", not found)
        notified = self._stage.softgarden.calls("notify")
        fine = [call.status for call in notified] == [204]
        self._prove(f"softgarden was notified once: {len(notified)} call(s)", fine)
        broken = [*self._stage.equalture.violations, *self._stage.softgarden.violations]
        judged = len(self._stage.equalture.ledger) + len(self._stage.softgarden.ledger)
        self._prove(f"vendor rules broken in {judged} calls: {len(broken)}", not broken)
        for rule in broken:
            self._prove(f"broken: {rule}", False)

    async def _ask(self) -> BridgeReply:
        return await self._stage.client.invite(
            TEST_ID,
            candidate_id=self._application_id,
            first_name=FIRST,
            last_name=LAST,
            email=EMAIL,
        )

    async def _open_share(self) -> tuple[int, int]:
        shared = await self._people.open(COLLEAGUE, self._result.get("shareUrl", ""))
        shown = await self._people.open(COLLEAGUE, shared.location) if shared.location else shared
        return shared.status, shown.status

    async def _remembered(self) -> tuple[int, set[str]]:
        return await traces.in_redis(self._stage.commands, self._needles())

    def _needles(self) -> list[str]:
        return [FIRST, LAST, EMAIL, self._application_id]

    def _prove(self, text: str, fine: bool) -> None:
        self.checks.append(Check(text, fine))

    @contextlib.contextmanager
    def _step(self, title: str, sentence: str, *operations: str) -> Iterator[None]:
        """Show the calls of a step when it is over, however it ended; *operations*: leave the
        others to the next one.
        """
        self._screen.step(title, sentence)
        try:
            yield
        finally:
            self._screen.calls(self._tape.take(*operations))


def _need(reply: BridgeReply, status: int, what: str) -> None:
    if reply.status != status or reply.json is None:
        said = reply.error or reply.text[:300]
        raise Stuck(
            f"{what} was not given: {reply.status or 'no answer'} instead of {status}. {said}"
        )
