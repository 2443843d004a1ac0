from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from bridge.core.assessment import Job
from bridge.core.customers import Customer, Secret
from bridge.errors import (
    UpstreamContractBroken,
    UpstreamError,
    UpstreamRefused,
    UpstreamUnavailable,
)
from bridge.service.assessments import OfferedAssessments
from bridge.service.job_cache import JobCache
from bridge.softgarden.schemas import AnswerFormat
from bridge.softgarden.settings import AssessmentListFormat
from tests.service.fakes import ACME


class Provider:
    """Numbers its lists; can be down, and can be held."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.asked = 0
        self.error: UpstreamError | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def list_jobs(self, customer: Customer) -> tuple[Job, ...]:
        self.asked += 1
        count = self.asked
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return (Job(str(count), customer.key),)

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(name)


@pytest.fixture
async def provider() -> Provider:
    """A provider in memory."""
    return Provider()


@pytest.fixture
def customer() -> Customer:
    """Whose jobs they are."""
    return ACME


@pytest.fixture
async def cache(provider: Provider) -> JobCache:
    """A cache over it, by its clock."""
    return JobCache(lambda _: provider, monotonic=lambda: provider.now)


def ids(jobs: tuple[Job, ...]) -> list[str]:
    return [job.id for job in jobs]


async def test_life(provider: Provider, cache: JobCache, customer: Customer) -> None:
    """A list is given again for two seconds, and asked for anew then."""
    assert ids(await cache.list_jobs(customer)) == ["1"]
    provider.now += 1.999
    assert ids(await cache.list_jobs(customer)) == ["1"]
    provider.now += 0.001
    assert ids(await cache.list_jobs(customer)) == ["2"]


async def test_no_life(provider: Provider, customer: Customer) -> None:
    """With a life of nothing every call asks."""
    cache = JobCache(
        lambda _: provider,
        life=timedelta(0),
        stale_limit=timedelta(0),
        monotonic=lambda: provider.now,
    )
    assert [ids(await cache.list_jobs(customer)) for _ in range(2)] == [["1"], ["2"]]
    provider.error = UpstreamUnavailable("equalture", "jobs", "no answer")
    with pytest.raises(UpstreamUnavailable):
        await cache.list_jobs(customer)


async def test_fresh(provider: Provider, cache: JobCache, customer: Customer) -> None:
    """Fresh means asked now, and what was learnt serves the others."""
    await cache.list_jobs(customer)
    assert ids(await cache.list_jobs(customer, fresh=True)) == ["2"]
    assert ids(await cache.list_jobs(customer)) == ["2"]


@pytest.mark.parametrize("kind", [UpstreamUnavailable, UpstreamRefused, UpstreamContractBroken])
@pytest.mark.parametrize("fresh", [False, True])
async def test_stale(
    provider: Provider,
    cache: JobCache,
    customer: Customer,
    kind: type[UpstreamError],
    fresh: bool,
) -> None:
    """While the provider fails the last good list is served, for a day, and one log line says so
    each time.
    """
    await cache.list_jobs(customer)
    provider.error = kind("equalture", "jobs", "no")
    provider.now += 24 * 3600 - 1
    with capture_logs() as lines:
        assert ids(await cache.list_jobs(customer, fresh=fresh)) == ["1"]
    assert [(line["event"], line["customer"], line["age_s"], line["error"]) for line in lines] == [
        ("catalogue.stale_served", "acme", 86399, kind.code)
    ]
    provider.now += 1
    with pytest.raises(kind):
        await cache.list_jobs(customer, fresh=fresh)


async def test_recovery(provider: Provider, cache: JobCache, customer: Customer) -> None:
    """A stale list does not count as a new one: the first call after an outage asks again."""
    await cache.list_jobs(customer)
    provider.now += 60
    provider.error = UpstreamUnavailable("equalture", "jobs", "no answer")
    await cache.list_jobs(customer)
    provider.error = None
    assert ids(await cache.list_jobs(customer)) == ["3"]


async def test_nothing_to_serve(provider: Provider, cache: JobCache, customer: Customer) -> None:
    """Without an earlier list the error is the answer, and it is not remembered."""
    provider.error = UpstreamUnavailable("equalture", "jobs", "no answer")
    with pytest.raises(UpstreamUnavailable):
        await cache.list_jobs(customer)
    provider.error = None
    assert ids(await cache.list_jobs(customer)) == ["2"]


async def test_single_flight(provider: Provider, cache: JobCache, customer: Customer) -> None:
    """Two hundred callers at once, fresh or not, make one request, and one who gives up does not
    spoil it.
    """
    provider.gate.clear()
    callers = [
        asyncio.create_task(cache.list_jobs(customer, fresh=bool(i % 2))) for i in range(200)
    ]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    callers[0].cancel()
    await asyncio.sleep(0)
    provider.gate.set()
    first, *others = await asyncio.gather(*callers, return_exceptions=True)
    assert isinstance(first, asyncio.CancelledError)
    assert others == [(Job("1", "acme"),)] * 199
    assert provider.asked == 1


async def test_failure_reaches_all(provider: Provider, cache: JobCache, customer: Customer) -> None:
    """Those who shared a request share its failure."""
    provider.error = UpstreamRefused("equalture", "jobs", "no")
    provider.gate.clear()
    callers = [asyncio.create_task(cache.list_jobs(customer)) for _ in range(3)]
    await asyncio.sleep(0)
    provider.gate.set()
    assert [type(one) for one in await asyncio.gather(*callers, return_exceptions=True)] == [
        UpstreamRefused
    ] * 3


async def test_accounts_never_mix(provider: Provider, cache: JobCache, customer: Customer) -> None:
    """After a change of the account the old account's jobs are shown to nobody, not even in an
    outage.
    """
    await cache.list_jobs(customer)
    provider.error = UpstreamUnavailable("equalture", "jobs", "no answer")
    for change in (
        {"client_id": "b"},
        {"client_secret": Secret("b")},
        {"base_url": "http://b"},
        {"token_path": "/b"},
    ):
        changed = replace(customer, provider=replace(customer.provider, **change))  # type: ignore[arg-type]
        with pytest.raises(UpstreamUnavailable):
            await cache.list_jobs(changed)


async def test_list_is_merged_anew_when_it_changes(provider: Provider, cache: JobCache) -> None:
    """The offered tests are the same tuple until the jobs or the customer's mapping change, and
    then those of both.
    """
    offered = OfferedAssessments(cache)
    first = await offered.list(ACME)
    assert [test.id for test in first] == ["1"]
    assert await offered.list(ACME) is first
    hidden = replace(ACME, tests=replace(ACME.tests, hidden=frozenset({"1"})))
    assert await offered.list(hidden) == ()
    assert await offered.list(ACME) == first
    provider.now += 2
    assert [test.id for test in await offered.list(ACME)] == ["2"]
    other = replace(ACME, key="globex")
    assert [test.name for test in await offered.list(other)] == ["globex"]


async def test_rendered_list_is_the_given_one(provider: Provider, cache: JobCache) -> None:
    """What softgarden gets is the list that is offered to this customer now."""
    wire, offered = AnswerFormat(AssessmentListFormat()), OfferedAssessments(cache)
    for _ in range(3):
        for key in ("acme", "globex"):
            tests = await offered.list(replace(ACME, key=key))
            body = wire.render_tests(key, tests)
            assert json.loads(body) == wire.tests(tests)
            assert wire.render_tests(key, tests) is body
        provider.now += 2
