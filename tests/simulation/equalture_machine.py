"""Equalture as a state machine that does everything its documentation leaves open.

What it documents it keeps: a create that it confirmed exists, an application that is done stays
done, an anonymised one shows no results. Everything else is drawn: status words, how late results
come after "completed", what is answered before there are any, whether a result is corrected.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, ClassVar
from urllib.parse import quote, unquote

from bridge.sandbox import EqualtureSandbox
from tests.simulation.memory_network import CALLER, HttpMessage
from tests.simulation.stage_settings import HASTY, SECRETS
from tests.simulation.tape import Tape, TapedCall
from tests.simulation.vendor_quirks import VendorQuirks
from tests.simulation.vendor_weather import VendorWeather, answer_in_weather, build_answer

TOKEN_LIFE_S = 900.0
OPEN_WORDS = ("in_progress", "invited", "started", "Pending", "opened", "created")


@dataclass(slots=True)
class EqualtureApplication:
    """An application as Equalture knows it."""

    reference_id: str
    account: str
    email: str
    callback_url: str
    journey: int
    fault: str
    """What went wrong with the create that made it."""
    made_by: str
    """The process that asked for it."""
    made_at: float
    state: str = "invited"
    fit: str = "high"
    results_from: float = 0.0
    """When the results can be read, once it is completed."""
    wordless: bool = False
    """Its status never says that it is completed: only its results do."""
    finished_at: float | None = None
    hires: int = 0
    """How often it was hired."""
    heard: dict[str, float] = field(default_factory=dict)
    """When a webhook was acknowledged for the first time, by its word: that it had begun, or was
    done.
    """
    held: dict[str, float] = field(default_factory=dict)
    """The same, before the bridge knew its id."""

    @property
    def other_fit(self) -> str:
        """What its result is not."""
        return "low" if self.fit == "high" else "high"

    @property
    def link(self) -> str:
        """The candidate's link."""
        return (
            f"https://app.equalture.example/en/assessments/1/token/link-{quote(self.reference_id)}"
        )

    def describe_result(self) -> dict[str, Any]:
        """The body of a result."""
        bucket = {"low": 1, "high": 5}[self.fit]
        return {
            "results_url": f"https://dashboard.equalture.example/candidates/{quote(self.reference_id)}",
            "fit": self.fit,
            "scores": {"Focus": f"({bucket}) Focused"},
            "detailed_scores": [
                {
                    "trait_code": "focus",
                    "trait_name": "Focus",
                    "trait_bucket_score": bucket,
                    "trait_bucket_description": f"({bucket}) Focused",
                    "competency_profile": {"priority": "high", "range": [4, 5]},
                }
            ],
        }


@dataclass(slots=True)
class EqualtureMachine:
    """All accounts at Equalture; *journey_of* finds a journey by the candidate's e-mail."""

    now: Callable[[], float]
    draws: Random
    tape: Tape
    journey_of: Callable[[str], int]
    made: Callable[[EqualtureApplication], None]
    """Is told of every new application, before its create is answered."""
    quirks_of: Callable[[int], VendorQuirks]
    """What is odd about a journey."""
    weather: VendorWeather = field(default_factory=VendorWeather)
    applications: dict[str, EqualtureApplication] = field(default_factory=dict)
    by_link: dict[str, EqualtureApplication] = field(default_factory=dict)
    tokens: dict[str, tuple[str, float]] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    """Calls that break what the pages say."""
    secrets: dict[str, tuple[str, ...]] = field(
        default_factory=lambda: {name: (one.client_secret,) for name, one in SECRETS.items()}
    )
    """Every account's, as it takes them."""
    ended_secrets: set[str] = field(default_factory=set)
    """Those that nobody has any more who has done what its page says."""
    short_lived: float = 0.2
    """How many tokens live shorter than the pages say."""
    wraps_jobs: bool = False
    wants_get: bool = False
    """The token is got by GET, as an older page says."""
    _tokens_made: int = 0
    _made_with: dict[str, str] = field(default_factory=dict)
    """The secret of each token."""
    _creates: Counter[int] = field(default_factory=Counter)
    """Of each journey."""

    _ROUTES: ClassVar[dict[tuple[str, str], str]] = {
        ("GET", "status"): "_status",
        ("GET", "results"): "_results",
        ("GET", "public_link"): "_public_link",
        ("DELETE", "anonymize_application"): "_anonymise",
        ("POST", "hire_applicant"): "_hire",
    }

    async def serve(self, message: HttpMessage) -> HttpMessage | None:
        """Answer a call of the bridge."""
        began = self.now()
        path = message.path.partition("?")[0]
        parts = [unquote(part) for part in path.removeprefix("/connect_ats/").split("/")]
        fault = self.weather.draw_fault(self.draws)
        if parts == ["applications"]:
            fault = fault or self._spoil_create(message)

        async def perform() -> HttpMessage:
            answer = self._perform(message, parts, fault)
            if parts == ["applications"]:
                quirks = self.quirks_of(self._journey_of_create(message))
                await asyncio.sleep(quirks.create_takes_s)
            return answer

        account = self._account(message)
        if account in self.weather.dead_accounts:
            fault = "no answer before it was done"
        await self.weather.keep_waiting(self.draws, account)
        answer = await answer_in_weather(self.weather, self.draws, fault, perform)
        number = -1
        if len(parts) == 3 and (known := self.applications.get(parts[1])):
            number = known.journey
        elif parts == ["applications"]:
            number = self._journey_of_create(message)
        caller = message.headers[CALLER]
        call = TapedCall(began, caller, EqualtureSandbox.name, message, answer, fault)
        self.tape.write_call(call, number)
        return answer

    def note_unheard(self, message: HttpMessage) -> None:
        """Who sent this did not wait for its answer."""
        if message.path == "/connect_ats/applications":
            wanted = json.loads(message.body)["callback_url"]
            for one in self.applications.values():
                if one.callback_url == wanted:
                    one.fault = one.fault or "its caller waited no longer"

    def find_application(self, invitation: Mapping[str, Any]) -> EqualtureApplication:
        """The one that softgarden's candidate has; what was reported before softgarden had a link
        has none.
        """
        if (link := invitation["testUrl"]) in self.by_link:
            return self.by_link[link]
        mark = f"/{invitation['invitationId']}/"
        made = [one for one in self.applications.values() if mark in one.callback_url]
        return next((one for one in made if one.finished_at is not None), made[-1])

    def finish(self, application: EqualtureApplication) -> None:
        """The candidate is done."""
        if application.state != "anonymized":
            application.state = "completed"
            application.finished_at = self.now()
            late = self.draws.random() < 0.3
            application.results_from = self.now() + (5.0 * self.draws.random() if late else 0.0)

    def drop_secret(self, account: str, secret: str, *, with_tokens: bool) -> None:
        """Take a secret no more, and perhaps no token either that was got with it."""
        self.secrets[account] = tuple(one for one in self.secrets[account] if one != secret)
        for token, made_with in self._made_with.items() if with_tokens else ():
            if made_with == secret:
                self.tokens.pop(token, None)

    def _account(self, message: HttpMessage) -> str:
        kind, _, value = message.headers.get("authorization", "").partition(" ")
        if kind == "Basic":
            return base64.b64decode(value).decode().partition(":")[0]
        return self.tokens.get(value, ("", 0.0))[0]

    def _perform(self, message: HttpMessage, parts: list[str], fault: str) -> HttpMessage:
        if parts == ["access_token"]:
            return self._token(message)
        account, until = self.tokens.get(
            message.headers.get("authorization", "").removeprefix("Bearer "), ("", 0.0)
        )
        if self.now() >= until:
            return build_answer(401, {"errors": {"detail": "Unauthorized"}})
        if parts == ["jobs"]:
            jobs = [{"id": SECRETS[account].job, "name": "Assessment"}]
            return build_answer(200, {"jobs": jobs} if self.wraps_jobs else jobs)
        if parts == ["applications"]:
            return self._create(message, account, fault)
        application = self.applications.get(parts[1])
        if application is None or application.account != account:
            return build_answer(404, {"errors": {"detail": "Not Found"}})
        answer: HttpMessage = getattr(self, self._ROUTES[message.method, parts[2]])(application)
        return answer

    def _spoil_create(self, message: HttpMessage) -> str:
        """What goes wrong with this create although nothing else goes wrong."""
        journey = self._journey_of_create(message)
        self._creates[journey] += 1
        fault = self.quirks_of(journey).first_create if self._creates[journey] == 1 else ""
        if fault:
            self.weather.count(f"first create: {fault}")
        return fault

    def _journey_of_create(self, message: HttpMessage) -> int:
        return self.journey_of(json.loads(message.body)["applicant_details"]["email"])

    def _token(self, message: HttpMessage) -> HttpMessage:
        if message.method == "POST" and self.wants_get:
            return build_answer(405, {"errors": {"detail": "Method Not Allowed"}})
        value = message.headers.get("authorization", "").removeprefix("Basic ")
        account, _, secret = base64.b64decode(value).decode().partition(":")
        if secret not in self.secrets.get(account, ()):
            if secret in self.ended_secrets:
                self.violations.append(f"a token is asked for with a secret of {account}'s past")
            return build_answer(401, {"errors": {"detail": "Unauthorized"}})
        self._tokens_made += 1
        token = f"SFMyNTY.{self._tokens_made}"
        short = self.draws.random() < self.short_lived
        life_s = self.draws.uniform(1.0, 20.0) if short else TOKEN_LIFE_S
        self.tokens[token] = (account, self.now() + life_s)
        self._made_with[token] = secret
        return build_answer(200, {"access_token": token})

    def _create(self, message: HttpMessage, account: str, fault: str) -> HttpMessage:
        body = json.loads(message.body)
        if body["job_id"] != SECRETS[account].job or body["invitation_type"] != "one_time_link":
            self.violations.append(f"create: {sorted(body)}")
        if any(one.callback_url == body["callback_url"] for one in self.applications.values()):
            self.violations.append("the same create twice")
        email = body["applicant_details"]["email"]
        quirk = self.quirks_of(self.journey_of(email)).reference
        known = [one for one in self.applications.values() if one.email == email]
        if quirk == "same" and known and known[-1].state != "anonymized" and account != HASTY:
            self.weather.count("the same application for a second create")
            return _describe_created(known[-1])
        reference_id = f"ref-{len(self.applications)}-{self.draws.getrandbits(48):012x}"
        if quirk == "odd":
            reference_id = f"{reference_id}/../a b%2F?#.\u00fc+&"
        application = EqualtureApplication(
            reference_id,
            account,
            email,
            body["callback_url"],
            self.journey_of(email),
            fault,
            message.headers[CALLER],
            self.now(),
        )
        self.applications[reference_id] = application
        self.made(application)
        self.by_link[application.link] = application
        self.tape.write(EqualtureSandbox.name, f"made {reference_id}", application.journey)
        return _describe_created(application)

    def _status(self, application: EqualtureApplication) -> HttpMessage:
        quirks = self.quirks_of(application.journey)
        word = "started" if application.wordless else application.state
        if word in ("invited", "started"):
            word = quirks.open_word or self.draws.choice(OPEN_WORDS)
        elif word == "completed":
            means_more = quirks.done_word == "hired" and quirks.hired and not application.hires
            word = word if means_more else quirks.done_word or word
        return build_answer(200, {"status": word})

    def _results(self, application: EqualtureApplication) -> HttpMessage:
        if application.state == "anonymized":
            return build_answer(self.draws.choice((404, 422)), {"errors": {"detail": "gone"}})
        if application.state != "completed" or self.now() < application.results_from:
            return build_answer(
                self.draws.choice((404, 422, 400)), {"errors": {"detail": "not yet"}}
            )
        return build_answer(200, application.describe_result())

    def _public_link(self, application: EqualtureApplication) -> HttpMessage:
        if application.state != "completed":
            return build_answer(404, {"errors": {"detail": "not yet"}})
        return build_answer(
            200, {"url": "https://public.example/x", "ttl": "120", "ttl_units": "minutes"}
        )

    def _anonymise(self, application: EqualtureApplication) -> HttpMessage:
        if application.state == "anonymized":
            return build_answer(self.draws.choice((200, 404)), {"reference_id": "x"})
        application.state = "anonymized"
        return build_answer(200, {"reference_id": application.reference_id})

    def _hire(self, application: EqualtureApplication) -> HttpMessage:
        application.hires += 1
        return build_answer(200, {"message": "hired", "reference_id": application.reference_id})


def _describe_created(application: EqualtureApplication) -> HttpMessage:
    made = {"reference_id": application.reference_id, "assessment_url": application.link}
    return build_answer(201, made)
