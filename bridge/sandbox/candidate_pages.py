"""The pages that people see at the Equalture fake: the candidate's test, and the result behind a
public link.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING

from aiohttp import web

from bridge.sandbox.accounts import Account, Application
from bridge.sandbox.fake_vendor import ENTRY, Route
from bridge.sandbox.sample_results import TRAITS, SampleTrait

if TYPE_CHECKING:
    from bridge.sandbox.equalture_fake import EqualtureSandbox

VISITORS = {
    "assessment_page": "candidate",
    "assessment_finish": "candidate",
    "public_page": "colleague",
}
_LINK = "/{language}/assessments/{number}/token/{token}"


class CandidatePages:
    """The three pages, over the sandbox's state."""

    def __init__(self, sandbox: EqualtureSandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> Iterable[Route]:
        """The paths of the pages."""
        return (
            ("assessment_page", "GET", _LINK, self._assessment_page),
            ("assessment_finish", "POST", _LINK, self._assessment_finish),
            ("public_page", "GET", "/{language}/public/{token}", self._public_page),
        )

    async def _assessment_page(self, request: web.Request) -> web.Response:
        application = self._sandbox.links.get(request.match_info["token"])
        if application is None:
            return _gone("This link is not known, or the application was deleted.")
        account = _note(request, self._sandbox, application)
        if application.done:
            return _gone("The test is finished.")
        expires = application.created_at + account.link_life
        over = self._sandbox.clock() >= expires and application.state == "invited"
        if application.link_ended or over:
            return _gone("This link has expired.")
        if account.link_opens is not None and application.opened >= account.link_opens:
            return _gone("This link has been used.")
        application.opened += 1
        await self._sandbox.start_test(application.reference_id)
        return _page(
            "Assessment",
            f"<p>Hello {escape(application.first_name)}, this plays Equalture's test for "
            f"<b>{escape(application.job_name)}</b>.</p>"
            '<form method="post"><label>Fit '
            '<select name="fit"><option>high<option>medium<option>low</select></label> '
            '<button type="submit">Finish the test</button></form>',
        )

    async def _assessment_finish(self, request: web.Request) -> web.Response:
        application = self._sandbox.links.get(request.match_info["token"])
        if application is None or application.state != "started":
            return _gone("There is no test to finish here.")
        _note(request, self._sandbox, application)
        fit = str((await request.post()).get("fit", "high"))
        status = await self._sandbox.complete(application.reference_id, fit=fit)
        outcome = f"answered {status}" if status else "could not be reached"
        return _page("Thank you", f"<p>The test is finished. The callback {outcome}.</p>")

    async def _public_page(self, request: web.Request) -> web.Response:
        link = self._sandbox.public_links.get(request.match_info["token"])
        if link is None or self._sandbox.clock() >= link.expires or not link.application.done:
            return _gone("This link has expired.")
        application = link.application
        _note(request, self._sandbox, application)
        rows = "".join(
            _row(trait, link.language, application.scores[trait.code]) for trait in TRAITS
        )
        fit = f"<p>Fit: <b>{escape(application.fit)}</b></p>" if application.fit else ""
        name = escape(f"{application.first_name} {application.last_name}")
        content = f"<p>{escape(application.job_name)}</p>{fit}<table>{rows}</table>"
        return _page(f"Result of {name}", content)


def _note(request: web.Request, sandbox: EqualtureSandbox, application: Application) -> Account:
    """Note in the ledger which customer and application the call is about."""
    entry = request[ENTRY]
    entry.account, entry.reference_id = application.account, application.reference_id
    return sandbox.accounts[application.account]


def _row(trait: SampleTrait, language: str, score: int) -> str:
    name, words = trait.names[language], trait.buckets[language][score - 1]
    return f"<tr><td>{escape(name)}</td><td>{score} / 5</td><td>{escape(words)}</td></tr>"


def _gone(text: str) -> web.Response:
    return _page("Link no longer valid", f"<p>{escape(text)}</p>", 410)


def _page(title: str, content: str, status: int = 200) -> web.Response:
    html = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{title} - Equalture sandbox</title>"
        '<body style="font-family: sans-serif; max-width: 40rem; margin: 3rem auto">'
        f"<h1>{title}</h1>{content}"
        "<p><small>Equalture sandbox: nothing here is real.</small></p></body></html>"
    )
    return web.Response(
        text=html, status=status, content_type="text/html", headers={"Cache-Control": "no-store"}
    )
