"""``check --online``: every customer's account at Equalture is asked at once, and its jobs compared
with the mapping.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass

import click

from bridge import app
from bridge.core.assessment import Job
from bridge.core.customers import Customer
from bridge.errors import UpstreamContractBroken, UpstreamError, UpstreamRefused
from bridge.service.assessments import ComparedJob, JobVisibility, compare_jobs_with_mapping
from bridge.settings.customer_files import FOLDER
from bridge.settings.daemon import DaemonSettings
from bridge.settings.secret_sources import describe_secret_source

AT_ONCE = 32
"""Customers that are asked at the same time."""


ListJobs = Callable[[Customer], Awaitable[tuple[Job, ...]]]


@dataclass(frozen=True, slots=True)
class OnlineReport:
    """What Equalture said of a customer: *problems* have to be fixed, *notes* are for
    information.
    """

    customer: str
    url: str
    jobs: int | None
    offered: int | None
    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()


async def check_customers_online(
    settings: DaemonSettings, customers: Sequence[Customer]
) -> list[OnlineReport]:
    """The reports in the order of *customers*; on a terminal it is shown how far it has come."""
    turns, answered = asyncio.Semaphore(AT_ONCE), 0

    async def ask(jobs: ListJobs, customer: Customer) -> OnlineReport:
        nonlocal answered
        async with turns:
            report = await _ask(settings, jobs, customer)
        answered += 1
        _progress(answered, len(customers))
        return report

    async with app.open_providers(settings) as provider_of:
        asked = (
            ask(lambda customer: provider_of(customer).list_jobs(customer), one)
            for one in customers
        )
        return list(await asyncio.gather(*asked))


def print_online_reports(reports: Iterable[OnlineReport]) -> None:
    """One line for each customer, and one for each thing to see to."""
    for one in reports:
        if one.jobs is not None:
            fine = f"token fine, {one.jobs} job(s), {one.offered} test(s) offered."
            click.echo(f"{one.customer}: {fine}")
        for text in (*one.problems, *one.notes):
            click.echo(f"{one.customer}: {text}")


def convert_reports_to_json(reports: Iterable[OnlineReport]) -> list[dict[str, object]]:
    """The reports for ``--json``."""
    return [asdict(one) for one in reports]


async def _ask(settings: DaemonSettings, list_jobs: ListJobs, customer: Customer) -> OnlineReport:
    access = customer.provider
    url = f"{getattr(access, 'base_url', '')}"
    try:
        jobs = await list_jobs(customer)
    except UpstreamError as error:
        if error.operation == "token":
            url += f"{getattr(access, 'token_path', '')}"
        file = settings.config_dir / FOLDER / f"{customer.key}.yaml"
        source = describe_secret_source(file, os.environ, access.vendor, "client_secret")
        problem = f"{error}\n  asked:  {url}\n  as:     {_account(customer)}, secret from {source}"
        return OnlineReport(
            customer.key, url, None, None, (f"{problem}\n  remedy: {_remedy(error)}",)
        )
    compared = compare_jobs_with_mapping(jobs, customer.tests)
    offered = [job for job in compared if job.publication is JobVisibility.OFFERED]
    problems = tuple(_not_listed(compared))
    notes = tuple(_namesakes(offered))
    return OnlineReport(customer.key, url, len(jobs), len(offered), problems, notes)


def _account(customer: Customer) -> str:
    return f"client_id {getattr(customer.provider, 'client_id', '')}"


def _remedy(error: UpstreamError) -> str:
    if isinstance(error, UpstreamRefused) and error.status == 404:
        return "correct equalture.base_url or token_path: there is nothing at this address"
    if isinstance(error, UpstreamRefused):
        return (
            "correct client_id or the secret there; Equalture gives both, for the Open Assessment"
            " API of this customer"
        )
    if isinstance(error, UpstreamContractBroken):
        return "is equalture.base_url the address of the Open Assessment API? Ask Equalture"
    if error.status is None:
        return (
            "is equalture.base_url right, and may this machine reach it (firewall, `proxy`)? Else"
            " Equalture does not answer; try later"
        )
    return "Equalture is in trouble; try later, and ask your contact there if it lasts"


def _not_listed(compared: Iterable[ComparedJob]) -> Iterator[str]:
    for job in compared:
        if job.publication is not JobVisibility.NOT_LISTED:
            continue
        if job.test_id:
            yield (
                f"test {job.test_id}: job {job.job_id} is not listed by Equalture;"
                " publish it there as type assessment, or correct job_id."
            )
        else:
            yield (
                f"tests.hidden: job {job.job_id} is not listed by Equalture, so it hides nothing;"
                " correct it, or take it out."
            )


def _namesakes(offered: Iterable[ComparedJob]) -> Iterator[str]:
    """HR sees names only."""
    by_name: dict[str, list[str]] = defaultdict(list)
    for job in offered:
        by_name[job.name].append(job.job_id)
    for name, ids in by_name.items():
        if len(ids) > 1:
            yield (
                f"{len(ids)} tests are called {name!r}, and HR cannot tell them apart: jobs"
                f" {', '.join(ids)}. Give each a name under tests.items, or hide one."
            )


def _progress(answered: int, of: int) -> None:
    if sys.stderr.isatty() and of > 1:
        end = "\r\x1b[K" if answered == of else ""
        click.echo(f"\r{answered} of {of} customers asked{end}", nl=False, err=True)
