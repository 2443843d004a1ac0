"""Use case: the tests that HR can choose."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bridge.core import assessment_mapping
from bridge.core.assessment import Assessment, Job
from bridge.core.customers import AssessmentMapping, Customer
from bridge.errors import UnknownAssessment
from bridge.ports import JobSource


class JobVisibility(enum.StrEnum):
    """How a job appears in the ATS."""

    OFFERED = "offered"
    HIDDEN = "hidden"
    NOT_MAPPED = "not mapped"
    """Listed by the provider, but only mapped jobs are published."""
    NOT_LISTED = "not listed"
    """In the configuration, but the provider does not list it: unpublished, of another type, or a
    wrong id.
    """


@dataclass(frozen=True, slots=True)
class ComparedJob:
    """One job and its mapping; *test_id* None: it is not offered in the ATS."""

    test_id: str | None
    job_id: str
    name: str
    publication: JobVisibility


def compare_jobs_with_mapping(
    jobs: Iterable[Job], mapping: AssessmentMapping
) -> tuple[ComparedJob, ...]:
    """Every job that the provider lists, then those that only the configuration contains."""
    listed = {job.id: job for job in jobs}
    tests = {
        test.job_id: test
        for test in assessment_mapping.list_offered_assessments(listed.values(), mapping)
    }
    lines = []
    for job in listed.values():
        if (test := tests.get(job.id)) is not None:
            lines.append(ComparedJob(test.id, job.id, test.name, JobVisibility.OFFERED))
        else:
            hidden = job.id in mapping.hidden
            lines.append(
                ComparedJob(
                    None,
                    job.id,
                    job.name,
                    JobVisibility.HIDDEN if hidden else JobVisibility.NOT_MAPPED,
                )
            )
    for item in mapping.items:
        if item.job_id not in listed:
            lines.append(
                ComparedJob(item.id, item.job_id, item.name or "", JobVisibility.NOT_LISTED)
            )
    lines += [
        ComparedJob(None, job_id, "", JobVisibility.NOT_LISTED)
        for job_id in sorted(mapping.hidden - listed.keys())
    ]
    return tuple(lines)


@dataclass(frozen=True, slots=True)
class _MergedList:
    jobs: tuple[Job, ...]
    mapping: AssessmentMapping
    offered: tuple[Assessment, ...]
    by_id: Mapping[str, Assessment]


class OfferedAssessments:
    """The provider's jobs merged with the customer's mapping."""

    def __init__(self, jobs: JobSource) -> None:
        self._jobs = jobs
        self._merged: dict[str, _MergedList] = {}
        """The newest of each customer."""

    async def list(self, customer: Customer) -> tuple[Assessment, ...]:
        """The customer's tests; an older list while the provider is down; raises ``UpstreamError``
        if there is none.

        The very same tuple as long as neither the jobs nor the mapping have changed.
        """
        return (await self._merge(customer)).offered

    async def resolve(self, customer: Customer, test_id: str) -> Assessment:
        """The test that an order names; raises ``UnknownAssessment``.

        A mapped test needs no list, so it can be ordered while the list cannot be read. An unmapped
        one is refused only after a fresh list was read: it may have just been published.
        """
        test = assessment_mapping.find_mapped_assessment(customer.tests, test_id)
        if test is not None:
            return test
        if customer.tests.publish_unmapped and test_id not in customer.tests.hidden:
            for fresh in (False, True):
                offered = (await self._merge(customer, fresh=fresh)).by_id.get(test_id)
                if offered is not None:
                    return offered
        detail = (
            "This test is not offered: it is hidden, or the provider does not list it as a"
            " published assessment."
        )
        raise UnknownAssessment(detail, {"test_id": ["Unknown test."]})

    async def _merge(self, customer: Customer, *, fresh: bool = False) -> _MergedList:
        jobs, mapping = await self._jobs.list_jobs(customer, fresh=fresh), customer.tests
        merged = self._merged.get(customer.key)
        if merged is None or merged.jobs is not jobs or merged.mapping is not mapping:
            offered = assessment_mapping.list_offered_assessments(jobs, mapping)
            by_id = {test.id: test for test in reversed(offered)}  # of two the first
            merged = self._merged[customer.key] = _MergedList(jobs, mapping, offered, by_id)
        return merged
