"""Maps the provider's jobs to the assessments that the customer offers."""

from __future__ import annotations

from collections.abc import Iterable

from bridge.core.assessment import Assessment, Job
from bridge.core.customers import AssessmentMapping


def list_offered_assessments(
    jobs: Iterable[Job], mapping: AssessmentMapping
) -> tuple[Assessment, ...]:
    """The assessments that the ATS shows: mapped jobs under their own id and name, others as they
    are, hidden ones not at all.

    A mapped job that the provider does not list (unpublished, or not of type "assessment") is left
    out: an invitation to it would fail.
    """
    items = {item.job_id: item for item in mapping.items}
    tests = []
    for job in jobs:
        item = items.get(job.id)
        if item is not None:
            tests.append(
                Assessment(item.id, job.id, item.name or job.name, item.description, item.duration)
            )
        elif mapping.publish_unmapped and job.id not in mapping.hidden:
            tests.append(Assessment(job.id, job.id, job.name))
    return tuple(tests)


def find_mapped_assessment(mapping: AssessmentMapping, test_id: str) -> Assessment | None:
    """The test of a mapping line, known without asking the provider; a mapped job's own id means
    the same test.
    """
    for item in mapping.items:
        if test_id in (item.id, item.job_id):
            return Assessment(
                item.id, item.job_id, item.name or item.id, item.description, item.duration
            )
    return None
