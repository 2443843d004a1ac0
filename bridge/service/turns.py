"""The changes to one invitation that wait in this process, one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType

from bridge.core.invitation import Invitation
from bridge.errors import BridgeError, StoreUnavailable
from bridge.ports import Monotonic


@dataclass(slots=True)
class InvitationQueue:
    """The changes to one invitation that wait, and what the last one left."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0
    latest: Invitation | None = None
    """The record that the previous change left in the store; None: it must be read."""
    failures: int = 0
    failure: str = ""


class InvitationTurns:
    """Changes to one invitation take turns: otherwise hundreds at once would keep each other from
    committing.
    """

    def __init__(self, monotonic: Monotonic) -> None:
        self._monotonic = monotonic
        self._queues: dict[str, InvitationQueue] = {}

    def __len__(self) -> int:
        """How many invitations have changes under way or waiting."""
        return len(self._queues)

    def take(
        self, invitation_id: str, give_up_at: float, refusal: Callable[[], BridgeError]
    ) -> InvitationTurn:
        """The turn to change an invitation, as a context manager, whose value is its queue.

        Raises *refusal*'s error if it does not come in time, and ``StoreUnavailable`` if the change
        before it could not reach the store: else each would wait for the store in turn.
        """
        return InvitationTurn(self._queues, self._monotonic, invitation_id, give_up_at, refusal)


class InvitationTurn:
    """One turn, see ``InvitationTurns.take``."""

    def __init__(
        self,
        queues: dict[str, InvitationQueue],
        monotonic: Monotonic,
        invitation_id: str,
        give_up_at: float,
        refusal: Callable[[], BridgeError],
    ) -> None:
        self._queues = queues
        self._monotonic = monotonic
        self._id = invitation_id
        self._give_up_at = give_up_at
        self._refusal = refusal

    async def __aenter__(self) -> InvitationQueue:
        queue = self._queues.get(self._id)
        if queue is None:
            queue = self._queues[self._id] = InvitationQueue()
        self._queue = queue
        queue.users += 1
        failures = queue.failures
        try:
            if queue.turn.locked():
                async with asyncio.timeout(max(0.0, self._give_up_at - self._monotonic())):
                    await queue.turn.acquire()
            else:
                await queue.turn.acquire()
        except BaseException as error:
            self._leave()
            if isinstance(error, TimeoutError):
                raise self._refusal() from None
            raise
        if queue.failures > failures:
            queue.turn.release()
            self._leave()
            raise StoreUnavailable(queue.failure)
        return queue

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, StoreUnavailable):
            self._queue.failures, self._queue.failure = self._queue.failures + 1, str(error)
        self._queue.turn.release()
        self._leave()

    def _leave(self) -> None:
        self._queue.users -= 1
        if not self._queue.users:
            del self._queues[self._id]
