"""Use case: a result in its reader's language, where the provider knows that language."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import structlog
from aiocache import SimpleMemoryCache

from bridge.core import invitation_view
from bridge.core.assessment import Result
from bridge.core.customers import Customer
from bridge.core.invitation import Invitation
from bridge.core.result_view import replace_texts
from bridge.errors import UpstreamError
from bridge.ports import ProviderOf
from bridge.single_flight import SingleFlight

log = structlog.get_logger()

PATIENCE = timedelta(seconds=2)
"""How long a reader waits for texts in another language."""
TEXTS_LIFE = timedelta(minutes=10)
"""How long they are remembered, in this process; also that there are none."""


class ResultTexts:
    """Asks the provider for the texts of a stored result in a reader's language.

    Scores, ranges and the fit stay those that are stored: what the ATS was told is what is shown.
    """

    def __init__(self, provider_of: ProviderOf, *, patience: timedelta = PATIENCE) -> None:
        self._provider_of = provider_of
        self._patience_s = patience.total_seconds()
        # timeout=None: every operation of aiocache is otherwise wrapped in a wait_for.
        self._known = SimpleMemoryCache(timeout=None)
        self._flights: SingleFlight[tuple[str, int, str], Result | None] = SingleFlight()

    async def translate(
        self, invitation: Invitation, customer: Customer, language: str
    ) -> Invitation:
        """The invitation with its texts in *language*; as it is where that is the customer's own,
        or where the provider has no answer soon enough.
        """
        result = invitation.result
        reference_id = invitation_view.get_completed_application_id(invitation)
        own = customer.provider.locale.lower().replace("_", "-").partition("-")[0]
        if result is None or reference_id is None or language == own:
            return invitation
        key = (invitation.id, invitation.version, language)
        flight = asyncio.ensure_future(
            self._flights.run(key, lambda: self._recall(key, customer, reference_id))
        )
        done, _ = await asyncio.wait({flight}, timeout=self._patience_s)
        if not done:
            flight.cancel()  # this reader's wait; the call goes on and is remembered
            return invitation
        texts = flight.result()
        return (
            invitation
            if texts is None
            else replace(invitation, result=replace_texts(result, texts))
        )

    async def _recall(
        self, key: tuple[str, int, str], customer: Customer, reference_id: str
    ) -> Result | None:
        if await self._known.exists(key):
            known: Result | None = await self._known.get(key)
            return known
        texts: Result | None = None
        try:
            provider = self._provider_of(customer)
            texts = await provider.get_result(customer, reference_id, locale=key[2])
        except UpstreamError as error:
            log.info("result.not_translated", language=key[2], error=error.code)
        await self._known.set(key, texts, ttl=TEXTS_LIFE.total_seconds())
        return texts
