"""Bugs that show where keys vanish; see ``planted_bugs.py``."""

from __future__ import annotations

from typing import Final

from tests.simulation.planting import build_bug

EVICTION_BUGS: Final = (
    build_bug(
        "an application whose record vanished meanwhile is left at the provider",
        (
            "service/invite.py",
            "tombstone = await self._records.recreate_as_tombstone(invitation, customer)\n"
            "        why, ",
            "tombstone = None\n        why, ",
        ),
        troubles=("Redis evicts keys",),
    ),
    build_bug(
        "the sweep queues nothing again that vanished",
        (
            "store/reconciliation.py",
            "        call = lua_scripts.REQUEUE_LOST_TASK.call(\n",
            "        return False\n        call = lua_scripts.REQUEUE_LOST_TASK.call(\n",
        ),
    ),
)
