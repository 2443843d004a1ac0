"""Bugs about changes of customers' secrets and settings; see ``planted_bugs.py``."""

from __future__ import annotations

from typing import Final

from tests.simulation.planting import build_bug

CUSTOMER_BUGS: Final = (
    build_bug(
        "of a customer's tokens only the first counts",
        (
            "core/customers.py",
            "            for digest in customer.ats.tokens_sha256\n        }\n\n    def get",
            "            for digest in customer.ats.tokens_sha256[:1]\n        }\n\n    def get",
        ),
    ),
    build_bug(
        "a token that was taken out still counts",
        (
            "core/customers.py",
            "        customer = self._by_digest.get(digest)\n",
            "        customer = self._by_digest.get(digest) or _EVER.get(digest)\n"
            "        _EVER[digest] = customer\n",
        ),
        (
            "core/customers.py",
            "\nclass CustomerDirectory:",
            "\n_EVER = {}\n\n\nclass CustomerDirectory:",
        ),
    ),
    build_bug(
        "a changed client secret counts after a restart only",
        (
            "equalture/tokens.py",
            "if slot is None or (slot.access is not access and slot.access != access):",
            "if slot is None:",
        ),
        (
            "equalture/tokens.py",
            "        access = get_account(customer)\n        # Assumption",
            "        access = slot.access\n        # Assumption",
        ),
    ),
    build_bug(
        "a deadline follows the setting",
        (
            "core/lifecycle/timing.py",
            "return invitation.deadline or invitation.attempts",
            "return invitation.attempts",
        ),
    ),
)
