"""Which invitations use an application at the provider: normally one, but a provider may give two
invitations the same application.
"""

from __future__ import annotations

from bridge.core.invitation import Invitation
from bridge.core.lifecycle import attempts
from bridge.ports import InvitationStore, ReferenceIndex


class SharedApplications:
    """Looks holders up by reference and checks their records: the references alone may be out of
    date.
    """

    def __init__(self, store: InvitationStore, references: ReferenceIndex) -> None:
        self._store = store
        self._references = references

    async def others(
        self, invitation: Invitation, reference_id: str, *, creating: bool = False
    ) -> tuple[str, ...]:
        """The ids of the other living invitations that use this application; with *creating* also
        of those whose create is just being recorded.
        """
        found = []
        for other_id in await self._references.find(invitation.customer, reference_id):
            other = await self._store.load(other_id) if other_id != invitation.id else None
            if (
                other is not None
                and other.customer == invitation.customer
                and (
                    attempts.uses_application(other, reference_id)
                    or (creating and attempts.find_pending_attempt(other) is not None)
                )
            ):
                found.append(other.id)
        return tuple(found)
