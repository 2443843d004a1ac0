"""Every duration and setting that decisions depend on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from bridge.core.customers import Customer, ProviderAccount, RepeatAfterCompletion

CREATE_MARGIN = timedelta(seconds=5)
"""Added to the provider's time-out, for the wait in the bulkhead (``resilience.QUEUE_TIMEOUT``) and
the commits.

After that the outcome of a create that was not recorded counts as unknown.
"""

UNREACHABLE_TIMEOUT = timedelta(seconds=30)
"""How long a report waits for confirmation while the provider cannot be reached; then it counts.
An expiry is postponed for the same time.
"""

NO_RESULT_TIMEOUT = timedelta(hours=1)
"""How long a report waits for confirmation while the provider answers that it has no result; then
it counts, too.

That answer refutes nothing: the results may not be published yet, or not be available in the
customer's language or with its rights; no vendor documents it. The report came with a secret that
only the provider knows, so it is trusted, and HR must not wait for it until the deadline. An hour
gives the provider time to confirm it, and a later answer still corrects the report: the provider is
asked again, and the ATS is notified of a change.
"""

STARTED_GRACE = timedelta(days=1)
"""How long after the deadline a test that was started in time may still be finished."""

REPEAT_WINDOW = timedelta(seconds=5)
"""The same report again within this time changes nothing: its check is under way."""

LATE_WINDOW = timedelta(days=1)
"""How long after an expiry, a completion or a later report the bridge itself asks the provider.
Reports are accepted for ever.
"""

READ_CHECK_PAUSE = timedelta(minutes=1)
"""The shortest time between two checks of an open invitation that reads of the ATS cause."""

EARLY_EVENT_LIFE = timedelta(minutes=10)
"""How long a provider's event is kept for an application that belongs to no record yet."""

SEEN_EVENT_LIFE = timedelta(days=4)
"""How long a repeated event is recognised: longer than a sender's retry plan of three days."""

MIN_CHECK_DELAY = timedelta(seconds=1)
"""The shortest pause between two checks of an unconfirmed report, and before the first attempt to
anonymise.
"""

ANSWER_ARRIVES_WITHIN = timedelta(seconds=1)
"""How long after an id is issued the ATS has it for sure, so that it can be notified of it."""

CONFIRMATION_DELAY = timedelta(minutes=1)
"""How long after a report was accepted the provider is asked to confirm it."""


@dataclass(frozen=True, slots=True)
class LifecyclePolicy:
    """The settings of a customer that decisions depend on; the defaults apply to a removed
    customer.
    """

    link_life: timedelta = ProviderAccount().link_life
    """How long the candidate's link is valid, counted from the create."""
    poll_every: timedelta = ProviderAccount().poll_every
    """How often the provider is asked while no report comes in."""
    create_timeout: timedelta = timedelta(seconds=10)
    """After this time a create without a recorded outcome counts as unknown."""
    after_completed: RepeatAfterCompletion = RepeatAfterCompletion.NEW
    """What a repeated order gets after completion."""


def build_policy(customer: Customer) -> LifecyclePolicy:
    """The customer's settings as decisions need them."""
    access = customer.provider
    return LifecyclePolicy(
        link_life=access.link_life,
        poll_every=access.poll_every,
        create_timeout=access.timeout + CREATE_MARGIN,
        after_completed=customer.results.after_completed,
    )
