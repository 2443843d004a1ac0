"""Reads an order as softgarden's page shows it in straight-line code.

The definition of an order is ``schemas.py: InviteSchema``. This accepts some of the bodies that it
accepts, with the same result, and leaves all others to it: whatever is unusual, or wrong and needs
a precise message.
"""

from __future__ import annotations

from bridge.core.assessment import Candidate, Order


def read_ordinary_order(body: object) -> Order | None:
    """The order in a body; None: ask the schema."""
    if type(body) is not dict or type(candidate := body.get("candidate")) is not dict:
        return None
    test_id = _read_line(body.get("testId"), 200)
    person = _read_line(candidate.get("id"), 200)
    first = _read_line(candidate.get("firstName"), 1000)
    last = _read_line(candidate.get("lastName"), 1000)
    email = _read_line(candidate.get("email"), 320)
    callback = body.get("callback")
    if not (test_id and person and first and last and email):
        return None
    if type(callback) is not str or not 1 <= len(callback) <= 2000:
        return None
    mailbox, _, host = email.partition("@")
    if not mailbox or not host or "@" in host or " " in email:
        return None
    return Order(test_id, Candidate(person, first, last, email), callback)


def _read_line(value: object, longest: int) -> str:
    """A text of one line; empty where it is not of the ordinary kind."""
    if type(value) is not str or len(value) > longest or not value.isprintable():
        return ""
    # Of white space, blanks alone are printable.
    return " ".join(value.split()) if " " in value else value
