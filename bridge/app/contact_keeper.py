"""Keeps in Redis when each vendor was last heard of, for all processes and after a restart."""

from __future__ import annotations

import asyncio

from bridge.errors import StoreUnavailable
from bridge.store.last_contacts import RedisLastContacts
from bridge.vendor_contacts import VendorContacts

SAVED_EVERY_S = 10.0


class LastContactSaver:
    """What was *heard* goes to *contacts*: one write now and then, never one a call."""

    def __init__(self, heard: VendorContacts, contacts: RedisLastContacts) -> None:
        self._heard = heard
        self._contacts = contacts

    async def save(self) -> None:
        """Write what is new; raises ``StoreUnavailable``, and it is written the next time."""
        news = self._heard.take_unsaved_contacts()
        try:
            await self._contacts.keep(news)
        except StoreUnavailable:
            self._heard.put_back_contacts(news)
            raise

    async def run(self) -> None:
        """Write what is new every now and then, for as long as the daemon runs."""
        while True:
            await asyncio.sleep(SAVED_EVERY_S)
            try:
                await self.save()
            except StoreUnavailable:
                continue  # of that others complain
