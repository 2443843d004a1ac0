"""A customer's patterns, branding and interview guide, tried on sample results without Redis: by
what the daemon itself makes score, page and report with.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from datetime import datetime

from bridge.app.adapters import open_providers
from bridge.app.preview_samples import build_sample_results
from bridge.core.assessment import Result
from bridge.core.customers import Customer
from bridge.core.score import choose_score_pattern
from bridge.languages.language import choose_language
from bridge.report.renderer import ReportRenderer
from bridge.report.report_text import ReportOrder, write_report
from bridge.service.link_access import ResultLinks
from bridge.settings.daemon import DaemonSettings
from bridge.web.page_templates import PageTemplates
from bridge.web.result_pages import list_result_values


@dataclass(frozen=True, slots=True)
class ResultPreview:
    """What becomes of the sample of this *name*; no *score* where no pattern has all its values,
    no *report* where the customer wants none.
    """

    name: str
    pattern: str | None
    score: str | None
    page: str = field(repr=False)
    report: bytes | None = field(repr=False)


async def preview_results(
    settings: DaemonSettings, customer: Customer, now: datetime, language: str | None = None
) -> list[ResultPreview]:
    """Every sample; *language* is that of pages and reports, the customer's own if it is None.

    On a page the report is ``NAME.pdf``, beside it.
    """
    words = choose_language((language, customer.provider.locale))
    pages, renderer = PageTemplates("sheet.css"), ReportRenderer()
    wanted, life = customer.results, settings.limits.link_max_age or settings.retention
    end = now + min(life, settings.retention)
    share_url = f"{settings.public_url}/share/preview" if wanted.share else None
    previews = []
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(renderer.close)
        provider = (await stack.enter_async_context(open_providers(settings)))(customer).title
        for sample in build_sample_results(customer, words.code, now):
            links = ResultLinks(f"{sample.name}.pdf" if wanted.report else None, share_url, end)
            values = list_result_values(
                sample.invitation, customer, words, provider=provider, links=links
            )
            page = pages.branded_html("result.html", words, customer, values=values)
            order = ReportOrder(sample.invitation, customer.display, provider, end, wanted.guide)
            report = await renderer.render(write_report(order, words)) if wanted.report else None
            pattern, score = _choose_score(customer, sample.result)
            previews.append(ResultPreview(sample.name, pattern, score, page.text or "", report))
    return previews


def _choose_score(customer: Customer, result: Result) -> tuple[str | None, str | None]:
    patterns, locale = customer.results.score, customer.provider.locale
    return choose_score_pattern(patterns, result, locale) or (None, None)
