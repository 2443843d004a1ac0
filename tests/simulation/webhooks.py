"""Equalture's webhooks in one journey: that the candidate has begun, and that she is done.

Each is sent until it is acknowledged, perhaps again afterwards; what is forged, or concerns nobody,
comes along. What was acknowledged the record must know at that very instant.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, replace
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Final, Literal, get_args

from bridge.app import utc_now
from bridge.core.invitation import OPEN, Invitation, State
from tests.simulation.stage_settings import CUSTOMERS, HASTY, SECRETS

if TYPE_CHECKING:
    from tests.simulation.equalture_machine import EqualtureApplication
    from tests.simulation.journey import Journey
    from tests.simulation.journey_plan import JourneyPlan
    from tests.simulation.order_round import OrderRound

BEGUN: Final = "started"
DONE: Final = "finished"
Spelling = Literal["assessment", "application", "Assessment.", "APPLICATION"]
"""What stands before "_started" in an event's name."""
Stray = Literal[
    "",
    "another secret",
    "another customer's secret",
    "another body",
    "an old time",
    "a time to come",
    "no signature",
    "half a signature",
    "another integration",
    "another event",
    "no reference",
    "no customer",
    "no JSON",
    "packed",
]
"""What else comes: forged, or nothing that the bridge could use."""
STRAYS: Final[tuple[Stray, ...]] = get_args(Stray)[1:]
REFUSALS: Final = {
    "another integration": 200,
    "another event": 200,
    "no reference": 200,
    "no customer": 404,
    "no JSON": 400,
    "packed": 415,
}
"""How a stray one is answered, if not by 401."""
RATE: Final = 0.15
"""In how many journeys Equalture sends webhooks."""
EARLY_RATE: Final = 0.6
"""The same for those in which the candidate is done before the create is answered."""
LATEST_CREATE_S: Final = 1.5
"""How long after it was done the create of such a journey is answered at the latest."""
TRIES: Final = 12


@dataclass(frozen=True, slots=True)
class WebhookPlan:
    """Which webhooks come in one journey; what a field is by itself is none, or the usual."""

    begun: bool = False
    done: bool = False
    spelling: Spelling = "assessment"
    times: int = 1
    """How often each is sent though it was acknowledged."""
    swapped: bool = False
    """That she has begun is sent only when she is done, perhaps after that."""
    afterwards: bool = False
    """All are sent again when all is over, also after a deletion."""
    wordless: bool = False
    """Once the bridge has heard that she is done, Equalture's status never says so."""
    stray: Stray = ""

    @property
    def words(self) -> tuple[str, ...]:
        """What is reported in this journey."""
        return tuple(word for word, sent in ((BEGUN, self.begun), (DONE, self.done)) if sent)


NO_WEBHOOKS: Final = WebhookPlan()


def draw_webhooks(draws: Random, plan: JourneyPlan) -> JourneyPlan:
    """The same journey with its webhooks."""
    if draws.random() >= (EARLY_RATE if plan.early else RATE):
        return plan
    begun, done = draws.choice(((True, False), (False, True), (True, True), (True, True)))
    chosen = WebhookPlan(
        begun=begun,
        done=done and plan.ending not in ("expire", "late silent"),
        spelling=draws.choice(get_args(Spelling)),
        times=draws.choices((1, 2, 3), (70, 20, 10))[0],
        swapped=draws.random() < 0.2,
        afterwards=draws.random() < 0.3,
        wordless=draws.random() < 0.5,
        stray=draws.choice(STRAYS) if draws.random() < 0.3 else "",
    )
    if plan.early:
        takes_s = draws.uniform(0.0, LATEST_CREATE_S)
        plan = replace(plan, quirks=replace(plan.quirks, create_takes_s=takes_s))
        if draws.random() < 0.5:
            plan = replace(plan, ending="silent", wordless=False)
    return replace(plan, webhooks=chosen)


# What happens in a journey


def note_begin(journey: Journey, known: OrderRound, application: EqualtureApplication) -> None:
    """The candidate has opened her link."""
    hooks = journey.plan.webhooks
    # What is acknowledged is not sent again by itself: one that came too early must be kept.
    if hooks.begun and not hooks.swapped and BEGUN not in application.held:
        _send_later(journey, known, application, BEGUN)
    if hooks.stray:
        known.errands.append(asyncio.ensure_future(_send_stray(journey, application)))


def note_end(journey: Journey, known: OrderRound, application: EqualtureApplication) -> None:
    """The candidate is done."""
    hooks = journey.plan.webhooks
    if hooks.done:
        _send_later(journey, known, application, DONE)
    if hooks.begun and hooks.swapped:
        _send_later(journey, known, application, BEGUN)


def note_all(journey: Journey, known: OrderRound, application: EqualtureApplication) -> None:
    """The candidate has begun, or is done, before anybody has got her link."""
    for word in journey.plan.webhooks.words:
        sending = _send(journey, known, application, word)
        known.errands.append(asyncio.ensure_future(sending))


async def finish_errands(journey: Journey, known: OrderRound) -> None:
    """Wait until all was sent, and send it again where that is planned."""
    hooks, application = journey.plan.webhooks, known.application
    await asyncio.gather(*known.errands)
    if hooks.afterwards and application is not None:
        await asyncio.gather(*(_send(journey, known, application, word) for word in hooks.words))


def begins_early(plan: JourneyPlan) -> bool:
    """Whether a candidate begins before anybody has got her link, and takes her time."""
    hooks = plan.webhooks
    return plan.early and hooks.begun and not hooks.done and not hooks.swapped


def is_heard_alone(journey: Journey) -> bool:
    """Whether only a webhook says that the candidate is done: every callback gets lost."""
    return journey.plan.webhooks.done and journey.plan.ending == "silent"


def _send_later(
    journey: Journey, known: OrderRound, application: EqualtureApplication, word: str
) -> None:
    sending = _send_several(journey, known, application, word)
    known.errands.append(asyncio.ensure_future(sending))


async def _send_several(
    journey: Journey, known: OrderRound, application: EqualtureApplication, word: str
) -> None:
    for _ in range(journey.plan.webhooks.times):
        await journey.pause(0.0, 0.6)
        await _send(journey, known, application, word)


async def _send(
    journey: Journey, known: OrderRound, application: EqualtureApplication, word: str
) -> None:
    """One webhook until it is acknowledged: its id stays the same."""
    sender = journey.plan.customer
    for attempt in range(TRIES):
        before = journey.find_record(known, application)
        body = _build_body(journey, word, application.reference_id)
        # Two creates of one order are two applications, perhaps of the same id.
        headers = _sign(journey, body, f"{word} {application.made_at:.6f}", sender)
        reply = await journey.call("POST", _path(sender), body, headers)
        journey.expect(reply, f"webhook {word}", 200, 503)
        if reply is not None and reply.status == 200:
            _note_heard(journey, known, application, word, before)
            return
        await journey.pause(0.2, min(5.0, 0.3 * 2**attempt))


def _note_heard(
    journey: Journey,
    known: OrderRound,
    application: EqualtureApplication,
    word: str,
    before: Invitation | None,
) -> None:
    """It was acknowledged: what the bridge knew of the application *before* it was sent says what
    it must know now.
    """
    now, record = asyncio.get_running_loop().time(), journey.find_record(known, application)
    if before is None or record is None or not _knows(before, application):
        application.held.setdefault(word, now)
        return
    unknown = _find_unknown(record, word)
    if unknown and journey.is_unlisted(record.id, application):
        return  # it could not be written down whose this application is: as if it were nobody's
    application.heard.setdefault(word, now)
    if unknown:
        journey.complain("webhook", unknown)
    if word == DONE and is_heard_alone(journey) and journey.plan.webhooks.wordless:
        application.wordless = True


def _find_unknown(record: Invitation, word: str) -> str:
    if word == BEGUN and record.state is State.INVITED:
        return f"{record.id}: a start is acknowledged, and unknown"
    is_open = record.state in OPEN or record.state is State.EXPIRED
    if word == DONE and is_open and record.unconfirmed_result is None:
        return f"{record.id}: an end is acknowledged, and unknown"
    return ""


def _knows(record: Invitation, application: EqualtureApplication) -> bool:
    return any(one.reference_id == application.reference_id for one in record.attempts)


async def _send_stray(journey: Journey, application: EqualtureApplication) -> None:
    """What nobody may act on."""
    stray, sender = journey.plan.webhooks.stray, journey.plan.customer
    reference = "of-somebody-else" if stray == "another integration" else application.reference_id
    word = "reopened" if stray == "another event" else DONE
    body = _build_body(journey, word, None if stray == "no reference" else reference)
    body = b"type=finished" if stray == "no JSON" else body
    signer = sender
    if stray == "another customer's secret":
        signer = next(one for one in CUSTOMERS if one not in (sender, HASTY))
    days = {"an old time": -30, "a time to come": 30}.get(stray, 0)
    headers = _sign(journey, body, f"stray {stray}", signer, timedelta(days=days))
    if stray == "another secret":
        headers["webhook-signature"] = f"v1,{base64.b64encode(bytes(32)).decode()}"
    elif stray == "another body":
        body += b" "
    elif stray == "no signature":
        del headers["webhook-signature"]
    elif stray == "half a signature":
        headers["webhook-signature"] = headers["webhook-signature"][:30]
    elif stray == "packed":
        headers["Content-Encoding"] = "gzip"
    path = _path("nobody" if stray == "no customer" else sender)
    reply = await journey.call("POST", path, body, headers)
    journey.expect(reply, f"stray webhook, {stray}", REFUSALS.get(stray, 401), 503)


def _path(customer: str) -> str:
    return f"/equalture/webhooks/{customer}"


def _build_body(journey: Journey, word: str, reference_id: str | None) -> bytes:
    start = journey.plan.webhooks.spelling
    name = f"{start}{word}" if start.endswith(".") else f"{start}_{word}"
    data = {} if reference_id is None else {"reference_id": reference_id}
    if word == BEGUN:
        data["application_start_date"] = f"{utc_now():%Y-%m-%dT%H:%M:%S}"
    return json.dumps({"id": f"{journey.plan.number}/{word}", "type": name, "data": data}).encode()


def _sign(
    journey: Journey, body: bytes, event: str, sender: str, off: timedelta = timedelta()
) -> dict[str, str]:
    """The headers of Standard Webhooks, by a customer's secret."""
    event_id = f"event-{journey.plan.number}-{len(journey.rounds)}-{event}".replace(" ", "-")
    at = f"{int((utc_now() + off).timestamp())}"
    key = base64.b64decode(SECRETS[sender].webhook_secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{event_id}.{at}.".encode() + body, hashlib.sha256).digest()
    signature = base64.b64encode(digest).decode()
    return {
        "webhook-id": event_id,
        "webhook-timestamp": at,
        "webhook-signature": f"v1a,AAAA v1,{signature}",
    }
