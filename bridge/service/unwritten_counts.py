"""What a history counts but need not be written each time."""

from __future__ import annotations

import math
from collections import OrderedDict
from datetime import datetime

from bridge.core.history_events import is_count_worth_writing
from bridge.core.invitation import Invitation
from bridge.ports import Monotonic

_LIMIT = 10_000
"""Counts that this process remembers until one more of the same is written."""
_QUIET_S = 10.0
"""How long nothing is written after a count could not be."""


class UnwrittenCounts:
    """Remembers what came between two counts that are written."""

    def __init__(self, monotonic: Monotonic) -> None:
        self._monotonic = monotonic
        self._counts: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._quiet_until = -math.inf

    def add(self, invitation: Invitation, kind: str, now: datetime) -> int:
        """Count one more; returns how many are to be written now, perhaps none."""
        times = 1 + self._counts.pop((invitation.id, kind), 0)
        quiet = self._monotonic() < self._quiet_until
        if not quiet and is_count_worth_writing(invitation, kind, now):
            return times
        self._remember(invitation.id, kind, times)
        return 0

    def put_back(self, invitation_id: str, kind: str, times: int) -> None:
        """They could not be written."""
        self._quiet_until = self._monotonic() + _QUIET_S
        self._remember(invitation_id, kind, times)

    def _remember(self, invitation_id: str, kind: str, times: int) -> None:
        self._counts[invitation_id, kind] = times
        if len(self._counts) > _LIMIT:
            self._counts.popitem(last=False)
