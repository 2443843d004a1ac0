"""Use cases of operators: what there is, what is stuck, and what to do about it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from bridge.core.invitation import CreateOutcome, Invitation, State
from bridge.core.lifecycle.attempts import list_applications_to_anonymise, uses_application
from bridge.core.lifecycle.events import HireRepeatAllowed
from bridge.core.queueing import DeadLetter, TaskKind
from bridge.errors import UnknownInvitation
from bridge.ports import TaskQueue
from bridge.service.commit_loop import CommitLoop


@dataclass(frozen=True, slots=True)
class DeadLetterFilter:
    """Which dead letters: by task or invitation id, customer, and least age; what is None does not
    matter.
    """

    id: str | None = None
    customer: str | None = None
    older_than: timedelta | None = None

    def matches(self, letter: DeadLetter, now: datetime) -> bool:
        """Whether *letter* is meant."""
        return (
            self.id in (None, letter.task_id, letter.invitation_id)
            and self.customer in (None, letter.customer)
            and (self.older_than is None or now - letter.since >= self.older_than)
        )


class Operations:
    """Looks through the whole store: made for people, not for requests."""

    def __init__(self, records: CommitLoop, queue: TaskQueue) -> None:
        self._records = records
        self._store = records.store
        self._queue = queue
        self._clock = records.clock

    async def invitations(
        self,
        customer: str | None,
        state: State | None,
        *,
        uncertain: bool = False,
        owed: bool = False,
    ) -> AsyncIterator[Invitation]:
        """Invitations of this customer in this state; None: of any.

        *uncertain*: only those with a perhaps lost application; *owed*: only those that the
        provider has not anonymised yet.
        """
        async for invitation in self._store.scan():
            matches = customer in (None, invitation.customer) and state in (None, invitation.state)
            if (
                matches
                and (not uncertain or has_unknown_create_outcome(invitation))
                and (not owed or list_applications_to_anonymise(invitation))
            ):
                yield invitation

    async def shared(self) -> dict[str, tuple[str, ...]]:
        """Invitations whose application others have as well: id -> the others' ids."""
        holders: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        async for invitation in self._store.scan():
            for reference_id in {
                attempt.reference_id for attempt in invitation.attempts if attempt.reference_id
            }:
                if uses_application(invitation, reference_id):
                    holders[invitation.customer, reference_id].append(invitation.id)
        found: defaultdict[str, set[str]] = defaultdict(set)
        for together in holders.values():
            for invitation_id in together if len(together) > 1 else ():
                found[invitation_id] |= set(together) - {invitation_id}
        return {invitation_id: tuple(sorted(others)) for invitation_id, others in found.items()}

    async def invitation(self, invitation_id: str) -> Invitation:
        """One invitation; raises ``UnknownInvitation``."""
        invitation = await self._store.load(invitation_id)
        if invitation is None:
            raise UnknownInvitation(f"No invitation {invitation_id} is stored.")
        return invitation

    async def customers(self) -> set[str]:
        """The keys of all customers of whom anything is stored."""
        found = {invitation.customer async for invitation in self._store.scan()}
        return found | {letter.customer async for letter in self._queue.dead_letters()}

    async def dead_letters(self, wanted: DeadLetterFilter) -> list[DeadLetter]:
        """The dead letters that are meant, oldest first."""
        now = self._clock()
        letters = [
            letter async for letter in self._queue.dead_letters() if wanted.matches(letter, now)
        ]
        return sorted(letters, key=lambda letter: letter.since)

    async def replay(self, letters: Iterable[DeadLetter]) -> int:
        """Queue their tasks again from the first attempt, due now; how many were still there."""
        return sum([await self._replay(letter) for letter in letters])

    async def _replay(self, letter: DeadLetter) -> bool:
        if letter.kind is TaskKind.HIRE:
            # Whoever replays it has seen at the provider that it was not done.
            invitation = await self._store.load(letter.invitation_id)
            if invitation is not None:
                await self._records.apply(invitation, HireRepeatAllowed(), None)
        return await self._queue.replay(letter.invitation_id, letter.kind, self._clock())

    async def drop(self, letters: Iterable[DeadLetter]) -> int:
        """Forget these; how many were still there."""
        return sum(
            [await self._queue.drop(letter.invitation_id, letter.kind) for letter in letters]
        )


def has_unknown_create_outcome(invitation: Invitation) -> bool:
    """Whether a create was sent and never answered: an application of which we have no id may stand
    at the provider.
    """
    return any(
        attempt.outcome is CreateOutcome.UNKNOWN and attempt.reference_id is None
        for attempt in invitation.attempts
    )
