"""Unknown status words of the provider: logged once, and stored for the configuration check."""

from __future__ import annotations

import contextlib
from collections import defaultdict

import structlog

from bridge.core.assessment import ApplicationProgress
from bridge.core.customers import Customer
from bridge.core.redaction import mask_unprintable_word
from bridge.errors import StoreUnavailable
from bridge.ports import Clock, StatusWordStore

WORDS_LIMIT = 20
"""How many words of one customer are logged and stored; more than that is not a vocabulary."""

log = structlog.get_logger()


class StatusWords:
    """Records every status; each process logs an unknown word once for each customer."""

    def __init__(self, store: StatusWordStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._already_logged: defaultdict[str, set[str]] = defaultdict(set)

    async def record(self, customer: Customer, progress: ApplicationProgress) -> None:
        """Log the word if it is unknown and was not logged yet, and store it; a failure to store it
        is ignored.
        """
        if progress.known:
            return
        word, logged = mask_unprintable_word(progress.word), self._already_logged[customer.key]
        if word in logged or len(logged) >= WORDS_LIMIT:
            return
        logged.add(word)
        log.warning(
            "status.unknown_word",
            customer=customer.key,
            word=word,
            text=(
                "counts as not finished; if it means finished, add it to the provider's done_words"
            ),
        )
        with contextlib.suppress(StoreUnavailable):
            await self._store.keep(customer.key, word, self._clock(), limit=WORDS_LIMIT)

    async def unknown_words(self, customer: Customer) -> tuple[str, ...]:
        """The words that were unknown to any process, without those that the settings contain by
        now.
        """
        done = {word.lower() for word in customer.provider.done_words}
        return tuple(word for word in await self._store.words(customer.key) if word not in done)
