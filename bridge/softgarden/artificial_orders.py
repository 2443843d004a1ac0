"""Orders for a clearly artificial candidate, and the deletion of all that came of them."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from typing import Any
from urllib.parse import quote

from bridge.softgarden.deployed_bridge import BridgeAnswer, DeployedBridge, NoUsableAnswer
from bridge.softgarden.examination import Examination, Verdict

_NOTHING_MADE = frozenset({"upstream_refused", "upstream_unavailable"})
_DELETE_TRIES = 3


class ArtificialOrders:
    """What was ordered of *bridge*, and what has to be deleted because of it."""

    def __init__(self, examination: Examination, bridge: DeployedBridge) -> None:
        self._to = examination
        self._bridge = bridge
        self._pending: list[dict[str, Any]] = []
        """Orders of which it is not known whether they made an invitation."""
        self._deleted: set[str] = set()
        self.mark = secrets.token_hex(6)
        """In the id of every candidate of this examination."""

    async def order(self, order: dict[str, Any]) -> BridgeAnswer:
        """Send an order, and remember what has to be deleted because of it."""
        if order not in self._pending:
            self._pending.append(order)
        answer = await self._bridge.ask("POST", "/softgarden/invitations", json=order)
        invitation_id = answer.fields.get("invitationId")
        if isinstance(invitation_id, str) and invitation_id not in self._to.made:
            self._to.made.append(invitation_id)
        refused = 400 <= answer.status < 500 and answer.status != 429
        if invitation_id or refused or answer.code in _NOTHING_MADE:
            self._pending.remove(order)
        return answer

    async def delete(self, invitation_id: str) -> BridgeAnswer:
        """One deletion, and what was answered."""
        path = f"/softgarden/invitations/{quote(invitation_id, safe='')}"
        answer = await self._bridge.ask("DELETE", path)
        # With a 502 of its own the bridge has deleted, and goes on asking Equalture.
        if answer.status == 204 or (answer.status == 502 and answer.code):
            self._deleted.add(invitation_id)
        return answer

    async def _delete_stubbornly(self, invitation_id: str) -> None:
        for attempt in range(_DELETE_TRIES):
            if attempt:
                await asyncio.sleep(attempt)
            try:
                await self.delete(invitation_id)
            except NoUsableAnswer:
                continue
            if invitation_id in self._deleted:
                self._to.note("cleaned_up", Verdict.FINE, f"{invitation_id} is deleted")
                return
        self._to.left_behind.append(invitation_id)

    def draft(self, test: str, purpose: str) -> dict[str, Any]:
        """An order for this test; another *purpose* is another application."""
        who = f"doctor-{purpose}-{self.mark}"
        return {
            "testId": test,
            "candidate": {
                "id": who,
                "firstName": "Bridge",
                "lastName": "Doctor (artificial)",
                "email": "bridge-doctor@example.com",
            },
            "callback": f"https://{self._to.callback_host}/assessment-bridge-doctor",
        }

    async def clean_up(self) -> None:
        """Delete what was made and is not deleted yet."""
        for order in tuple(self._pending):
            with contextlib.suppress(NoUsableAnswer):
                # The answer was lost: the same order gives the invitation that came of it.
                await self.order(order)
        self._to.left_behind += [order["candidate"]["id"] for order in self._pending]
        for invitation_id in self._to.made:
            if invitation_id not in self._deleted:
                await self._delete_stubbornly(invitation_id)
        for what in self._to.left_behind:
            self._to.note(
                "left_behind",
                Verdict.WRONG,
                f"{what} could not be deleted",
                f"On the bridge's host: assessment-bridge erase {what}"
                if what in self._to.made
                else "Once the bridge answers, run this again; its log tells whether an invitation"
                " was made.",
            )
