"""One journey: softgarden, the candidate, and Equalture's reports. Patient, but not clever."""

from __future__ import annotations

import asyncio
import json

from bridge.core.invitation import Invitation
from tests.simulation import candidate, recruiter, webhooks
from tests.simulation.equalture_machine import EqualtureApplication
from tests.simulation.journey_calls import JourneyCalls
from tests.simulation.journey_plan import MARK, JourneyPlan
from tests.simulation.journey_world import World
from tests.simulation.memory_network import HttpMessage
from tests.simulation.order_round import OrderRound, Reading
from tests.simulation.report_bodies import build_report
from tests.simulation.stage_settings import (
    CALLBACK,
    GRACE_S,
    HASTY,
    HASTY_LIFE_S,
    LANDING,
    LINK_LIFE_S,
    SECRETS,
)

RANKS = {"PENDING": 0, "EXPIRED": 1, "COMPLETED": 2}
SKEW_S = 12.0
"""By how much Redis's clock may have been set, in all, and what a create takes."""
TRIES = 100
"""Of softgarden, for one order or deletion."""
REPORT_TRIES = 12
ON_THE_DOT = 0.3
"""How often a late candidate ends at the deadline, while softgarden is told that it has expired."""


class Journey(JourneyCalls):
    """Plays a plan."""

    def __init__(self, world: World, plan: JourneyPlan) -> None:
        super().__init__(world, plan)
        self.rounds: list[OrderRound] = []

    async def play(self) -> None:
        """From the order to the last thing that softgarden does."""
        await asyncio.sleep(self.plan.begins_at)
        again = self.plan.deletion == "again"
        await self._play_round("before" if again else self.plan.deletion)
        if again:
            await self._play_round("never")

    async def _play_round(self, deletion: str) -> None:
        landing = self.plan.customer == LANDING
        known = OrderRound(began=self._now(), is_landing=landing)
        self.rounds.append(known)
        try:
            await self._order(known)
            if known.answers:
                known.application = self._find_application(known)
                known.application.wordless = self.plan.wordless
                known.life_s = self._world.find_life(
                    known.application, known.answers[0]["deadline"]
                )
                await self._go_on(known, known.application, deletion)
            await webhooks.finish_errands(self, known)
        finally:
            known.ended = True

    async def _go_on(
        self, known: OrderRound, application: EqualtureApplication, deletion: str
    ) -> None:
        """From the link to the last thing that softgarden does."""
        if self.plan.quirks.asks_strangely:
            await self._ask_strangely(known)
        await self._visit_pages(known)
        if deletion == "before":
            await self.pause(0.0, 2.0)
            await self._delete(known)
            await self._visit_pages(known)
            if self._draws.random() < 0.5:
                await self._report(application, known)
            return
        if not known.is_unknown:
            known.wants = "EXPIRED" if self.plan.ending == "expire" else "COMPLETED"
        await self._take_test(known, application)
        await self._visit_pages(known)
        if self.plan.quirks.hired and self.plan.deletion == "never":
            await recruiter.hire(self, known)
        if deletion == "after":
            await self.pause(0.0, 5.0)
            known.wants = ""
            await self._delete(known)
            await self._visit_pages(known)

    # softgarden

    async def read_result(self, known: OrderRound) -> str:
        """Read a result as softgarden does; its status, or what came instead."""
        began, deleted = self._now(), known.deleted
        reply = await self._ask("GET", f"/softgarden/results/{known.invitation_id}")
        if reply is None or reply.status != 200:
            return f"{reply.status if reply else 'no answer'}"
        if deleted:
            self.complain("deletion", "a result was read after the deletion was confirmed")
        document = json.loads(reply.body)
        known.links = document["result"]
        reading = Reading(
            began,
            self._now(),
            document["status"],
            document.get("completionTime", ""),
            known.links.get("score", ""),
        )
        self._check_reading(known, reading)
        known.read.append(reading)
        return reading.status

    def _check_reading(self, known: OrderRound, new: Reading) -> None:
        application = known.application
        if new.status == "EXPIRED":
            ends_at = known.deadline
            if application and application.heard.get(webhooks.BEGUN, ends_at) < ends_at - SKEW_S:
                ends_at += GRACE_S
            early_s = ends_at - new.ended
            if early_s > SKEW_S:
                self.complain("deadline", f"EXPIRED {early_s:.0f} s before the deadline")
        for old in known.read:
            if old.ended < new.began and RANKS[new.status] < RANKS[old.status]:
                self.complain("forward", f"{old.status}, then {new.status}")
            if old.completed_at and new.completed_at and old.completed_at != new.completed_at:
                self.complain("completion time", f"{old.completed_at}, then {new.completed_at}")

    def _check_deadline(self, known: OrderRound) -> None:
        """It is that of a link made after the order came, as long as links live at least: this one,
        or one before it that got no answer, and was perhaps read only after a deletion.
        """
        life_s = HASTY_LIFE_S if self.plan.customer == HASTY else LINK_LIFE_S
        began = min(one.began for one in self.rounds if one is known or one.unanswered)
        short_s = began + life_s - known.deadline
        if short_s > SKEW_S and not known.is_unknown:
            self.complain("deadline", f"softgarden was given one {short_s:.0f} s before its time")

    def _find_application(self, known: OrderRound) -> EqualtureApplication:
        """The one to which her link leads; behind the bridge's page it is that of the record."""
        equalture = self._world.equalture
        record = self._world.find_record(known.invitation_id)
        attempts = record.attempts if known.is_landing and record is not None else ()
        for one in attempts:
            if record is not None and one.number == record.live_attempt and one.reference_id:
                return equalture.applications[one.reference_id]
        return equalture.find_application(known.answers[0])

    def is_own(self, link: str) -> bool:
        """Whether a link to Equalture is this candidate's."""
        found = self._world.equalture.by_link.get(link)
        return found is not None and found.journey == self.plan.number

    def is_over(self, known: OrderRound) -> bool:
        """Whether the test may not be begun any more, by one clock or another."""
        return self._now() > known.deadline - SKEW_S

    async def _order(self, known: OrderRound) -> None:
        for attempt in range(TRIES):
            replies = await asyncio.gather(
                *(self._send_order(known) for _ in range(self.plan.parallel))
            )
            if any(reply is not None and reply.status == 200 for reply in replies):
                break
            await self.pause(0.3, min(4.0, 0.5 * 2**attempt))
        if known.answers and self.plan.repeats:
            await self._send_order(known)

    async def repeat_order(self) -> None:
        """softgarden orders once more what it has; not where it would have to delete two."""
        if self.rounds and self.rounds[-1].answers and self.plan.deletion == "never":
            await self._send_order(self.rounds[-1])

    async def _visit_pages(self, known: OrderRound) -> None:
        await candidate.return_to_page(self, known)
        if self.plan.quirks.opens_pages:
            if not known.deleted:
                await self.read_result(known)
            await recruiter.visit_pages(self, known)

    async def _ask_strangely(self, known: OrderRound) -> None:
        """What does not exist, and what is another customer's, is answered alike."""
        mine, others = self._customer, [one for one in SECRETS.values() if one != self._customer]
        unknown = known.invitation_id[:-4] + "zzzz"
        for customer, invitation_id in ((mine, unknown), (others[0], known.invitation_id)):
            headers = {"Authorization": f"Bearer {self._world.token_of(customer.name)}"}
            for method, where, status in (("GET", "results", 404), ("DELETE", "invitations", 400)):
                path = f"/softgarden/{where}/{invitation_id}"
                self.expect(await self.call(method, path, None, headers), "own", status, 401, 503)

    async def _send_order(self, known: OrderRound) -> HttpMessage | None:
        plan = self.plan
        repeated = bool(known.answers)
        order = {
            "testId": self._customer.job,
            "candidate": {
                "id": plan.candidate,
                "firstName": "Eva" if repeated and plan.quirks.changes else "Ada",
                "lastName": f"{MARK}-{plan.number}",
                "email": plan.email,
            },
            "callback": CALLBACK,
        }
        reply = await self._ask("POST", "/softgarden/invitations", order)
        known.ordered.append(self._now())
        if reply is not None and reply.status == 200:
            answer = json.loads(reply.body)
            changed = answer["invitationId"] != known.invitation_id
            if known.answers and changed and not self._world.lost_claim(plan.number):
                self.complain("one invitation", f"{known.invitation_id}, {answer['invitationId']}")
            again = repeated and not changed and not known.is_nameless and not known.is_landing
            before = [one for one in known.answers if one["invitationId"] == known.invitation_id]
            if again and answer["testUrl"] != before[-1]["testUrl"]:
                self.complain("one invitation", f"{known.invitation_id} has another link")
            if self._world.equalture.find_application(answer).journey != plan.number:
                self.complain("own", f"{answer['invitationId']} is another candidate's")
            if known.answered_at is None:
                known.answered_at = self._now()
            known.answers.append(answer)
            # Redis has forgotten its deletion, so the bridge takes this order for the one before.
            known.is_unknown |= any(
                one.is_unknown and one.invitation_id == known.invitation_id for one in self.rounds
            )
            self._check_deadline(known)
            self._world.by_invitation[answer["invitationId"]] = (plan.number, known)
        else:
            known.unanswered = True
        self.expect(reply, "order", 200, 502, 503, 504)
        return reply

    async def delete_again(self, known: OrderRound) -> None:
        """The same deletion once more, after Redis has forgotten it."""
        await self._delete(known)

    async def _delete(self, known: OrderRound) -> None:
        known.deletion_began = True
        if not self.plan.quirks.deletes_again:
            await self._delete_once(known)
            return
        await asyncio.gather(self._delete_once(known), self._delete_once(known))
        await self._delete_once(known)

    async def _delete_once(self, known: OrderRound) -> None:
        for attempt in range(TRIES):
            reply = await self._ask("DELETE", f"/softgarden/invitations/{known.invitation_id}")
            if known.is_gone and reply is not None and reply.status == 400:
                return  # never issued, as far as the bridge knows
            self.expect(reply, "deletion", 204, 502, 503)
            if reply is not None and reply.status == 204:
                known.deleted = True
                application = known.application
                unknown = application is None or known.is_nameless or known.is_unknown
                if not unknown and application.state != "anonymized":
                    self.complain("deletion confirmed", application.reference_id)
                return
            await self.pause(0.3, min(4.0, 0.5 * 2**attempt))

    # The candidate, and Equalture on her behalf

    async def report_early(self, application: EqualtureApplication) -> None:
        """The report comes while the create is under way, or that the candidate has begun."""
        known = self.rounds[-1]
        if webhooks.begins_early(self.plan):
            webhooks.note_all(self, known, application)
            return
        application.fit = self.plan.fit
        self._world.equalture.finish(application)
        webhooks.note_all(self, known, application)
        if self.plan.ending != "silent":
            await self._report(application, known)

    async def _take_test(self, known: OrderRound, application: EqualtureApplication) -> None:
        ending = self.plan.ending
        await candidate.begin_test(self, known, application)
        webhooks.note_begin(self, known, application)
        if ending == "expire":
            return
        if ending in ("late", "late silent") and self._draws.random() < ON_THE_DOT:
            ends = application.made_at + HASTY_LIFE_S + self._draws.uniform(-0.5, 2.0)
            if webhooks.BEGUN in application.heard:
                ends += GRACE_S
            await asyncio.sleep(max(0.0, ends - self._now()))
        else:
            if ending in ("late", "late silent"):
                await asyncio.sleep(HASTY_LIFE_S + self._draws.uniform(1.0, 20.0))
            await asyncio.sleep(self.plan.thinks_s)
        application.fit = self.plan.fit
        if application.finished_at is None:
            self._world.equalture.finish(application)
        self._world.tape.write(
            "candidate", f"finished {application.reference_id}", self.plan.number
        )
        webhooks.note_end(self, known, application)
        if ending in ("callback", "late"):
            for _ in range(self.plan.reports):
                await self._report(application, known)
            if application.wordless and self._was_kept_from_reporting(known):
                known.wants = ""

    def _was_kept_from_reporting(self, known: OrderRound) -> bool:
        """Whether nobody could tell the bridge: its customer was removed, its record not readable
        or Redis away for as long as Equalture tried.
        """
        at, reported = known.given_up_at, known.acknowledged_at is not None
        if at is None or reported or known.refused_at is not None:
            return False
        return self._world.explains_delay(at, at, self.plan.customer, known.invitation_id)

    async def _report(self, application: EqualtureApplication, known: OrderRound) -> None:
        path = application.callback_url.partition("bridge.example")[2]
        for attempt in range(REPORT_TRIES):
            body, packed = build_report(application, self.plan.quirks.report_body)
            headers = {"Content-Encoding": packed} if packed else {}
            invitation_id, secret = path.split("/")[-2:]
            was_gone = self._world.is_gone(invitation_id, secret)
            reply = await self.call("PUT", path, body, headers)
            status = reply.status if reply is not None else 0
            if status == 404 and (was_gone or self._world.is_gone(invitation_id, secret)):
                application.wordless = False  # nobody could hear of it otherwise
                return
            unreadable = self.plan.quirks.report_body == "unreadable"
            self.expect(reply, "report", 400 if unreadable else 200, 503)
            if status == 400:
                known.refused_at = known.refused_at or self._now()
                return
            if reply is not None and reply.status == 200:
                if known.acknowledged_at is None:
                    known.acknowledged_at = self._now()
                return
            await self.pause(0.2, min(5.0, 0.3 * 2**attempt))
        known.given_up_at = self._now()

    # What the world knows

    def find_record(
        self, known: OrderRound, application: EqualtureApplication
    ) -> Invitation | None:
        """What the bridge has stored of the invitation to which this application belongs."""
        made_for = known.invitation_id or application.callback_url.split("/")[-2]
        return self._world.find_record(made_for)

    def is_unlisted(self, invitation_id: str, application: EqualtureApplication) -> bool:
        """Whether Redis could not write down whose this application is."""
        return self._world.is_unlisted(invitation_id, application)

    def is_dead(self, link: str, what: str) -> bool:
        """Whether nobody knows the key any more with which a link was signed."""
        return self._world.is_dead(link, what)

    def may_be_dead(self, link: str, what: str) -> bool:
        """Whether somebody may not know it any more."""
        return self._world.may_be_dead(link, what)
