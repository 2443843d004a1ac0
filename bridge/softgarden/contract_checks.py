"""The contract itself, asked call by call: the list of tests, refusals, and one whole journey."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from yarl import URL

from bridge.softgarden.artificial_orders import ArtificialOrders
from bridge.softgarden.deployed_bridge import (
    BridgeAnswer,
    DeployedBridge,
    NoUsableAnswer,
    is_this_machine,
)
from bridge.softgarden.examination import Examination, Verdict, describe_answer, find_problem_flaws

NEVER_ISSUED = "iv_0" + "a" * 24
"""An invitation id of the right form."""

_INVITE_REMEDIES = {
    "callback_not_allowed": "List the host in softgarden.callback_hosts, or give --callback-host.",
    "unknown_test": "Give --test with an id that is listed.",
    "upstream_refused": "Equalture refuses: assessment-bridge check --online, and its account.",
    "upstream_unavailable": "Equalture cannot be reached: assessment-bridge check --online.",
    "outcome_unknown": "Equalture gave no usable answer: see the bridge's log, and base_url.",
    "store_unavailable": "Redis does not answer or takes no writes: see the admin /readyz.",
}


class ContractChecks:
    """The checks; what they order is in *orders*."""

    def __init__(
        self, examination: Examination, bridge: DeployedBridge, orders: ArtificialOrders
    ) -> None:
        self._to = examination
        self._bridge = bridge
        self._orders = orders

    async def tests(self) -> str | None:
        """The id of the test to order; None where there is none."""
        answer = await self._bridge.ask("GET", "/softgarden/tests")
        ids = read_test_ids(answer.json)
        if not self._to.judge(
            "tests",
            answer.status == 200 and bool(ids),
            f"{len(ids)} test(s) listed"
            if answer.status == 200
            else f"GET /softgarden/tests: {describe_answer(answer)}",
            "assessment-bridge tests CUSTOMER shows Equalture's jobs beside the mapping: publish"
            " jobs of type assessment there, or correct tests.items."
            if answer.status == 200
            else "assessment-bridge check --online says what Equalture answers to this customer.",
        ):
            return self._to.test
        slashes = await self._bridge.ask("GET", "//softgarden/tests/")
        self._to.judge(
            "slashes",
            slashes.status == 200,
            f"with a doubled and a trailing slash: {describe_answer(slashes)}",
            "Have the proxy pass paths on as they come; redirects are not followed by every ATS.",
        )
        if self._to.test is None or self._to.test in ids:
            return self._to.test or ids[0]
        self._to.judge(
            "test", False, f"{self._to.test} is not listed", f"Take one of: {', '.join(ids[:10])}."
        )
        return None

    async def refusals(self) -> None:
        """What has to be refused, and how."""
        post, ask, draft = "/softgarden/invitations", self._bridge.ask, self._orders.draft
        nowhere = {"callback": "https://callback.invalid/doctor"}
        unknown = draft(f"doctor-{self._orders.mark}", "unknown")
        self._refused("unknown_test", await self._orders.order(unknown), 400, "unknown_test")
        answer = await self._orders.order(draft("doctor", "callback") | nowhere)
        self._refused("callback", answer, 400, "callback_not_allowed")
        self._refused("problem_400", await ask("POST", post, json={}), 400)
        self._refused("problem_json", await ask("POST", post, body=b"{"), 400)
        self._refused("wrong_method", await ask("PUT", "/softgarden/tests"), 405)
        unread = await ask("GET", f"/softgarden/results/{NEVER_ISSUED}")
        self._refused("unknown_read", unread, 404, "unknown_invitation")
        undeleted = await ask("DELETE", f"{post}/{NEVER_ISSUED}")
        self._refused("unknown_delete", undeleted, 400)

    def _refused(self, check: str, answer: BridgeAnswer, status: int, code: str = "") -> None:
        problems = list(find_problem_flaws(answer, status, code))
        named = answer.fields.get("errors")
        if check == "problem_400" and not (
            isinstance(named, dict) and {"testId", "candidate", "callback"} <= set(named)
        ):
            problems.append("its errors do not name every missing field")
        if check == "wrong_method" and "GET" not in answer.headers.get("Allow", ""):
            problems.append("no Allow header that names GET")
        ours = answer.code in ("callback_not_allowed", "store_unavailable") and answer.code != code
        remedy = _INVITE_REMEDIES[answer.code] if ours else None  # no proxy is to blame
        self._to.judge(
            check,
            not problems,
            "; ".join(problems) or describe_answer(answer),
            remedy
            or "Have the proxy pass requests and errors on as they are (nginx:"
            " proxy_intercept_errors off).",
        )

    async def journey(self, test: str) -> None:
        """Invite, repeat, read, delete."""
        order = self._orders.draft(test, "journey")
        answer = await self._orders.order(order)
        invitation = answer.fields
        invitation_id = invitation.get("invitationId")
        if not self._to.judge(
            "invite",
            answer.status == 200 and isinstance(invitation_id, str),
            f"POST /softgarden/invitations for test {test}: {describe_answer(answer)}",
            _INVITE_REMEDIES.get(answer.code)
            or "The bridge's log has the reason under this request's X-Request-ID "
            f"({answer.headers.get('X-Request-ID', 'none')}).",
        ):
            return
        self._check_invitation(invitation)
        again = await self._orders.order(order)
        same = {key: again.fields.get(key) for key in ("invitationId", "testUrl")}
        self._to.judge(
            "repeat",
            again.status == 200 and same == {key: invitation.get(key) for key in same},
            f"the same order again: {describe_answer(again)}"
            + ("" if same["invitationId"] == invitation_id else ", another invitation"),
            "Every process must use the same Redis and key_prefix: see redis.url of each host.",
        )
        await self._result(invitation_id)
        await self._deletion(invitation_id)

    def _check_invitation(self, invitation: Any) -> None:
        link = invitation.get("testUrl")
        self._to.judge(
            "test_url",
            _url(link).scheme == "https" or is_this_machine(_url(link).host or ""),
            "the candidate's link is one that a browser opens safely"
            if isinstance(link, str)
            else "the answer has no testUrl",
            "It is Equalture's link, or public_url's with test_url: landing; both must be https.",
        )
        deadline = invitation.get("deadline")
        try:
            at = datetime.fromisoformat(deadline)
            fine = deadline.endswith("Z") and at > datetime.now(UTC)
        except (TypeError, ValueError, AttributeError):
            fine = deadline is None
        detail = f"deadline {deadline}"
        self._to.judge("deadline", fine, detail, "See the clock of the host, and link_life.")

    async def _result(self, invitation_id: str) -> None:
        answer = await self._bridge.ask(
            "GET", f"/softgarden/results//{quote(invitation_id, safe='')}"
        )
        result = answer.fields.get("result")
        link = result.get("resultUrl") if isinstance(result, dict) else None
        page = link if isinstance(link, str) and _url(link).absolute else ""
        if not self._to.judge(
            "result",
            answer.status == 200 and answer.fields.get("status") == "PENDING" and bool(page),
            f"GET /softgarden/results/{{id}}: {describe_answer(answer)}",
            "The read must be answered by the same Redis as the invite: see redis.url.",
        ):
            return
        where = _url(page).origin()
        if where != self._bridge.base.origin():
            self._to.note(
                "public_url",
                Verdict.WARNING,
                f"links lead to {where}, not to the address that was examined",
                "If recruiters cannot reach it: public_url in bridge.yaml.",
            )
        try:
            opened = await self._bridge.ask("GET", page, token=None)
        except NoUsableAnswer as error:
            self._to.judge("result_page", False, str(error), "public_url in bridge.yaml.")
            return
        self._to.judge(
            "result_page",
            opened.status == 200 and opened.media_type == "text/html",
            f"the recruiter's page: {describe_answer(opened)}",
            "Have the proxy lead /results/, /reports/, /share/ and /start/ to the bridge, too.",
        )

    async def _deletion(self, invitation_id: str) -> None:
        path = f"/softgarden/invitations/{quote(invitation_id, safe='')}"
        first = await self._orders.delete(invitation_id)
        second = await self._bridge.ask("DELETE", path)
        for check, answer in (("deletion", first), ("deletion_again", second)):
            self._to.judge(
                check,
                answer.status == 204,
                f"DELETE /softgarden/invitations/{{id}}: {describe_answer(answer)}",
                "Equalture has not confirmed; the bridge goes on by itself. assessment-bridge dead"
                " list shows whether it gave up."
                if answer.status == 502 and answer.code
                else "Have the proxy let DELETE through.",
            )
        gone = await self._bridge.ask("GET", f"/softgarden/results/{quote(invitation_id, safe='')}")
        self._to.judge(
            "gone",
            gone.status == 404,
            f"reading what was deleted: {describe_answer(gone)}",
            "Something in front of the bridge caches answers: switch that off.",
        )


def _url(text: object) -> URL:
    """*text* as a URL, an empty one where it is none."""
    try:
        return URL(text) if isinstance(text, str) else URL()
    except ValueError:
        return URL()


def read_test_ids(document: Any) -> list[str]:
    """The ids in a list of tests, bare or wrapped, under whatever name an id has."""
    if isinstance(document, dict):
        lists = [value for value in document.values() if isinstance(value, list)]
        document = lists[0] if len(lists) == 1 else None
    entries = document if isinstance(document, list) else []
    return [found for one in entries if isinstance(one, dict) for found in _id_in(one)]


def _id_in(entry: dict[str, Any]) -> Iterator[str]:
    names = sorted(entry, key=lambda name: (name != "testId", name != "id"))
    for name in names:
        if name.lower().endswith("id") and isinstance(entry[name], str):
            yield entry[name]
            return
