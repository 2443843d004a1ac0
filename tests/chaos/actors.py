"""One journey: softgarden, the candidate, and Equalture's callbacks.

Patient, but not clever: repeats, then goes on.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from bridge.sandbox import Application, BridgeReply
from tests.chaos.plan import HASTY_LIFE_S, MAIL, MARK, Plan
from tests.chaos.stage import Stage

TRIES = 40
"""Of softgarden, for one order or deletion; with the pauses between them that is more than half a
minute.
"""
CALLBACK_TRIES = 8
PATIENCE_S = 60.0
"""How long a journey waits for a notification before it goes on without."""


@dataclass(slots=True)
class Round:
    """One order of softgarden's, and what became of it as far as softgarden, the candidate and
    Equalture know.
    """

    customer: str
    candidate_id: str
    email: str
    fit: str
    begun: float
    answers: list[dict[str, Any]] = field(default_factory=list)
    """Every answer with 200."""
    answered_at: float | None = None
    reference_id: str | None = None
    """The application behind the link that softgarden got."""
    finished_at: float | None = None
    callback_told: bool = False
    """Equalture was told 200."""
    deleting_at: float | None = None
    deleted_at: float | None = None
    """When softgarden was told 204."""
    due: str | None = None
    """What softgarden has to be told in the end; None: nothing, it was deleted."""
    odd: list[str] = field(default_factory=list)
    """Answers that are not what a patient caller could expect."""
    over: bool = False
    """All that there was to do was done."""
    forgotten: bool = False
    """The bridge cannot know it any more: it was answered after the backup that was restored."""

    @property
    def invitation_id(self) -> str | None:
        """As softgarden knows it."""
        return self.answers[0]["invitationId"] if self.answers else None


class Journey:
    """Plays a plan; *rounds* tells what happened."""

    def __init__(self, stage: Stage, plan: Plan) -> None:
        self.plan = plan
        self.rounds: list[Round] = []
        self._stage = stage
        self._random_fraction = plan.random_fraction
        self._candidate = (
            f"{random.Random(f'{plan.seed}/{plan.number}/id').getrandbits(64):016x}-c{plan.number}"
        )

    async def play(self) -> None:
        """From the invitation to the last thing that softgarden does."""
        await self._play_round(self.plan.deletion if self.plan.deletion != "again" else "before")
        if self.plan.deletion == "again" or self.rounds[-1].forgotten:
            await self._play_round("never")

    async def _play_round(self, deletion: str) -> None:
        known = await self.begin()
        if known.answers:
            await self._go_on(known, deletion)
        known.over = True

    async def begin(self) -> Round:
        """One more round, as far as its invitation."""
        plan = self.plan
        email = f"{self._candidate}@{MAIL}"
        known = Round(plan.customer, self._candidate, email, plan.fit, perf_counter())
        self.rounds.append(known)
        if await self._invite(known):
            answer = known.answers[0]
            application = self._stage.equalture.find(answer["testUrl"], answer["invitationId"])
            known.reference_id = application.reference_id
        return known

    async def _go_on(self, known: Round, deletion: str) -> None:
        plan, application = self.plan, self.application_of(known)
        if deletion == "before":
            await self._pause(0.0, 0.5)
            await self.delete(known)
            if (
                self._random_fraction.random() < 0.5
            ):  # a report that comes after the deletion brings nothing back
                await self.report(known)
            return
        known.due = "EXPIRED" if plan.ending == "expire" else "COMPLETED"
        await self._take_test(known, application)
        await self.learn(known)
        if deletion == "after":
            await self.delete(known)

    def application_of(self, known: Round) -> Application:
        """Equalture's side of a round that was answered."""
        return self._stage.equalture.applications[str(known.reference_id)]

    async def learn(self, known: Round) -> None:
        """Wait until softgarden was notified of what is due."""
        due, an_id = str(known.due), known.answers[0]["invitationId"]
        while not await self._stage.softgarden.learn(an_id, due, PATIENCE_S):
            if self._stage.calm_s >= PATIENCE_S:
                known.odd.append(f"not notified of {due} within {PATIENCE_S} s")
                return

    # softgarden

    async def _invite(self, known: Round) -> bool:
        count = len(self._stage.bridges) if self.plan.parallel else 1
        for attempt in range(TRIES):
            replies = await asyncio.gather(*(self._ask(known) for _ in range(count)))
            if any(reply.status == 200 for reply in replies):
                break
            await self._wait(attempt, replies[0])
        if known.answers and self.plan.repeats:
            await self._ask(known)
        return bool(known.answers)

    async def _ask(self, known: Round) -> BridgeReply:
        client = self._stage.softgarden.line(known.customer)
        reply = await client.invite(
            f"job-{known.customer}",
            candidate_id=known.candidate_id,
            first_name="Ada",
            last_name=f"{MARK}-{self.plan.number}",
            email=known.email,
        )
        if reply.status == 200:
            known.answered_at = known.answered_at or perf_counter()
            known.answers.append(reply.json)
            self._stage.softgarden.step()
        self._expect(known, "invite", reply, 200, 502, 503, 504)
        return reply

    async def delete(self, known: Round) -> None:
        """Have it erased, as often as it takes."""
        known.deleting_at = known.deleting_at or perf_counter()
        known.due = None
        invitation_id = known.answers[0]["invitationId"]
        for attempt in range(TRIES):
            reply = await self._stage.softgarden.line(known.customer).delete(invitation_id)
            self._expect(known, "delete", reply, 204, 502, 503)
            if reply.status == 204:
                known.deleted_at = perf_counter()
                self._stage.softgarden.step()
            if reply.status == 204 or known.forgotten:
                return
            await self._wait(attempt, reply)

    # The candidate, and Equalture on her behalf

    async def _take_test(self, known: Round, application: Application) -> None:
        equalture, ending = self._stage.equalture, self.plan.ending
        if ending == "expire":
            return
        if ending in ("late", "late_silent"):
            await self._stage.softgarden.learn(
                known.answers[0]["invitationId"], "EXPIRED", HASTY_LIFE_S + 15
            )
        await self._pause(0.1, 2.0)
        reference_id = application.reference_id
        if self._random_fraction.random() < 0.5 and ending in ("callback", "silent"):
            await equalture.start_test(reference_id)
            await self._pause(0.0, 0.5)
        known.finished_at = perf_counter()
        await equalture.complete(reference_id, fit=known.fit, send_callback=False)
        if ending in ("callback", "late"):
            await self.report(known)

    async def report(self, known: Round) -> None:
        """Equalture's report, with retries of its own: every process in turn, as a load balancer
        would.
        """
        bridges, application = self._stage.bridges, self.application_of(known)
        for attempt in range(CALLBACK_TRIES):
            bridge = bridges[(attempt + self.plan.number) % len(bridges)]
            url = self._stage.through(bridge, application.callback_url)
            status = await self._stage.equalture.put_callback(application.reference_id, url=url)
            if status not in (0, 200, 503):
                known.odd.append(f"callback: {status}")
            if status == 200:
                known.callback_told = True
                self._stage.softgarden.step()
            if status == 200 or known.forgotten:
                return
            await asyncio.sleep(0.2 * 2 ** min(attempt, 3))

    # Patience

    async def _wait(self, attempt: int, reply: BridgeReply) -> None:
        """Between two tries: ever longer, up to what a test can afford of a Retry-After."""
        asked = float(reply.headers.get("Retry-After", 0))
        await asyncio.sleep(
            min(max(0.1 * 2 ** min(attempt, 4), asked), 1.5)
            * self._random_fraction.uniform(0.5, 1.0)
        )

    async def _pause(self, least: float, most: float) -> None:
        await asyncio.sleep(self._random_fraction.uniform(least, most))

    @staticmethod
    def _expect(known: Round, what: str, reply: BridgeReply, *statuses: int) -> None:
        if reply.status not in (0, *statuses):
            known.odd.append(f"{what}: {reply.status} {reply.text[:300]}")


async def play_all(
    journeys: list[Journey],
    abreast: int,
    done: Callable[[Journey], None],
    stop: Callable[[], bool],
    turn: Callable[[int], Awaitable[None]],
) -> list[BaseException]:
    """Play them, at most *abreast* at once, each when it is its *turn*, until *stop* says that time
    is up; gives what went wrong in the harness.
    """
    waiting = iter(journeys)
    wrong: list[BaseException] = []

    async def actor() -> None:
        for journey in waiting:
            await turn(journey.plan.number)
            if stop():
                return
            try:
                await journey.play()
            except Exception as error:  # a mistake of the harness; told in the end
                wrong.append(error)
            done(journey)

    actors: list[Awaitable[None]] = [actor() for _ in range(abreast)]
    await asyncio.gather(*actors)
    return wrong
