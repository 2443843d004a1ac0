"""Keeps in Redis when each vendor was last heard of, for all processes and after a restart."""

from __future__ import annotations

import asyncio

from bridge.call_observer import CallObserver
from bridge.errors import StoreUnavailable
from bridge.store.last_contacts import RedisLastContacts

SAVED_EVERY_S = 10.0


class LastContactSaver:
    """What *observer* has heard goes to *contacts*: one write now and then, never one a call."""

    def __init__(self, observer: CallObserver, contacts: RedisLastContacts) -> None:
        self._observer = observer
        self._contacts = contacts

    async def save(self) -> None:
        """Write what is new; raises ``StoreUnavailable``, and it is written the next time."""
        news = self._observer.take_unsaved_contacts()
        try:
            await self._contacts.keep(news)
        except StoreUnavailable:
            self._observer.put_back_contacts(news)
            raise

    async def run(self) -> None:
        """Write what is new every now and then, for as long as the daemon runs."""
        while True:
            await asyncio.sleep(SAVED_EVERY_S)
            try:
                await self.save()
            except StoreUnavailable:
                continue  # of that others complain
