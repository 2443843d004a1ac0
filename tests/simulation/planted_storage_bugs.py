"""A bug that shows where Redis goes back to an earlier moment; see ``planted_bugs.py``."""

from __future__ import annotations

from typing import Final

from tests.simulation.planting import build_bug

STORAGE_BUGS: Final = (
    build_bug(
        "a process remembers whom it has told, and Redis does not",
        (
            "service/notify_task.py",
            "        if not checks.must_notify_ats(invitation):\n",
            "        told = (invitation.id, invitation.state, invitation.corrected_at)\n"
            "        if told in _TOLD or not checks.must_notify_ats(invitation):\n",
        ),
        (
            "service/notify_task.py",
            "        self._count(invitation, note)\n",
            "        self._count(invitation, note)\n"
            '        if note.outcome == "delivered":\n'
            "            _TOLD.add(told)\n",
        ),
        (
            "service/notify_task.py",
            "\n\n@dataclass(",
            "\n\n_TOLD = set()\n\n\n@dataclass(",
        ),
    ),
)
