"""Whether a deployed bridge keeps the contract: everything that softgarden will ask, asked once.

What is made for that is a clearly artificial candidate, and it is deleted in any case.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from yarl import URL

from bridge.egress import create_session as open_session
from bridge.softgarden.artificial_orders import ArtificialOrders
from bridge.softgarden.contract_checks import NEVER_ISSUED, ContractChecks
from bridge.softgarden.deployed_bridge import (
    BridgeAnswer,
    DeployedBridge,
    NoUsableAnswer,
    is_this_machine,
)
from bridge.softgarden.examination import Examination, Verdict, describe_answer

_CERTIFICATE_LEFT = timedelta(days=14)
_CLOCK_NOTICED = timedelta(seconds=30)
_CLOCK_REFUSED = timedelta(minutes=5)


async def examine_deployed_bridge(examination: Examination) -> None:
    """Go through all checks; what was made is deleted before this returns, also after a failure
    and when it is cancelled, which is then a finding.
    """
    base = _base(examination.url)
    async with open_session(connections=4) as session:
        bridge = DeployedBridge(session, base, examination.token, timeout_s=examination.timeout_s)
        orders = ArtificialOrders(examination, bridge)
        try:
            await _Doctor(examination, bridge, orders).examine()
        except NoUsableAnswer as error:
            examination.note("answer", Verdict.WRONG, str(error), error.remedy)
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) is not None:
                task.uncancel()
            examination.note("interrupted", Verdict.WRONG, "it was broken off", "Run it again.")
        finally:
            await orders.clean_up()


def _base(url: str) -> URL:
    """The bridge's base, also from the URL of one of its endpoints."""
    text = url.strip().rstrip("/")
    for tail in ("/tests", "/invitations", "/results"):
        text = text.removesuffix(f"/softgarden{tail}")
    return URL(text)


class _Doctor:
    def __init__(
        self, examination: Examination, bridge: DeployedBridge, orders: ArtificialOrders
    ) -> None:
        self._to = examination
        self._bridge = bridge
        self._orders = orders

    async def examine(self) -> None:
        """Every check in turn; ends early where the next ones would say nothing."""
        if await self._way() and await self._is_a_bridge() and await self._token():
            checks = ContractChecks(self._to, self._bridge, self._orders)
            test = await checks.tests()
            await checks.refusals()
            if test is not None:
                await checks.journey(test)
        self._speed()

    async def _way(self) -> bool:
        base, judge = self._bridge.base, self._to.judge
        if base.scheme == "http":
            here = is_this_machine(base.host or "")
            return judge(
                "tls",
                here,
                "plain http, on this machine only"
                if here
                else "plain http: the token would travel in clear, so it was not sent",
                "Give the https:// URL, and have a proxy end TLS in front of the bridge.",
            )
        try:
            ends = await self._bridge.certificate_ends()
        except NoUsableAnswer as error:
            return judge("tls", False, str(error), error.remedy)
        left = ends - datetime.now(UTC)
        detail = f"the certificate is trusted and valid for {left.days} more days"
        if left < _CERTIFICATE_LEFT:
            self._to.note("tls", Verdict.WARNING, detail, "Renew it; best by a robot.")
        else:
            judge("tls", True, detail, "")
        return True

    async def _is_a_bridge(self) -> bool:
        judge = self._to.judge
        answer = await self._bridge.ask("GET", "/softgarden/tests", token=None)
        detail = f"GET /softgarden/tests without a token: {describe_answer(answer)}"
        if not judge(
            "bridge",
            answer.status == 401 and answer.code == "unauthorized",
            detail if answer.code else f"{detail}, which no bridge answers",
            "Correct the URL (public_url of bridge.yaml), and see that the proxy leads /softgarden/"
            " to the bridge and passes its answers on as they are.",
        ):
            return False
        self._clock(answer)
        ready = await self._bridge.ask("GET", "/readyz", token=None)
        if ready.status == 404:
            self._to.note("ready", Verdict.FINE, "the proxy keeps /readyz to itself")
        else:
            judge(
                "ready",
                ready.status == 200,
                f"GET /readyz: {describe_answer(ready)}",
                "See the admin listener's /readyz, which names the reason; mostly Redis.",
            )
        return True

    def _clock(self, answer: BridgeAnswer) -> None:
        off = answer.clock_off_by()
        if off is None:
            detail, remedy = "answers have no Date header", "Have the proxy pass it on."
            self._to.note("clock", Verdict.WARNING, detail, remedy)
            return
        seconds = round(abs(off).total_seconds())
        verdict = (
            Verdict.FINE
            if abs(off) <= _CLOCK_NOTICED
            else Verdict.WARNING
            if abs(off) <= _CLOCK_REFUSED
            else Verdict.WRONG
        )
        self._to.note(
            "clock",
            verdict,
            f"{seconds} s {'behind' if off < timedelta(0) else 'ahead of'} this computer's",
            ""
            if verdict is Verdict.FINE
            else "Have both computers set by NTP: signed webhooks are refused at five minutes.",
        )

    async def _token(self) -> bool:
        judge = self._to.judge
        wrong = await self._bridge.ask(
            "GET", "/softgarden/tests", token="doctor-" + self._orders.mark
        )
        judge(
            "token_wrong",
            wrong.status == 401,
            f"a wrong token: {describe_answer(wrong)}",
            "Something in front of the bridge authenticates by itself: take that off /softgarden/.",
        )
        answer = await self._bridge.ask("GET", "/softgarden/tests")
        if answer.status != 401:
            return judge("token", True, "the token is known", "")
        if await self._authorization_arrives():
            return judge(
                "token",
                False,
                "the bridge does not know this token",
                "Compare with tokens_sha256 in the customer's file (assessment-bridge token new"
                " makes both), and see that the daemon has loaded it.",
            )
        return judge(
            "token",
            False,
            "the Authorization header does not reach the bridge, or not as it was sent",
            "Have the proxy pass Authorization on (nginx: no proxy_set_header Authorization;"
            " Apache: CGIPassAuth On), and no login of its own in front of /softgarden/.",
        )

    async def _authorization_arrives(self) -> bool:
        """Whether the header gets through: the bridge says of no other that it is there twice."""
        twice = (("Authorization", "Bearer a"), ("Authorization", "Bearer b"))
        path = f"/equalture/callbacks/{NEVER_ISSUED}/doctor"
        answer = await self._bridge.ask("PUT", path, token=None, json={}, headers=twice)
        return answer.status == 400

    def _speed(self) -> None:
        ms, what = self._bridge.slowest
        self._to.judge(
            "speed",
            ms <= self._to.slow_s * 1000,
            f"the slowest answer took {ms / 1000:.1f} s: {what}",
            "softgarden's patience is not documented: see the proxy, Redis, and Equalture's answers"
            " (equalture.timeout bounds them; tests.items spares a reading of the job list).",
        )
