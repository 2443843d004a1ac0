"""Pages behind secret links: what a browser may do with them, and what hostile words cannot."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import pytest

from bridge.sandbox import BridgeReply
from tests.flows.conftest import Bridge, Config, Launch
from tests.security.conftest import completed

SCRIPT = "<script>alert('own3d')</script>"
HOSTILE = [
    SCRIPT,
    "\"><img src=x onerror=alert('own3d')>",
    "</table></main></body><svg/onload=alert(1)>",
    "{{ 12345 * 6789 }}{% import os %}${12345*6789}#{12345*6789}",
    '<!--#exec cmd="id"-->',
    "</style><style>*{display:none}</style>",
    "&lt;b&gt; <b>bold</b>",
    "\u202eevil\u2066 \ufeff \x00\x07\x1b[31m",
    ") Tj ET /JS (app.alert(1)) /S /JavaScript >> endobj",
]

TAGS = {
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "main",
    "h1",
    "h2",
    "p",
    "table",
    "tr",
    "th",
    "td",
    "a",
    "form",
}
TAGS |= {"b", "button", "code", "pre", "span", "div", "header", "nav", "footer", "section", "img"}
TAGS |= {"ul", "ol", "li", "dl", "dt", "dd", "h3", "h4", "bdi", "time", "details", "summary"}
TAGS |= {"svg", "g", "path", "circle", "rect", "text"}


class Seen(HTMLParser):
    """Every element and attribute of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note it."""
        self.tags.append((tag, dict(attrs)))


def private(reply: BridgeReply) -> None:
    """Assert what holds for every answer behind a link."""
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.headers["Referrer-Policy"] == "no-referrer"
    assert reply.headers["X-Robots-Tag"] == "noindex, nofollow"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert "Set-Cookie" not in reply.headers


def safe(reply: BridgeReply) -> Seen:
    """Assert what holds for every HTML page; gives what is on it."""
    private(reply)
    assert reply.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = dict(
        part.strip().partition(" ")[::2]
        for part in reply.headers["Content-Security-Policy"].split(";")
    )
    images = policy.pop("img-src", None)
    assert set(policy) == {"default-src", "style-src", "form-action", "frame-ancestors", "base-uri"}
    assert [policy[name] for name in ("default-src", "frame-ancestors", "base-uri")] == [
        "'none'"
    ] * 3
    assert "unsafe" not in reply.headers["Content-Security-Policy"]
    (style,) = re.findall(r"<style>(.*?)</style>", reply.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy["style-src"] == f"'sha256-{digest}'"
    seen = Seen(reply.text)
    assert {tag for tag, _ in seen.tags} <= TAGS
    sources = [attributes["src"] or "" for tag, attributes in seen.tags if tag == "img"]
    assert images == ("data:" if sources else None)
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    names = {name for tag, attributes in seen.tags if tag != "img" for name in attributes}
    assert not [
        name
        for name in names
        if name.startswith("on") or name in ("src", "style", "srcdoc", "action")
    ]
    return seen


def report(fit: str, words: list[str], results_url: str) -> str:
    """A result of Equalture's with any words in it."""
    traits = [
        {
            "trait_code": word,
            "trait_name": word,
            "trait_bucket_score": 3,
            "trait_bucket_description": word,
        }
        for word in words
    ]
    return json.dumps(
        {"fit": fit, "results_url": results_url, "scores": {}, "detailed_scores": traits}
    )


async def hostile(
    bridge: Bridge, results_url: str = "https://dashboard.example/1", words: list[str] = HOSTILE
) -> Any:
    """A completed invitation whose test, traits, descriptions and fit are hostile; what softgarden
    is told.
    """
    bridge.equalture.accounts["acme"].jobs["job-9"] = f"Assessment {SCRIPT}"
    bridge.equalture.fault("results", text=report(words[0], words, results_url))
    invited = await bridge.acme.invite("job-9")
    assert invited.status == 200
    assert await bridge.equalture.complete(bridge.created(), send_callback=False) == 0
    await bridge.ask(
        "PUT",
        bridge.callback_of(bridge.created()),
        data=report(words[0], words, results_url).encode(),
    )
    return (await bridge.result(bridge.acme, invited.json["invitationId"], "COMPLETED"))["result"]


async def test_every_page_is_locked_down(bridge: Bridge) -> None:
    """Pages and error pages alike: no script, no inline style but ours by digest, no frame, no
    cache, no referrer, no index.
    """
    an_id, result = await completed(bridge)
    landing = (await bridge.globex.invite("job-3")).json
    pending = (await bridge.acme.invite("engineer")).json["invitationId"]
    signer = bridge.runtime.signer
    urls = [
        result["resultUrl"],
        landing["testUrl"],
        signer.results_url(pending),
        signer.start_url(an_id),
    ]
    urls += ["/results/x", "/share/x", "/start/x", "/reports/x.pdf", "/share/%ff"]
    statuses = [(await bridge.ask("GET", url)).status for url in urls]
    assert statuses == [200] * 4 + [404] * 5
    for url in urls:
        safe(await bridge.ask("GET", url))
    safe(await bridge.ask("GET", "/docs"))
    bridge.equalture.fault("public_link", status=500)
    later = await bridge.ask("GET", result["shareUrl"])
    assert (later.status, later.headers["Retry-After"]) == (503, "10")
    safe(later)
    assert (await bridge.acme.delete(an_id)).status == 204
    for url in (result["resultUrl"], result["shareUrl"], result["reportUrl"]):
        gone = await bridge.ask("GET", url)
        assert gone.status == 410
        safe(gone)


async def test_form_leads_to_the_test_only(bridge: Bridge) -> None:
    """The landing page's form may end at the vendor's origin and nowhere else."""
    landing = (await bridge.globex.invite("job-3")).json
    page = await bridge.ask("GET", landing["testUrl"])
    assert (
        f"form-action 'self' {bridge.equalture.base_url};"
        in page.headers["Content-Security-Policy"]
    )
    forms = [attributes for tag, attributes in safe(page).tags if tag == "form"]
    assert forms == [{"method": "post"}]


async def test_share_leaks_nothing(bridge: Bridge) -> None:
    """A share is 302 with no-store and no-referrer, and so is the PDF private."""
    _, result = await completed(bridge)
    share = await bridge.ask("GET", result["shareUrl"])
    assert share.status == 302
    assert share.headers["Location"].startswith(bridge.equalture.base_url)
    private(share)
    pdf = await bridge.ask("GET", result["reportUrl"])
    assert pdf.headers["Content-Type"] == "application/pdf"
    private(pdf)


async def test_hostile_words_are_only_words(bridge: Bridge) -> None:
    """Markup, templates and control characters in whatever Equalture says are shown as text."""
    result = await hostile(bridge)
    page = await bridge.ask("GET", result["resultUrl"])
    assert page.status == 200
    seen = safe(page)
    assert "&lt;script&gt;alert(" in page.text
    assert "83810205" not in page.text
    assert len([tag for tag, _ in seen.tags if tag == "h3"]) == len(HOSTILE)
    assert not any(character in page.text for character in "\x00\x07\x1b\u202e\u2066")


async def test_hostile_words_in_the_landing_page(bridge: Bridge) -> None:
    """The name of a test on its landing page is text as well."""
    bridge.equalture.accounts["globex"].jobs["job-9"] = f"Assessment {SCRIPT}"
    invited = await bridge.globex.invite("job-9")
    page = await bridge.ask("GET", invited.json["testUrl"])
    safe(page)
    assert "&lt;script&gt;" in page.text


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        " javascript:alert(1)",
        "java\nscript:alert(1)",
        "JaVaScRiPt:alert(1)//https://x",
        "data:text/html,<script>alert(1)</script>",
        "vbscript:x",
        "//evil.example/x",
        "https://user@evil.example/x",
        'https://evil.example/" onclick="alert(1)',
        "https://evil.example/\r\nSet-Cookie: a=b",
        "https://",
        "https://a;script-src/x",
        "https://a,b/x",
        "https://a'/x",
    ],
)
@pytest.mark.parametrize("shown", ["report", "dashboard"])
async def test_hostile_dashboard_links(
    config: Config, launch: Launch, url: str, shown: str
) -> None:
    """A result link that is no plain https link is left out: of the page, and of what softgarden is
    told.
    """
    config.customers["acme"]["results"] = {"result_url": shown}
    bridge = await launch()
    result = await hostile(bridge, url, ["plain"])
    assert result["resultUrl"].startswith(bridge.url)
    page = await bridge.ask("GET", result["resultUrl"])
    hrefs = [attributes["href"] or "" for tag, attributes in safe(page).tags if tag == "a"]
    assert all(href.startswith(("?lang=", bridge.url)) for href in hrefs)
    assert url not in hrefs


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "https://x\r\nSet-Cookie: a=b", "https://u@evil.example/", "/x"]
)
async def test_hostile_links_of_equalture_are_not_followed(bridge: Bridge, url: str) -> None:
    """A public link or a test link that is no plain https link is never handed on."""
    _, result = await completed(bridge)
    bridge.equalture.fault(
        "public_link", text=json.dumps({"url": url, "ttl": "120", "ttl_units": "minutes"})
    )
    share = await bridge.ask("GET", result["shareUrl"])
    assert (share.status, "Location" in share.headers, "Set-Cookie" in share.headers) == (
        503,
        False,
        False,
    )
    bridge.equalture.fault(
        "create", text=json.dumps({"reference_id": "r-1", "assessment_url": url}), times=1
    )
    bridge.equalture.fault("anonymise", status=404)
    assert (await bridge.acme.invite("engineer", candidate_id="other")).status in (502, 504)
    await bridge.idle()


async def test_hostile_words_in_the_report(bridge: Bridge) -> None:
    """In the PDF, too, they are text: no script, no link, no action, no attachment."""
    result = await hostile(bridge)
    async with bridge.session.get(result["reportUrl"]) as response:
        assert response.status == 200
        raw = await response.read()
    unpacked = raw
    for stream in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", raw, re.DOTALL):
        try:
            unpacked += zlib.decompress(stream)
        except zlib.error:
            continue
    assert b"own3d" in unpacked
    outside = re.sub(rb"\((?:[^()\\]|\\.)*\)", b"()", unpacked)
    for word in (
        b"/JavaScript",
        b"/JS",
        b"/URI",
        b"/Launch",
        b"/EmbeddedFile",
        b"/OpenAction\n<<",
        b"/AA",
    ):
        assert word not in outside


async def test_hostile_words_for_softgarden(config: Config, launch: Launch) -> None:
    """The score is one short line without control characters, whatever Equalture says."""
    config.customers["acme"]["results"] = {"score": "{fit}"}
    bridge = await launch()
    result = await hostile(bridge, words=["high\r\nX: y\x00\x1b" + "z" * 5_000])
    assert len(result["score"]) <= 100
    assert result["score"].isprintable()


async def test_language_header_is_no_way_in(bridge: Bridge) -> None:
    """Whatever Accept-Language holds, the page is in one of our languages."""
    for value in ("de", "../../etc/passwd", SCRIPT, "x" * 4_000, "de\udce4", ";,;,;", "\u0130"):
        reply = await bridge.ask("GET", "/share/x", headers={"Accept-Language": value})
        assert reply.status == 404
        assert re.search(r'<html lang="(de|en)">', reply.text)
        assert "etc/passwd" not in reply.text


async def test_expired_page(bridge: Bridge) -> None:
    """The page of an expired invitation is locked down like the others."""
    invited = await bridge.acme.invite("engineer")
    await bridge.advance(timedelta(days=7, seconds=1))
    await bridge.result(bridge.acme, invited.json["invitationId"], "EXPIRED")
    page = await bridge.ask("GET", bridge.runtime.signer.results_url(invited.json["invitationId"]))
    safe(page)
    assert "Expired" in page.text
