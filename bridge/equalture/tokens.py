"""Equalture's access tokens: one per customer, renewed early, asked for once however many calls
need it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta

from bridge.core.customers import Customer, Secret
from bridge.equalture import protocol
from bridge.equalture.protocol import Call, Reply
from bridge.errors import Refused
from bridge.ports import Monotonic
from bridge.single_flight import SingleFlight

Fetch = Callable[[Customer, Call], Awaitable[Reply]]
"""Send one token call; any status is a reply, none at all an ``UpstreamError``.

Must end by itself: nobody cancels it.
"""

RENEW_AFTER = timedelta(minutes=13)
"""Tokens are "valid for 15 minutes" (equalture-ats.readme.io/reference/introduction, "Request for
Access token").
"""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose token it is: another account's is never used, even if a reload changes a customer while
    calls are under way.
    """

    customer: str
    base_url: str
    client_id: str
    client_secret: Secret
    token_path: str
    token_method: str

    @classmethod
    def of(cls, customer: Customer) -> Identity:
        """The identity behind a customer's calls."""
        access = customer.equalture
        return cls(
            customer.key,
            access.base_url,
            access.client_id,
            access.client_secret,
            access.token_path,
            access.token_method,
        )


@dataclass(slots=True)
class _Slot:
    token: str | None = field(default=None, repr=False)
    renew_at: float = 0.0
    use_get: bool = False
    """POST was answered "no such thing" and GET worked."""


class AccessTokens:
    """Tokens in memory, by customer and credentials."""

    def __init__(self, fetch: Fetch, *, monotonic: Monotonic) -> None:
        self._fetch = fetch
        self._monotonic = monotonic
        self._slots: dict[Identity, _Slot] = {}
        self._flights: SingleFlight[Identity, str] = SingleFlight()

    async def get(self, customer: Customer) -> str:
        """A token that is good for some minutes yet; raises the ``UpstreamError`` of asking for it.

        Callers share one request. Cancelling one of them leaves the others alone; a failure reaches
        all of them and is not remembered.
        """
        identity = Identity.of(customer)
        slot = self._slot(identity)
        if slot.token is not None and self._monotonic() < slot.renew_at:
            return slot.token
        return await self._flights.run(identity, lambda: self._renew(customer, slot))

    def invalidate(self, customer: Customer, token: str) -> None:
        """Forget *token* after a 401, unless a newer one has taken its place already."""
        slot = self._slot(Identity.of(customer))
        if slot.token == token:
            slot.token = None

    def _slot(self, identity: Identity) -> _Slot:
        if identity not in self._slots:
            # A customer has one set of credentials at a time: the old set's token is of no use any
            # more. Neither is one that has run out, perhaps of a customer who was removed; unless
            # it is just being renewed.
            now = self._monotonic()
            for other, slot in tuple(self._slots.items()):
                if other.customer == identity.customer or (
                    slot.renew_at <= now and not self._flights.under_way(other)
                ):
                    del self._slots[other]
            self._slots[identity] = _Slot()
        return self._slots[identity]

    async def _renew(self, customer: Customer, slot: _Slot) -> str:
        # Measured from before the request: how long the answer took is part of the token's life.
        asked_at = self._monotonic()
        slot.token = await self._ask(customer, slot)
        slot.renew_at = asked_at + RENEW_AFTER.total_seconds()
        return slot.token

    async def _ask(self, customer: Customer, slot: _Slot) -> str:
        access = customer.equalture
        automatic = access.token_method.lower() == "auto"
        # Today's page says POST, an older version GET; setting equalture.token_method.
        method = ("GET" if slot.use_get else "POST") if automatic else access.token_method.upper()
        call = protocol.token(access, method)
        reply = await self._fetch(customer, call)
        if automatic and method == "POST" and reply.status in (404, 405):
            call = protocol.token(access, "GET")
            found = protocol.read_token(call, await self._fetch(customer, call))
            slot.use_get = True
            return found
        try:
            return protocol.read_token(call, reply)
        except Refused as refused:
            if refused.status in (404, 405):
                # What was learnt no longer holds; the next renewal starts from POST again.
                slot.use_get = False
            raise
