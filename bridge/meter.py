"""The interface for counting what happens; nothing here knows how the numbers are kept.

Every label is bounded: a customer's key, a route's template, a word of the bridge. Never an id, a
URL or a person.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Protocol

from bridge.errors import BridgeError

CALL_OUTCOMES = (
    *("ok", "unauthorized", "refused", "unavailable", "failed"),
    *("no_answer", "cancelled"),
)
"""The outcomes of a request to a vendor; see ``classify_call_status``."""
INVITATION_OUTCOMES = (
    *("created", "repeated", "completed", "expired", "erased"),
    *("upstream_refused", "upstream_unavailable", "outcome_unknown", "upstream_broken"),
    *("unknown_test", "callback_not_allowed", "busy", "store_unavailable"),
)
"""``created``, ``repeated`` (an open one is returned) or an error's code for each order; and the
end of an invitation.
"""
CALLBACK_OUTCOMES = ("accepted", "unreadable", "customer_set_aside", "busy", "store_unavailable")
"""``accepted``: it is kept; ``unreadable``: the truth is asked for; else an error's code."""
STRANGER = "unknown"
"""The customer of a callback whose URL belongs to no customer."""
STRANGERS_OUTCOMES = ("unknown_invitation", "store_unavailable")
NOTIFICATION_OUTCOMES = (
    *("delivered", "rejected", "unauthorized", "http_3xx", "http_4xx", "http_5xx"),
    *("upstream_unavailable", "outcome_unknown", "callback_not_allowed"),
)
"""How the ATS answered, or an error's code; what did not go out is no notification."""


class Meter(Protocol):
    """Told of everything that is counted; must neither fail nor wait."""

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """A request was answered; *route* is its template."""

    def call(self, vendor: str, operation: str, outcome: str, seconds: float) -> None:
        """A request to a vendor has ended; *outcome* is one of ``CALL_OUTCOMES``."""

    def invitation(self, customer: str, outcome: str) -> None:
        """An order was answered, or an invitation has come to an end."""

    def callback(self, customer: str, outcome: str) -> None:
        """A callback was answered."""

    def notification(self, customer: str, outcome: str) -> None:
        """A notification was sent, or must not be."""

    def result_notified(self, customer: str, seconds: float) -> None:
        """The ATS knows of a result, so long after that was first known here."""

    def contract_change(self, vendor: str, operation: str) -> None:
        """A vendor sent something of a shape that was never seen before."""


class NoMeter:
    """Counts nothing: for commands, which have no metrics."""

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Not counted."""

    def call(self, vendor: str, operation: str, outcome: str, seconds: float) -> None:
        """Not counted."""

    def invitation(self, customer: str, outcome: str) -> None:
        """Not counted."""

    def callback(self, customer: str, outcome: str) -> None:
        """Not counted."""

    def notification(self, customer: str, outcome: str) -> None:
        """Not counted."""

    def result_notified(self, customer: str, seconds: float) -> None:
        """Not counted."""

    def contract_change(self, vendor: str, operation: str) -> None:
        """Not counted."""


NO_METER = NoMeter()


def classify_call_status(status: int) -> str:
    """What an answer with this status is counted as."""
    if 200 <= status < 300:
        return "ok"
    if status == 401:
        return "unauthorized"
    if status in (429, 503):
        return "unavailable"
    return "failed" if status >= 500 else "refused"


def choose_notification_label(outcome: str) -> str:
    """The outcome of a notification as it is counted: ``http_404`` is one of ``http_4xx``."""
    return f"{outcome[:6]}xx" if outcome.startswith("http_") else outcome


@contextlib.contextmanager
def count_callback_errors(meter: Meter, customer: str) -> Iterator[None]:
    """Count a callback that ends in an error of ours by its code."""
    try:
        yield
    except BridgeError as error:
        meter.callback(customer, get_error_code(error))
        raise


def get_error_code(error: BridgeError) -> str:
    """The error's stable code."""
    return getattr(error, "code", "error")
