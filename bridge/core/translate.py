"""From jobs to tests, and from what we know of an invitation to what softgarden is told."""

from __future__ import annotations

import string
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from bridge.core.customers import Customer, Mapping
from bridge.core.lifecycle import reference_of
from bridge.core.links import Links
from bridge.core.models import Invitation, Job, Result, State, Test

SCORE_LENGTH = 100
"""softgarden documents no limit; one line of this length fits every list we have seen."""

FIT_LABELS = {
    "en": {"low": "Low fit", "medium": "Medium fit", "high": "High fit"},
    "de": {"low": "Geringe Passung", "medium": "Mittlere Passung", "high": "Hohe Passung"},
}


def offered(jobs: Iterable[Job], mapping: Mapping) -> tuple[Test, ...]:
    """The tests that softgarden shows: mapped jobs under their own id and name, others as they are, hidden ones not at all.

    A mapped job that the provider does not list (unpublished, or not of type "assessment") is left out: an invitation to it
    would fail.
    """
    items = {item.job_id: item for item in mapping.items}
    tests = []
    for job in jobs:
        item = items.get(job.id)
        if item is not None:
            tests.append(Test(item.id, job.id, item.name or job.name, item.description, item.duration))
        elif mapping.publish_unmapped and job.id not in mapping.hidden:
            tests.append(Test(job.id, job.id, job.name))
    return tuple(tests)


def mapped(mapping: Mapping, test_id: str) -> Test | None:
    """The test of a mapping line, known without asking the provider; a mapped job's own id means the same test."""
    for item in mapping.items:
        if test_id in (item.id, item.job_id):
            return Test(item.id, item.job_id, item.name or item.id, item.description, item.duration)
    return None


@dataclass(frozen=True, slots=True)
class View:
    """What softgarden is told about an invitation; None leaves a field out."""

    status: str
    result_url: str = field(repr=False)
    completed_at: datetime | None = None
    expired_at: datetime | None = None
    report_url: str | None = field(default=None, repr=False)
    share_url: str | None = field(default=None, repr=False)
    score: str | None = None


def view(invitation: Invitation, customer: Customer, links: Links) -> View:
    """softgarden's three states (dev.softgarden.de/assessment-api/get-test-results); ``result`` is there in every one.

    ``resultUrl`` is the bridge's page, the same in every state; with ``result_url: dashboard`` Equalture's once completed.
    """
    page = links.results(invitation.id)
    if invitation.state is State.COMPLETED and invitation.result is not None:
        result, policy = invitation.result, customer.results
        score, dashboard = shown(result, customer)
        return View(
            status="COMPLETED",
            completed_at=invitation.completed_at,
            result_url=dashboard or page,
            report_url=links.report(invitation.id) if policy.report else None,
            share_url=links.share(invitation.id) if policy.share and result_reference(invitation) else None,
            score=score,
        )
    if invitation.state is State.EXPIRED:
        return View(status="EXPIRED", expired_at=invitation.expired_at, result_url=page)
    return View(status="PENDING", result_url=page)


def shown(result: Result, customer: Customer) -> tuple[str | None, str | None]:
    """What softgarden shows of a result itself: the score, and Equalture's link where the customer wants that."""
    policy = customer.results
    dashboard = result.dashboard_url if policy.result_url == "dashboard" else None
    return score_text(policy.score, result, customer.equalture.locale), dashboard


def test_url(invitation: Invitation, customer: Customer, links: Links) -> str:
    """Where softgarden sends the candidate: the provider's link, or our landing page in front of it.

    Without a link (a lost create that was reported on all the same) it is the page, too: it says that the test is over.
    """
    landing = customer.test_url == "landing" or invitation.assessment_url is None
    return links.start(invitation.id) if landing else invitation.assessment_url or ""


def result_reference(invitation: Invitation) -> str | None:
    """The provider's id of the application that the result belongs to; None: not completed, or never learnt."""
    return reference_of(invitation) if invitation.state is State.COMPLETED else None


def score_text(patterns: Iterable[str], result: Result, locale: str) -> str | None:
    """The first pattern whose fields all have values, filled in: plain text on one short line.

    None where there is no such pattern, so that "None" is never shown as a score.
    """
    fields = score_fields(result, locale)
    for pattern in patterns:
        used = {name for _, name, _, _ in string.Formatter().parse(pattern) if name}
        values = {name: value for name in used if (value := fields.get(name)) is not None}
        if len(values) == len(used) and (text := _plain(pattern.format_map(values))):
            return text
    return None


def _plain(text: str) -> str:
    """*text* as softgarden may show it anywhere: one line, no markup, no control characters, cut to its length."""
    one_line = " ".join(text.split())
    kept = "".join(character for character in one_line if character.isprintable() and character not in "<>")
    return " ".join(kept.split())[:SCORE_LENGTH].strip()


def score_fields(result: Result, locale: str) -> dict[str, str | None]:
    """The fields of the score pattern as text.

    ``in_range``, ``match_percent``: traits whose score lies in the job profile's range, and their share; no value without a
    profile. ``traits``: those that have a profile, or all scored ones where none has. ``average``: mean score, one decimal.
    """
    scored = [trait for trait in result.traits if trait.score is not None]
    compared = [trait for trait in scored if trait.wanted]
    in_range = sum(trait.score in trait.wanted for trait in compared)
    total = len(compared) or len(scored)
    mean = sum(trait.score or 0 for trait in scored) / len(scored) if scored else None
    return {
        "fit": result.fit,
        "fit_label": _fit_label(result.fit, locale),
        "in_range": str(in_range) if compared else None,
        "traits": str(total) if total else None,
        "match_percent": str(round(100 * in_range / len(compared))) if compared else None,
        "average": f"{mean:.1f}" if mean is not None else None,
    }


def _fit_label(fit: str | None, locale: str) -> str | None:
    if fit is None:
        return None
    labels = FIT_LABELS.get(locale[:2].lower(), FIT_LABELS["en"])
    return labels.get(fit.lower(), fit)
