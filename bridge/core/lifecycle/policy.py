"""Every duration and setting that decisions depend on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from bridge.core.customers import AfterCompleted, ProviderAccess

UNREACHABLE_TIMEOUT = timedelta(seconds=30)
"""How long a report waits for confirmation while the provider cannot be reached; then it counts.
An expiry is put off for as long.
"""

NO_RESULT_TIMEOUT = timedelta(hours=1)
"""How long a report waits for confirmation while the provider answers that it has no result; then
it counts, too.

That answer refutes nothing: it may mean that the results are not published yet, or that they cannot
be had in the customer's language or with its rights; no vendor documents it. The report came with a
secret that only the provider was told, so it is as good as true, and HR must not wait until the
deadline for it. An hour leaves the provider every chance to say it itself, and what it says later
still corrects the report: it is looked for, and the ATS is notified.
"""

STARTED_GRACE = timedelta(days=1)
"""How long after the deadline a test that is known to have been started may still be finished."""

REPEAT_WINDOW = timedelta(seconds=5)
"""The same report again within this time changes nothing: it is being looked into by then."""

LATE_WINDOW = timedelta(days=1)
"""How long after an expiry, a completion or a later report the provider is asked by ourselves.
Reports count for ever.
"""

READ_CHECK_PAUSE = timedelta(minutes=1)
"""How often at most an open invitation is checked because the ATS reads it."""

EARLY_EVENT_LIFE = timedelta(minutes=10)
"""How long a provider's event is kept for an application that no record knows yet."""

SEEN_EVENT_LIFE = timedelta(days=4)
"""How long an event is known as a repeated one: longer than a sender's retry plan of three days."""

MIN_CHECK_DELAY = timedelta(seconds=1)
"""The shortest pause between two checks of an unconfirmed report, and before the first attempt to
anonymise.
"""

CONFIRMATION_DELAY = timedelta(minutes=1)
"""How long after a report was accepted the provider is asked to confirm it."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings of a customer that decisions depend on; the defaults serve where it is gone."""

    link_life: timedelta = ProviderAccess().link_life
    """How long the candidate's link is good for, counted from the create."""
    poll_every: timedelta = ProviderAccess().poll_every
    """How often the provider is asked although nothing was heard."""
    create_timeout: timedelta = timedelta(seconds=10)
    """After this long a create that nobody reported on is one whose outcome is unknown."""
    after_completed: AfterCompleted = AfterCompleted.NEW
    """What a repeated order gets after completion."""
