"""Use case of operators: find an invitation by any id or link of it."""

from __future__ import annotations

import itertools
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from bridge.core.invitation import Invitation
from bridge.core.links import LinkPurpose, LinkSigner
from bridge.errors import RecordUnreadable
from bridge.ports import CurrentCustomers, InvitationStore, ReferenceIndex

_ID = re.compile(r"iv_[0-9a-f][A-Za-z0-9]{24}")
_PURPOSES = {
    "share": LinkPurpose.SHARE,
    "results": LinkPurpose.RESULTS,
    "reports": LinkPurpose.REPORT,
    "start": LinkPurpose.START,
}
_LONGEST = 4000
_AROUND = " \t\r\n<>\"'.,;()"
"""What surrounds a link in a mail or a sentence."""


@dataclass(frozen=True, slots=True)
class LookupResult:
    """What is known under a term. *bad_link*: it is a link of ours that no listed key signed."""

    invitations: tuple[Invitation, ...] = ()
    unreadable: tuple[str, ...] = ()
    """Ids of records that are there, but cannot be read."""
    bad_link: bool = False


class Lookup:
    """By id, by any link, by the ATS' application, by the provider's reference id."""

    def __init__(
        self,
        store: InvitationStore,
        references: ReferenceIndex,
        customers: CurrentCustomers,
        signer: LinkSigner,
    ) -> None:
        self._store = store
        self._references = references
        self._customers = customers
        self._signer = signer

    async def find(self, term: str) -> LookupResult:
        """Every invitation that *term* may mean, newest first.

        What no index leads to is looked for in the whole store, which takes its time. Raises
        ``StoreUnavailable`` if a part of it does not answer: "nothing is stored" would be a guess.
        """
        term = term.strip(_AROUND)[:_LONGEST]
        if match := _ID.search(term):
            return await self._by_id(match[0], bad_link=self._is_bad_link(term))
        found = {one.id: one async for one in self._by_index(term)} if term else {}
        if term and not found:
            every = self._store.scan(whole=True)
            found = {one.id: one async for one in every if _mentions(one, term)}
        newest_first = sorted(found.values(), key=lambda one: one.created_at, reverse=True)
        return LookupResult(tuple(newest_first))

    async def _by_id(self, invitation_id: str, *, bad_link: bool) -> LookupResult:
        try:
            one = await self._store.load(invitation_id)
        except RecordUnreadable:
            return LookupResult(unreadable=(invitation_id,), bad_link=bad_link)
        return LookupResult((one,) if one else (), bad_link=bad_link)

    async def _by_index(self, term: str) -> AsyncIterator[Invitation]:
        directory = self._customers()
        for key in sorted({*(one.key for one in directory), *directory.set_aside}):
            for one in await self._store.find_by_application(key, term):
                yield one
            for invitation_id in await self._references.find(key, term):
                loaded = await self._store.load(invitation_id)
                if loaded is not None and loaded.customer == key:
                    yield loaded

    def _is_bad_link(self, term: str) -> bool:
        """Whether this is a link of ours for which nobody gets anything, whatever it leads to."""
        parts = urlsplit(term).path.split("/") if "/" in term else []
        for name, file in itertools.pairwise(parts):
            token = file.removesuffix(".pdf")
            # The calls of the ATS have the bare id at this place.
            if name in _PURPOSES and _ID.match(token) and "." in token and self._signer.keys:
                return self._signer.read_token(_PURPOSES[name], token) is None
        return False


def _mentions(invitation: Invitation, term: str) -> bool:
    result = invitation.result
    return term in (
        invitation.application_id,
        invitation.callback,
        invitation.assessment_url,
        result.dashboard_url if result else None,
        *(attempt.reference_id for attempt in invitation.attempts),
    )
