"""What was asked of one candidate, what it asked of the vendors, and whether the two agree."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SeenApplication:
    """A create as the simulated vendor got it."""

    reference_id: str
    callback_path: str


@dataclass
class Ledger:
    """Both ends of one candidate: the orders and callbacks that it was sent, and the creates and
    notifications that it sent. Everything is kept by id.
    """

    name: str
    orders: int = 0
    creates: dict[int, list[SeenApplication]] = field(default_factory=dict)
    invitations: dict[int, str] = field(default_factory=dict)
    """By order: the id in the answer."""
    open: deque[int] = field(default_factory=deque)
    """Orders that were answered, and whose result nobody reported yet."""
    finished: set[str] = field(default_factory=set)
    """Reference ids of applications that are completed at the vendor."""
    reported: list[str] = field(default_factory=list)
    """Invitations whose callback was answered."""
    unread: deque[str] = field(default_factory=deque)
    """Those of them that were notified, and whose result nobody read."""
    read: list[str] = field(default_factory=list)
    """Those whose result was read."""
    looks: int = 0
    """How often the status of an application was asked for."""
    notifications: Counter[str] = field(default_factory=Counter)
    """By invitation."""
    unreadable: list[str] = field(default_factory=list)
    """Invitations whose result could not be read at the end."""
    strange: list[str] = field(default_factory=list)
    """Calls that no vendor knows."""
    waiting: dict[str, Callable[[], None]] = field(default_factory=dict)
    """Who is to be told of the notification of an invitation."""

    def add_create(self, order: int, callback_path: str) -> SeenApplication:
        """The vendor got a create."""
        seen = self.creates.setdefault(order, [])
        application = SeenApplication(f"{self.name}-{order:09d}-{len(seen)}", callback_path)
        seen.append(application)
        return application

    def add_notification(self, invitation_id: str) -> None:
        """The ATS was notified."""
        self.notifications[invitation_id] += 1
        if told := self.waiting.pop(invitation_id, None):
            told()

    def find_losses(self) -> list[str]:
        """What should have happened once and did not happen at all."""
        losses = [f"order {order}: no create" for order in self.invitations.keys() - self.creates]
        missing = set(self.reported) - self.notifications.keys()
        return [
            *losses,
            *(f"{one}: no notification" for one in sorted(missing)),
            *(f"{one}: no result" for one in self.unreadable),
        ]

    def find_duplicates(self) -> list[str]:
        """What should have happened once and happened more often."""
        doubled = [
            f"order {order}: {len(seen)} creates"
            for order, seen in self.creates.items()
            if len(seen) > 1
        ]
        shared = [
            f"{one}: the invitation of {count} orders"
            for one, count in Counter(self.invitations.values()).items()
            if count > 1
        ]
        again = [
            f"{one}: {count} notifications"
            for one, count in self.notifications.items()
            if count > 1
        ]
        return doubled + shared + again

    def find_strangers(self) -> list[str]:
        """Notifications of what was never reported, and calls that no vendor knows."""
        unknown = self.notifications.keys() - set(self.reported)
        return [*self.strange, *(f"{one}: notified without a report" for one in sorted(unknown))]
