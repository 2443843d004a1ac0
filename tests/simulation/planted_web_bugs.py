"""Bugs about webhooks and the pages behind links; see ``planted_bugs.py``."""

from __future__ import annotations

from typing import Final

from tests.simulation.planting import build_bug

COMPLETION, EVENTS = "core/lifecycle/completion.py", "service/provider_events.py"

WEB_BUGS: Final = (
    build_bug(
        "a webhook counts as seen before it is applied",
        (
            EVENTS,
            "            give_up_at = self._records.monotonic() + _RECORDED_WITHIN_S\n",
            "            await self._references.mark_event_seen("
            "customer.key, event_id, life=SEEN_EVENT_LIFE)\n"
            "            give_up_at = self._records.monotonic() + _RECORDED_WITHIN_S\n",
        ),
        troubles=("a part of Redis refuses connections",),
    ),
    build_bug(
        "a webhook that comes too early is forgotten",
        (
            EVENTS,
            "if added.word is not None and customer",
            "if False and customer",
        ),
    ),
    build_bug(
        "the landing page leads on after the end",
        (
            "service/link_access.py",
            "url = invitation.assessment_url if leads_on else None",
            "url = invitation.assessment_url",
        ),
    ),
    build_bug(
        "a scanner of mail uses the candidate's link up",
        ("web/start_pages.py", "if not _may_be_our_button(request):", "if False:"),
    ),
    build_bug(
        "links of a deleted candidate lead on",
        (
            "service/link_access.py",
            "if invitation.state is State.ERASED:\n            raise InvitationGone",
            "if invitation is None:\n            raise InvitationGone",
        ),
    ),
    build_bug(
        "a start that was reported gives no grace",
        ("core/lifecycle/timing.py", "dies_at + STARTED_GRACE if", "dies_at if"),
    ),
    build_bug(
        "a start that is reported late sets back what has ended",
        (
            COMPLETION,
            "    if invitation.state is not State.INVITED:\n        return Transition(invitation)\n"
            "    started",
            "    if invitation.started_at is not None or invitation.state is State.ERASED:\n"
            "        return Transition(invitation)\n"
            "    started",
        ),
    ),
    build_bug(
        "a webhook signed with any secret is taken",
        (
            "webhook_signature.py",
            "    if not any(hmac.compare_digest(wanted, one) for one in delivery.signatures):\n",
            "    if not any(len(wanted) == len(one) for one in delivery.signatures):\n",
        ),
    ),
    build_bug(
        "a webhook that says done is taken for a start",
        (EVENTS, "if word == FINISHED\n", "if word == FINISHED and at is not None\n"),
    ),
)
