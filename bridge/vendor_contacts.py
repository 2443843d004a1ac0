"""When each vendor was last heard of, and who does not answer: what this process remembers of its
calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from bridge.ports import Clock

_UNAUTHORIZED = 401
_FIRST_ERROR = 400
Contact = tuple[str, str]
"""A customer's key and a vendor's name."""


@dataclass(frozen=True, slots=True)
class OpenCircuit:
    """A vendor that does not answer on behalf of this customer, so it is hardly asked."""

    vendor: str
    customer: str
    purpose: str
    since: datetime


class VendorContacts:
    """Grows with the customers only."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heard: dict[Contact, datetime] = {}
        self._unsaved: dict[Contact, datetime] = {}
        self._refused_at: dict[Contact, datetime] = {}
        self._accepted_at: dict[Contact, datetime] = {}
        self._open: dict[tuple[str, str, str], OpenCircuit] = {}

    def record_request(self, vendor: str, customer: str) -> None:
        """A vendor called us with what we know it by."""
        contact = (customer, vendor)
        self._heard[contact] = self._unsaved[contact] = self._clock()

    def record_answer(self, vendor: str, customer: str, status: int) -> None:
        """A vendor answered us."""
        contact, now = (customer, vendor), self._clock()
        self._heard[contact] = self._unsaved[contact] = now
        if status == _UNAUTHORIZED:
            self._refused_at[contact] = now
        elif status < _FIRST_ERROR:
            self._accepted_at[contact] = now

    def record_circuit_opened(self, vendor: str, customer: str, purpose: str) -> None:
        """A vendor is hardly asked any more, since it does not answer."""
        key = (vendor, customer, purpose)
        self._open[key] = OpenCircuit(*key, self._clock())

    def record_circuit_closed(self, vendor: str, customer: str, purpose: str) -> None:
        """It is asked again; also fine where it always was."""
        self._open.pop((vendor, customer, purpose), None)

    def list_open_circuits(self) -> list[OpenCircuit]:
        """Who does not answer, longest first."""
        return sorted(self._open.values(), key=lambda one: one.since)

    def get_last_contacts(self) -> dict[Contact, datetime]:
        """When each vendor was last heard of each customer's account."""
        return dict(self._heard)

    def get_refusal_times(self) -> dict[Contact, datetime]:
        """When a vendor last did not accept a customer's credentials."""
        return dict(self._refused_at)

    def get_acceptance_times(self) -> dict[Contact, datetime]:
        """When a vendor last did what it was asked with a customer's credentials."""
        return dict(self._accepted_at)

    def take_unsaved_contacts(self) -> dict[Contact, datetime]:
        """As ``get_last_contacts``, of what is newer than when this was last asked."""
        taken, self._unsaved = self._unsaved, {}
        return taken

    def put_back_contacts(self, taken: Mapping[Contact, datetime]) -> None:
        """They could not be kept: ``take_unsaved_contacts`` returns them again."""
        self._unsaved = {**taken, **self._unsaved}
