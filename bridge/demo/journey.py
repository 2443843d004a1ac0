"""One candidate's journey, from the list of tests to the deletion, and what it shows."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

from bridge.demo import search
from bridge.demo.demo_config import TEST_ID
from bridge.demo.environment import DemoEnvironment
from bridge.demo.terminal import JourneyCheck, Terminal
from bridge.sandbox import BridgeReply, SandboxClock

FIRST, LAST, EMAIL = "Friederike", "Sonnenschein", "friederike.sonnenschein@example.org"
"""No real person, and no name that random text would hold by accident."""
_JOURNEY_TIMEOUT_S = 60.0
_CALL_TIMEOUT_S = 10.0


class JourneyFailed(Exception):
    """The journey cannot go on; the message says why."""


class Journey:
    """Walks through the environment; *checks* fills meanwhile."""

    def __init__(self, environment: DemoEnvironment, terminal: Terminal) -> None:
        self.checks: list[JourneyCheck] = []
        self._environment = environment
        self._client, self._browser = environment.client, environment.browser
        self._equalture, self._softgarden = environment.equalture, environment.softgarden
        self._terminal = terminal
        self._application_id = str(uuid4())
        self._invitation: dict[str, Any] = {}
        self._result: dict[str, Any] = {}
        self._reference = ""

    async def play(self) -> bool:
        """Play to the end, or to the point where it cannot go on; gives whether every check is
        fine.
        """
        try:
            async with asyncio.timeout(_JOURNEY_TIMEOUT_S):
                await self._list_tests()
                await self._invite()
                await self._take_test()
                await self._read_result()
                await self._open_share_link()
                await self._wait_three_hours()
                await self._delete()
                await self._search_for_traces()
        except JourneyFailed as failure:
            self._check(str(failure), False)
        except TimeoutError:
            self._check(
                "Something that should have happened did not, although the demo waited for it.",
                False,
            )
        except Exception as error:
            # Whoever runs a demo is told what is wrong in words; the daemon's own errors are in its
            # log.
            self._check(f"Something unexpected happened: {type(error).__name__}: {error}", False)
        return all(check.fine for check in self.checks)

    async def _list_tests(self) -> None:
        with self._step(
            "Which tests are there?",
            "HR opens a job in softgarden, which asks the bridge for tests.",
        ):
            reply = await self._client.list_tests()
        _require(reply, 200, "The list of tests")
        offered = [test.get("name") for test in reply.json]
        self._check(
            f"softgarden was offered {len(offered)} tests, taken from Equalture's jobs",
            len(offered) == 3,
        )

    async def _invite(self) -> None:
        with self._step(
            "HR invites a candidate.",
            "The bridge opens an application at Equalture and gives a link back.",
        ):
            first = await self._ask()
        _require(first, 200, "The invitation")
        self._invitation = first.json
        with self._step(
            "softgarden asks again.",
            "Time-outs make callers repeat themselves. Nobody is invited twice.",
        ):
            again = await self._ask()
        _require(again, 200, "The repeated invitation")
        created = self._equalture.calls("create", status=201)
        self._check("asked twice, the bridge gave the same invitation", again.json == first.json)
        self._check("one application at Equalture", len(created) == 1)
        self._reference = created[0].reference_id or ""
        _, stored = await search.search_redis(self._environment.redis_url, self._private_words())
        self._check(
            "no name and no e-mail address in Redis, not even now",
            not stored - {self._application_id},
        )
        # Else the search after the deletion would show nothing.
        self._check("the application's id is in Redis for now", self._application_id in stored)

    async def _take_test(self) -> None:
        link = self._invitation["testUrl"]
        with self._step(
            "The candidate follows the link.",
            "One button, since mail scanners open links too; then Equalture's own page.",
        ):
            await self._browser.open("candidate", link)
            pressed = await self._browser.open("candidate", link, "POST")
            opened = (
                await self._browser.open("candidate", pressed.location)
                if pressed.location
                else pressed
            )
        if opened.status != 200:
            raise JourneyFailed(f"The test could not be opened ({opened.status}).")
        with self._step(
            "The candidate finishes the test.",
            "Equalture reports to the bridge, which confirms once it is safe on disk.",
            "assessment_finish",
            "callback",
            "webhook",
        ):
            await self._browser.open("candidate", pressed.location or "", "POST", {"fit": "high"})
            await self._equalture.wait_calls("callback", timeout=_CALL_TIMEOUT_S)
            with contextlib.suppress(TimeoutError):
                await self._softgarden.wait_calls("notify", timeout=_CALL_TIMEOUT_S)
        callback = self._equalture.calls("callback")[-1]
        self._check("Equalture's callback was confirmed with 200", callback.status == 200)
        with self._step(
            "The bridge checks, and tells softgarden.",
            "A callback is only a hint: the result is fetched from Equalture with the bridge's own"
            " token.",
        ):
            pass

    async def _read_result(self) -> None:
        with self._step(
            "softgarden reads the result.",
            "HR sees it beside the application; the links lead to the bridge.",
        ):
            reply = await self._client.read_results(self._invitation["invitationId"])
            _require(reply, 200, "The result")
            self._result = reply.json["result"]
            page = await self._browser.open("recruiter", self._result["resultUrl"])
            report = await self._browser.open("recruiter", self._result.get("reportUrl", ""))
        status, score = reply.json["status"], self._result.get("score")
        self._check(f"the result was served: {status}, score “{score}”", status == "COMPLETED")
        self._check(
            "with a page and a PDF report",
            page.status == report.status == 200 and report.text.startswith("%PDF"),
        )

    async def _open_share_link(self) -> None:
        with self._step(
            "A colleague opens the share link.",
            "No login: the bridge fetches a public link of Equalture's.",
        ):
            statuses = await self._follow_share_link()
        self._check("the share link leads to the result (302)", statuses == (302, 200))

    async def _wait_three_hours(self) -> None:
        with self._step(
            "Three hours later.",
            "Equalture's token and public link are dead by now. Nobody notices.",
        ):
            self._equalture.clock.advance(timedelta(hours=3))
            self._environment.time.ahead_s += 3 * 3600
            statuses = await self._follow_share_link()
            # Back to today, for what is tried by hand: events are signed with this clock's time.
            self._equalture.clock = SandboxClock()
        self._check(
            "and still does hours later, when Equalture's own link is dead", statuses == (302, 200)
        )

    async def _delete(self) -> None:
        invitation_id = self._invitation["invitationId"]
        with self._step(
            "The candidate's data are deleted.",
            "Here at once, and anonymised at Equalture before softgarden is told so.",
        ):
            deleted = await self._client.delete(invitation_id)
            again = await self._client.delete(invitation_id)
        self._check(
            "the deletion was confirmed with 204, also the second time",
            (deleted.status, again.status) == (204, 204),
        )
        application = self._equalture.applications[self._reference]
        self._check("Equalture has anonymised the application", application.state == "anonymized")
        with self._step(
            "Nothing is left.",
            "Old links say so, and a late callback of Equalture's brings nothing back.",
        ):
            late = await self._equalture.put_callback(self._reference)
            gone = await self._browser.open("colleague", self._result.get("shareUrl", ""))
            read = await self._client.read_results(invitation_id)
        self._check(
            "from then on the share link is 410 and the result 404, in spite of a late callback",
            (late, gone.status, read.status) == (200, 410, 404),
        )

    async def _search_for_traces(self) -> None:
        keys, stored = await search.search_redis(self._environment.redis_url, self._private_words())
        self._check(
            f"name, e-mail address and application id are in none of Redis's {keys} keys",
            not stored,
        )
        lines, logged = search.search_file(self._environment.log, self._private_words())
        self._check(f"and in none of the log's {lines} lines", not logged)
        notified = [call.status for call in self._softgarden.calls("notify")]
        self._check(f"softgarden was notified once: {len(notified)} call(s)", notified == [204])
        broken = [*self._equalture.violations, *self._softgarden.violations]
        judged = len(self._equalture.calls()) + len(self._softgarden.calls())
        self._check(f"vendor rules broken in {judged} calls: {len(broken)}", not broken)
        for rule in broken:
            self._check(f"broken: {rule}", False)

    async def _ask(self) -> BridgeReply:
        return await self._client.invite(
            TEST_ID,
            candidate_id=self._application_id,
            first_name=FIRST,
            last_name=LAST,
            email=EMAIL,
        )

    async def _follow_share_link(self) -> tuple[int, int]:
        shared = await self._browser.open("colleague", self._result.get("shareUrl", ""))
        result = (
            await self._browser.open("colleague", shared.location) if shared.location else shared
        )
        return shared.status, result.status

    def _private_words(self) -> list[str]:
        return [FIRST, LAST, EMAIL, self._application_id]

    def _check(self, text: str, fine: bool) -> None:
        self.checks.append(JourneyCheck(text, fine))

    @contextlib.contextmanager
    def _step(self, title: str, sentence: str, *operations: str) -> Iterator[None]:
        """Show the calls of a step when it is over, however it ended; *operations*: leave the
        others to the next one.
        """
        self._terminal.step(title, sentence)
        try:
            yield
        finally:
            self._terminal.calls(self._environment.calls.take(*operations))


def _require(reply: BridgeReply, status: int, what: str) -> None:
    if reply.status != status or reply.json is None:
        reason = reply.error or reply.text[:300]
        raise JourneyFailed(
            f"{what} was not given: {reply.status or 'no answer'} instead of {status}. {reason}"
        )
