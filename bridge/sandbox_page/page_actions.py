"""What the forms of the page do at the fakes."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from bridge.sandbox import BridgeReply, EqualtureSandbox, SoftgardenClient, SoftgardenSandbox

Form = Mapping[str, str]
UNITS = {"minutes": timedelta(minutes=1), "hours": timedelta(hours=1), "days": timedelta(days=1)}
FITS = ("high", "medium", "low", "none")
SCORE = "score_"
"""Begins the name of a trait's field."""
FAULTS: Mapping[str, tuple[str, Callable[[int], dict[str, Any]]]] = {
    "status": ("answers this status and does nothing", lambda n: {"status": n}),
    "status_after": ("does it, but answers this status", lambda n: {"status_after": n}),
    "delay": ("waits so many seconds first", lambda n: {"delay": n}),
    "delay_after": ("waits so many seconds before the answer", lambda n: {"delay_after": n}),
    "drop_before": ("cuts the connection and does nothing", lambda _: {"drop": "before"}),
    "drop_after": ("does it, and cuts the connection", lambda _: {"drop": "after"}),
    "hang_before": ("hangs until healed, then does it", lambda _: {"hang": "before"}),
    "hang_after": ("does it, and hangs until healed", lambda _: {"hang": "after"}),
    "html": ("does it, but answers HTML", lambda _: {"body": "html"}),
    "bad_json": ("does it, but answers JSON cut short", lambda _: {"body": "bad_json"}),
    "wrong_shape": ("does it, but answers other JSON", lambda _: {"body": "wrong_shape"}),
    "empty": ("does it, but answers nothing", lambda _: {"body": "empty"}),
}
"""Name -> words, and the fault's switches for the number in the form."""


class PageActions:
    """Each action does one thing, and returns one sentence about how it went.

    They raise ``ValueError`` or ``LookupError`` for what cannot be done, with words for people.
    """

    def __init__(self, equalture: EqualtureSandbox, softgarden: SoftgardenSandbox) -> None:
        self._equalture, self._softgarden = equalture, softgarden
        self.vendors = {fake.name: fake for fake in (softgarden, equalture)}
        self._actions: Mapping[str, Callable[[Form], Awaitable[str]]] = {
            "connect": self._connect,
            "tests": self._list_tests,
            "order": self._order,
            "read": self._read,
            "delete": self._delete,
            "start": self._start,
            "finish": self._finish,
            "expire": self._expire,
            "callback": self._repeat_callback,
            "fault": self._break,
            "heal": self._heal,
            "revoke": self._revoke,
            "clock": self._advance,
        }

    def find(self, name: str) -> Callable[[Form], Awaitable[str]] | None:
        """The action of this name, if there is one."""
        return self._actions.get(name)

    async def _connect(self, form: Form) -> str:
        url, token, customer = _given(form, "bridge_url"), _given(form, "token"), _customer(form)
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("The bridge's URL begins with http:// or https:// and names a host.")
        if not re.fullmatch("[!-~]+", token):
            raise ValueError("A bearer token is one word of visible ASCII characters.")
        if client_id := form.get("client_id", "").strip():
            self._softgarden.add_customer(customer, client_id)
        self._softgarden.connect(url, token, customer=customer)
        return f"softgarden uses {url} now. {await self._list_tests(form)}"

    async def _list_tests(self, form: Form) -> str:
        reply = await self._client(form).list_tests()
        if reply.status != 200:
            return f"Its list of tests: {_outcome(reply)}"
        tests = read_tests(reply.json)
        return f"It lists {len(tests)} {'test' if len(tests) == 1 else 'tests'}."

    async def _order(self, form: Form) -> str:
        reply = await self._client(form).invite(
            _given(form, "test_id"),
            candidate_id=form.get("application_id", "").strip() or None,
            first_name=form.get("first_name", ""),
            last_name=form.get("last_name", ""),
            email=form.get("email", ""),
        )
        if reply.status == 200 and isinstance(reply.json, dict):
            return f"The bridge invited: {reply.json.get('invitationId')}"
        return f"The order: {_outcome(reply)}"

    async def _read(self, form: Form) -> str:
        client, invitation_id = self._client_of_invitation(form)
        reply = await client.read_results(invitation_id)
        if reply.status == 200 and isinstance(reply.json, dict):
            return f"The result of {invitation_id}: {reply.json.get('status')}"
        return f"The result of {invitation_id}: {_outcome(reply)}"

    async def _delete(self, form: Form) -> str:
        client, invitation_id = self._client_of_invitation(form)
        return f"The deletion of {invitation_id}: {_outcome(await client.delete(invitation_id))}"

    async def _start(self, form: Form) -> str:
        await self._equalture.start_test(self._application(form))
        return "The candidate has begun the test."

    async def _finish(self, form: Form) -> str:
        fit = _choice(form.get("fit", "high"), FITS)
        scores = {
            name.removeprefix(SCORE): _number(form, name)
            for name in form
            if name.startswith(SCORE) and form[name].strip()
        }
        status = await self._equalture.complete(
            self._application(form), fit=None if fit == "none" else fit, scores=scores
        )
        return f"The test is finished; {_called_back(status)}"

    async def _expire(self, form: Form) -> str:
        self._equalture.expire_link(self._application(form))
        return (
            "The candidate's link has expired. Equalture tells nobody: a bridge finds out at its"
            " own deadline (equalture.link_life)."
        )

    async def _repeat_callback(self, form: Form) -> str:
        status = await self._equalture.put_callback(self._application(form))
        return f"The result was sent again; {_called_back(status)}"

    async def _break(self, form: Form) -> str:
        vendor, _, operation = _given(form, "operation").partition(":")
        fake = self.vendors[_choice(vendor, self.vendors)]
        words, switches_for = FAULTS[_choice(_given(form, "kind"), FAULTS)]
        needs_number = switches_for(0) != switches_for(1)
        switches = switches_for(_number(form, "number") if needs_number else 0)
        if form.get("times", "").strip():
            switches["times"] = _number(form, "times")
        fake.fault(operation, **switches)
        return f"{vendor}, {operation}: {words}."

    async def _heal(self, form: Form) -> str:
        vendor, _, operation = form.get("operation", "").partition(":")
        if not vendor:
            healed = sum(fake.heal() for fake in self.vendors.values())
        else:
            healed = self.vendors[_choice(vendor, self.vendors)].heal(operation)
        return f"{healed} {'fault was' if healed == 1 else 'faults were'} healed."

    async def _revoke(self, form: Form) -> str:
        self._equalture.revoke_tokens()
        return "Every access token of Equalture's is invalid from now on."

    async def _advance(self, form: Form) -> str:
        by = _number(form, "number") * UNITS[_choice(_given(form, "unit"), UNITS)]
        for clock in {fake.clock for fake in self.vendors.values()}:  # they may share one
            clock.advance(by)
        return f"The fakes' clock is {self._equalture.clock():%Y-%m-%d %H:%M:%S UTC} now."

    def _client(self, form: Form) -> SoftgardenClient:
        client = self._softgarden.clients.get(_customer(form))
        if client is None:
            raise LookupError("No bridge is connected yet: give its URL and a token first.")
        return client

    def _client_of_invitation(self, form: Form) -> tuple[SoftgardenClient, str]:
        invitation_id = _given(form, "invitation_id")
        customer = self._softgarden.invited.get(invitation_id)
        if customer is None:
            raise LookupError(f"softgarden has not ordered {invitation_id} here.")
        return self._client({"customer": customer}), invitation_id

    def _application(self, form: Form) -> str:
        reference_id = _given(form, "reference_id")
        if reference_id not in self._equalture.applications:
            raise LookupError(f"Equalture has no application {reference_id}.")
        return reference_id


def _given(form: Form, name: str) -> str:
    value = form.get(name, "").strip()
    if not value:
        raise ValueError(f"{name} is missing.")
    return value


def _choice(value: str, known: Iterable[str]) -> str:
    if value not in known:
        raise ValueError(f"{value} is none of {', '.join(known)}.")
    return value


def _customer(form: Form) -> str:
    return form.get("customer", "").strip() or "default"


def _number(form: Form, name: str) -> int:
    value = _given(form, name)
    if not re.fullmatch("[0-9]{1,9}", value):
        raise ValueError(f"{name} is a whole number.")
    return int(value)


def read_tests(listed: Any) -> dict[str, str]:
    """Id -> name, whatever the list's shape: it is the bridge's administrator who decides it."""
    if isinstance(listed, dict):
        listed = next((value for value in listed.values() if isinstance(value, list)), [])
    tests = {}
    for test in listed if isinstance(listed, list) else []:
        if isinstance(test, dict):
            named = [test[key] for key in ("testId", "id") if key in test] or list(test.values())
            names = [test[key] for key in ("name", "testName") if key in test]
            tests.update({str(key): str((names or named)[0]) for key in named[:1]})
    return tests


def _outcome(reply: BridgeReply) -> str:
    if reply.status == 0:
        return f"no answer ({reply.error})"
    detail = reply.json.get("detail") if isinstance(reply.json, dict) else None
    return f"{reply.status} {detail}" if detail else f"{reply.status}"


def _called_back(status: int) -> str:
    return f"the bridge answered the callback {status}." if status else "no bridge answered."
