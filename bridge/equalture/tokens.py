"""Equalture's access tokens: one per customer, renewed early, with one request for all waiting
callers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta

from bridge.core.customers import Customer
from bridge.equalture import protocol
from bridge.equalture.protocol import Call, Reply
from bridge.equalture.settings import EqualtureAccount, TokenMethod, get_account
from bridge.errors import UpstreamRefused
from bridge.ports import Monotonic
from bridge.single_flight import SingleFlight

Fetch = Callable[[Customer, Call[str]], Awaitable[Reply]]
"""Send one token call; any status is a reply, no answer an ``UpstreamError``.

Must end by itself: it is not cancelled.
"""

# https://equalture-ats.readme.io/reference/introduction, "Request for Access token":
# "This access token is valid for 15 minutes"
RENEW_AFTER = timedelta(minutes=13)


@dataclass(slots=True, eq=False)
class _Slot:
    access: EqualtureAccount
    token: str | None = field(default=None, repr=False)
    renew_at: float = 0.0
    use_get: bool = False
    """POST was answered "no such thing" and GET worked."""


class AccessTokens:
    """Tokens in memory, one for each customer.

    A token belongs to the whole configuration of the customer's access: another account's token is
    never used, even if a reload changes a customer while calls are under way.
    """

    def __init__(self, fetch: Fetch, *, monotonic: Monotonic) -> None:
        self._fetch = fetch
        self._monotonic = monotonic
        self._slots: dict[str, _Slot] = {}
        self._flights: SingleFlight[_Slot, str] = SingleFlight()

    def get_cached(self, customer: Customer) -> str | None:
        """A token that needs no request; None: ``get`` makes one."""
        slot = self._slot(customer)
        return slot.token if self._monotonic() < slot.renew_at else None

    async def get(self, customer: Customer) -> str:
        """A token that is valid for some more minutes; raises the ``UpstreamError`` of the request
        for it.

        Callers share one request. Cancelling one of them does not affect the others; a failure is
        raised to all of them and not remembered.
        """
        token = self.get_cached(customer)
        if token is not None:
            return token
        slot = self._slot(customer)
        return await self._flights.run(slot, lambda: self._renew(customer, slot))

    def invalidate(self, customer: Customer, token: str) -> None:
        """Forget *token* after a 401, unless a newer one has replaced it already."""
        slot = self._slot(customer)
        if slot.token == token:
            slot.token = None

    def _slot(self, customer: Customer) -> _Slot:
        access = get_account(customer)
        slot = self._slots.get(customer.key)
        if slot is None or (slot.access is not access and slot.access != access):
            self._forget_expired()
            slot = self._slots[customer.key] = _Slot(access)
        return slot

    def _forget_expired(self) -> None:
        """Drop expired tokens: perhaps their customers were removed."""
        now = self._monotonic()
        for key, slot in tuple(self._slots.items()):
            if slot.renew_at <= now and not self._flights.is_under_way(slot):
                del self._slots[key]

    async def _renew(self, customer: Customer, slot: _Slot) -> str:
        # Measured from before the request: how long the answer took is part of the token's life.
        asked_at = self._monotonic()
        slot.token = await self._ask(customer, slot)
        slot.renew_at = asked_at + RENEW_AFTER.total_seconds()
        return slot.token

    async def _ask(self, customer: Customer, slot: _Slot) -> str:
        access = get_account(customer)
        # Assumption: today's page says POST, an older version GET; setting equalture.token_method.
        automatic = access.token_method == TokenMethod.AUTO
        method = ("GET" if slot.use_get else "POST") if automatic else access.token_method.upper()
        call = protocol.build_token_call(access, method)
        reply = await self._fetch(customer, call)
        if automatic and method == "POST" and reply.status in (404, 405):
            call = protocol.build_token_call(access, "GET")
            found = protocol.read_reply(call, await self._fetch(customer, call))
            slot.use_get = True
            return found
        try:
            return protocol.read_reply(call, reply)
        except UpstreamRefused as refused:
            if refused.status in (404, 405):
                # The learnt method no longer works; the next renewal starts from POST again.
                slot.use_get = False
            raise
