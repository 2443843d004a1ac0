"""The way from an application to its invitation lies in another part of Redis than the invitation;
that part away made orphans.
"""

from __future__ import annotations

from structlog.typing import EventDict

from bridge.core.invitation import State
from bridge.errors import StoreUnavailable
from tests.service.fakes import MemoryReferences, World


class Away(MemoryReferences):
    """Its part of Redis does not answer."""

    async def remember(self, customer: str, reference_id: str, invitation_id: str) -> str | None:
        raise StoreUnavailable("away")

    async def find(self, customer: str, reference_id: str) -> tuple[str, ...]:
        raise StoreUnavailable("away")


async def test_create_without_the_short_cut(journal: list[EventDict]) -> None:
    """An application that was made is written down although its short cut cannot be kept, and its
    result is found.
    """
    world = World(references=Away())
    one = await world.invited()
    assert one.state is State.INVITED
    assert "invitation.orphaned" not in {entry["event"] for entry in journal}
    assert (await world.completed_by_poll(one)).state is State.COMPLETED
