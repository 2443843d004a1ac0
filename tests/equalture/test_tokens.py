from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bridge.core.customers import Customer, Secret
from bridge.equalture.protocol import Call, Reply
from bridge.equalture.settings import TokenMethod
from bridge.equalture.tokens import AccessTokens
from bridge.errors import UpstreamContractBroken, UpstreamRefused, UpstreamUnavailable

NOW = datetime(2026, 1, 15, tzinfo=UTC)


class Endpoint:
    """A token endpoint: *statuses* by method, a gate to hold answers back, and a clock that a
    request may move.
    """

    def __init__(self) -> None:
        self.now = 1000.0
        self.takes_s = 0.0
        self.statuses = {"POST": 200, "GET": 200}
        self.asked: list[tuple[str, str]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.down = False

    async def fetch(self, customer: Customer, call: Call) -> Reply:
        self.asked.append((customer.provider.client_id, call.method))
        count = len(self.asked)
        self.now += self.takes_s
        await self.gate.wait()
        if self.down:
            raise UpstreamUnavailable("equalture", "token", "no answer")
        body = json.dumps({"access_token": f"token-{count}"}).encode()
        return Reply(self.statuses[call.method], body, {}, NOW)

    @property
    def methods(self) -> list[str]:
        return [method for _, method in self.asked]


@pytest.fixture
async def endpoint() -> Endpoint:
    """A token endpoint in memory."""
    return Endpoint()


@pytest.fixture
async def tokens(endpoint: Endpoint) -> AccessTokens:
    """Tokens from that endpoint, by its clock."""
    return AccessTokens(endpoint.fetch, monotonic=lambda: endpoint.now)


async def test_token_is_kept_for_13_minutes(
    endpoint: Endpoint, tokens: AccessTokens, customer: Customer
) -> None:
    """A token is used for 13 minutes and renewed then."""
    assert await tokens.get(customer) == "token-1"
    endpoint.now += 13 * 60 - 0.001
    assert await tokens.get(customer) == "token-1"
    endpoint.now += 0.001
    assert await tokens.get(customer) == "token-2"


async def test_age_counts_from_before_the_request(
    endpoint: Endpoint, tokens: AccessTokens, customer: Customer
) -> None:
    """The time that the answer took is part of the token's age."""
    endpoint.takes_s = 60.0
    await tokens.get(customer)
    endpoint.now += 12 * 60
    assert await tokens.get(customer) == "token-2"


async def test_single_flight(endpoint: Endpoint, tokens: AccessTokens, customer: Customer) -> None:
    """A hundred callers at once make one request, and one who gives up does not spoil it for the
    rest.
    """
    endpoint.gate.clear()
    callers = [asyncio.create_task(tokens.get(customer)) for _ in range(100)]
    await asyncio.sleep(0)
    callers[0].cancel()
    await asyncio.sleep(0)
    endpoint.gate.set()
    first, *others = await asyncio.gather(*callers, return_exceptions=True)
    assert isinstance(first, asyncio.CancelledError)
    assert set(others) == {"token-1"}
    assert endpoint.methods == ["POST"]


async def test_failure_reaches_all_and_is_forgotten(
    endpoint: Endpoint, tokens: AccessTokens, customer: Customer
) -> None:
    """All waiters hear of a failure; the next caller asks anew."""
    endpoint.down = True
    endpoint.gate.clear()
    callers = [asyncio.create_task(tokens.get(customer)) for _ in range(3)]
    await asyncio.sleep(0)
    endpoint.gate.set()
    assert [type(one) for one in await asyncio.gather(*callers, return_exceptions=True)] == [
        UpstreamUnavailable
    ] * 3
    endpoint.down = False
    assert await tokens.get(customer) == "token-2"


async def test_failure_without_waiters_is_silent(
    endpoint: Endpoint, tokens: AccessTokens, customer: Customer
) -> None:
    """A request whose every waiter has gone fails without a trace, and the next one works."""
    endpoint.down = True
    endpoint.gate.clear()
    caller = asyncio.create_task(tokens.get(customer))
    await asyncio.sleep(0)
    caller.cancel()
    endpoint.gate.set()
    await asyncio.gather(caller, return_exceptions=True)
    await asyncio.sleep(0)
    endpoint.down = False
    assert await tokens.get(customer) == "token-2"


async def test_customers_at_once(
    endpoint: Endpoint, tokens: AccessTokens, customer: Customer
) -> None:
    """Of customers whose tokens are asked for at the same time, each keeps its own."""
    others = [replace(customer, key=f"c{number}") for number in range(5)]
    endpoint.gate.clear()
    flights = [asyncio.create_task(tokens.get(one)) for one in others]
    await asyncio.sleep(0)
    endpoint.gate.set()
    given = await asyncio.gather(*flights)
    assert [await tokens.get(one) for one in others] == given
    assert len(endpoint.asked) == 5


async def test_invalidate(endpoint: Endpoint, tokens: AccessTokens, customer: Customer) -> None:
    """Only the current token can be invalidated: a late 401 for an older one does not cost a good
    one.
    """
    await tokens.get(customer)
    tokens.invalidate(customer, "token-1")
    assert await tokens.get(customer) == "token-2"
    tokens.invalidate(customer, "token-1")
    assert await tokens.get(customer) == "token-2"


@pytest.mark.parametrize("status", [404, 405])
async def test_get_is_tried_and_remembered(
    status: int, endpoint: Endpoint, tokens: AccessTokens, customer: Customer
) -> None:
    """Where POST does not exist GET is used, and from then on at once."""
    endpoint.statuses["POST"] = status
    assert await tokens.get(customer) == "token-2"
    tokens.invalidate(customer, "token-2")
    assert await tokens.get(customer) == "token-3"
    assert endpoint.methods == ["POST", "GET", "GET"]


async def test_remembered_method_is_unlearnt(
    endpoint: Endpoint, tokens: AccessTokens, customer: Customer
) -> None:
    """If GET stops existing, the next renewal begins with POST again."""
    endpoint.statuses["POST"] = 405
    await tokens.get(customer)
    tokens.invalidate(customer, "token-2")
    endpoint.statuses.update(POST=200, GET=405)
    with pytest.raises(UpstreamRefused):
        await tokens.get(customer)
    assert await tokens.get(customer) == "token-4"
    assert endpoint.methods == ["POST", "GET", "GET", "POST"]


async def test_neither_method(endpoint: Endpoint, tokens: AccessTokens, customer: Customer) -> None:
    """Where neither exists, both are tried once and the customer's configuration is refused."""
    endpoint.statuses.update(POST=404, GET=404)
    with pytest.raises(UpstreamRefused):
        await tokens.get(customer)
    assert endpoint.methods == ["POST", "GET"]


@pytest.mark.parametrize("method", ["post", "get"])
async def test_fixed_method(
    method: str, endpoint: Endpoint, tokens: AccessTokens, customer: Customer, at
) -> None:
    """A configured method is used alone."""
    endpoint.statuses.update(POST=405, GET=405)
    with pytest.raises(UpstreamRefused):
        await tokens.get(at(customer, token_method=TokenMethod(method)))
    assert endpoint.methods == [method.upper()]


@pytest.mark.parametrize("status", [401, 403])
async def test_bad_credentials(
    status: int, endpoint: Endpoint, tokens: AccessTokens, customer: Customer
) -> None:
    """Wrong credentials are refused after one request."""
    endpoint.statuses["POST"] = status
    with pytest.raises(UpstreamRefused):
        await tokens.get(customer)
    assert endpoint.methods == ["POST"]


@pytest.mark.parametrize(
    ("status", "kind"),
    [(500, UpstreamUnavailable), (429, UpstreamUnavailable), (302, UpstreamRefused)],
)
async def test_other_failures(
    status: int, kind: type[Exception], endpoint: Endpoint, tokens: AccessTokens, customer: Customer
) -> None:
    """Other statuses are sorted like those of any call that may be repeated."""
    endpoint.statuses["POST"] = status
    with pytest.raises(kind):
        await tokens.get(customer)


async def test_token_that_no_header_can_hold(customer: Customer) -> None:
    """A token with line ends or blanks is a broken contract, not a crash while sending."""

    async def fetch(_: Customer, __: Call) -> Reply:
        return Reply(200, b'{"access_token": "a\\r\\nX-Evil: 1"}', {}, NOW)

    with pytest.raises(UpstreamContractBroken):
        await AccessTokens(fetch, monotonic=lambda: 0.0).get(customer)


async def test_tokens_never_mix(
    endpoint: Endpoint, tokens: AccessTokens, customer: Customer, at
) -> None:
    """Another account's token is never used, nor an old one's after a change of the
    configuration.
    """
    assert await tokens.get(customer) == "token-1"
    changed = [
        at(customer, client_id="other"),
        at(customer, client_secret=Secret("new")),
        at(customer, base_url="https://b.example"),
        at(customer, token_path="/token"),
    ]
    assert [await tokens.get(one) for one in changed] == [
        "token-2",
        "token-3",
        "token-4",
        "token-5",
    ]
    assert await tokens.get(changed[-1]) == "token-5"
