"""The pages of a running bridge in Debian's Chromium, which Playwright drives."""

from __future__ import annotations

import shutil
import struct
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, async_playwright

from bridge.core.invitation import Transition
from tests.browser.sample_records import records, start_records
from tests.flows.conftest import (  # noqa: F401 - fixtures are found by their names here
    Bridge,
    Config,
    Launch,
    clock,
    config,
    equalture,
    journal,
    launch,
    redis_server,
    softgarden,
)

PICTURES = Path(__file__).parents[2] / "build" / "pictures"
"""Where screenshots are left for people."""
REQUEST_ID = "0123456789abcdef0123456789abcdef"
QUESTION = "Tell us about work that needed your whole attention. What helped you?"
"""For the one trait of the good result that is outside of its range."""
THEMES = ("light", "dark")
WIDTHS = {"wide": 1280, "narrow": 390}


def plain_png(width: int, height: int, colour: bytes) -> bytes:
    """A PNG of one colour."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress((b"\0" + colour * width) * height)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


@pytest.fixture
async def pages(config: Config, launch: Launch) -> dict[str, str]:  # noqa: F811
    """The address of each page, as "de/good": acme speaks German and has a name, globex English, a
    logo and questions for the interview.
    """
    config.customers["acme"]["equalture"]["locale"] = "de"
    config.customers["acme"]["display"] = {
        "name": "ACME GmbH",
        "contact": "jobs@acme.example",
        "privacy_url": "https://acme.example/privacy",
    }
    for name in ("acme", "globex"):
        config.customers[name]["results"] = {"share_fallback": True}
    config.customers["globex"]["display"] = {"name": "Globex", "logo": "globex.png"}
    guide = {"interview_guide": True, "interview_questions": "questions.yaml"}
    config.customers["globex"].setdefault("results", {}).update(guide)
    config.folder.mkdir(exist_ok=True)
    (config.folder / "questions.yaml").write_text(f"focus: {{en: '{QUESTION}'}}\n")
    (config.folder / "globex.png").write_bytes(plain_png(120, 36, b"\x1f\x5e\xff"))
    bridge = await launch()
    bridge.equalture.fault("results", status=503)  # where texts in other languages are asked for
    bridge.equalture.fault("public_link", status=503)
    found = {}
    for customer, lang in (("acme", "de"), ("globex", "en")):
        for name, one in records(customer, lang).items():
            assert await bridge.runtime.invitations.commit(Transition(one))
            found[f"{lang}/{name}"] = bridge.runtime.signer.results_url(one.id)
        for name, one in start_records(customer, lang).items():
            assert await bridge.runtime.invitations.commit(Transition(one))
            found[f"{lang}/{name}"] = bridge.runtime.signer.start_url(one.id)
        good = records(customer, lang)["good"]
        found[f"{lang}/shared"] = bridge.runtime.signer.share_url(good.id)
        found[f"{lang}/erased"] += f"?lang={lang}"  # whose language it was is forgotten
        found[f"{lang}/unknown"] = f"{bridge.url}/results/x?lang={lang}"
        found[f"{lang}/start-unknown"] = f"{bridge.url}/start/x?lang={lang}"
    found["en/docs"] = f"{bridge.url}/docs"
    found["en/status"] = f"{bridge.admin_url}/?refresh=off"
    return found


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Debian's Chromium, without a window."""
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        yield chromium
        await chromium.close()


async def open_page(browser: Browser, url: str, width: str = "wide", theme: str = "light") -> Page:
    """A page as it is first seen."""
    page = await browser.new_page(
        viewport={"width": WIDTHS[width], "height": 900},
        color_scheme="dark" if theme == "dark" else "light",
        locale="de-DE",
        extra_http_headers={"X-Request-ID": REQUEST_ID},
    )
    await page.goto(url)
    return page
