"""How a commit hands a task to the worker of its own process."""

from __future__ import annotations

from bridge.core.invitation import Invitation
from bridge.core.queueing import Lane, LeaseOffer
from bridge.ports import TaskTaker


class TaskHandover:
    """A ``TaskTaker`` that passes on to *worker* while there is one."""

    def __init__(self) -> None:
        self.worker: TaskTaker | None = None

    def offer_lease(self, lane: Lane) -> LeaseOffer | None:
        """See ``TaskTaker``."""
        return None if self.worker is None else self.worker.offer_lease(lane)

    def start(self, offer: LeaseOffer, invitation: Invitation) -> None:
        """See ``TaskTaker``; a worker that ended meanwhile leaves the lease to run out."""
        if self.worker is not None:
            self.worker.start(offer, invitation)

    def withdraw(self, offer: LeaseOffer) -> None:
        """See ``TaskTaker``."""
        if self.worker is not None:
            self.worker.withdraw(offer)
