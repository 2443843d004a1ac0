"""How a task handles a failed call: the line in its attempt log, and when it is tried again."""

from __future__ import annotations

import time
from dataclasses import dataclass

from bridge.core import retry
from bridge.core.queueing import AttemptNote, Lease, RetryTask
from bridge.errors import CallNotMade, UpstreamError
from bridge.ports import Clock, RandomFraction


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFailures:
    """The rules of ``core.retry``, with a clock; *begun* is ``time.monotonic()`` before the
    call.
    """

    clock: Clock
    random_fraction: RandomFraction

    def note(self, error: UpstreamError, begun: float) -> AttemptNote:
        """The line in the task's attempt log."""
        return AttemptNote(
            self.clock(), error.code, error.status, milliseconds_since(begun), error.excerpt
        )

    def retry_for(self, lease: Lease, error: UpstreamError, begun: float) -> RetryTask:
        """When to try again; there is no last attempt."""
        if isinstance(error, CallNotMade):
            return retry.retry_after_call_not_made(
                error.retry_after_s, now=self.clock(), random_fraction=self.random_fraction()
            )
        return retry.retry_after_provider_failure(
            lease.attempt,
            self.note(error, begun),
            retry_after_s=error.retry_after_s,
            now=self.clock(),
            random_fraction=self.random_fraction(),
        )


def milliseconds_since(begun: float) -> int:
    """Milliseconds since *begun*, a reading of ``time.monotonic()``."""
    return round((time.monotonic() - begun) * 1000)
