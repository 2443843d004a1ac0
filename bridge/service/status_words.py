"""The provider's status words that nobody knows: said once, and kept for whoever checks the
configuration.
"""

from __future__ import annotations

import contextlib
import re
from collections import defaultdict

import structlog

from bridge.core.assessment import Progress
from bridge.core.customers import Customer
from bridge.errors import StoreUnavailable
from bridge.ports import Clock, StatusWordStore

UNPRINTABLE = "(unprintable)"
"""Stands for every word that may be more than a word: the provider's text is free, and could name
somebody.
"""

WORDS_LIMIT = 20
"""Words of one customer that are told and kept; more than that is no vocabulary."""

_WORD = re.compile(r"[a-z_-]{1,40}", re.ASCII)

log = structlog.get_logger()


class StatusWords:
    """Hears every status; each process tells an unknown word once for each customer."""

    def __init__(self, store: StatusWordStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._told: defaultdict[str, set[str]] = defaultdict(set)

    async def record(self, customer: Customer, progress: Progress) -> None:
        """Tell the word, if nobody knows it and it was not told yet; nothing fails because it
        cannot be kept.
        """
        if progress.known:
            return
        word, told = printable(progress.word), self._told[customer.key]
        if word in told or len(told) >= WORDS_LIMIT:
            return
        told.add(word)
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
        """The words that any process could not understand, without those that the settings have
        meanwhile.
        """
        done = {word.lower() for word in customer.provider.done_words}
        return tuple(word for word in await self._store.words(customer.key) if word not in done)


def printable(word: str) -> str:
    """*word* as it may be shown: one of letters, ``_`` and ``-``, or ``UNPRINTABLE``."""
    low = word.strip().lower()
    return low if _WORD.fullmatch(low) else UNPRINTABLE
