"""Where Equalture mails the candidate the link, softgarden sends a page that says so."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.flows.conftest import Bridge, Config


@pytest.fixture
def config(config: Config) -> Config:
    config.customers["acme"]["equalture"]["invitation_type"] = "email"
    return config


async def test_look_into_your_mail(bridge: Bridge) -> None:
    """The page asks the candidate to look into the mail, in German or English, and has no
    button; after the completion it says that the test is finished.
    """
    reply = await bridge.acme.invite("engineer")
    assert reply.status == 200
    an_id, url = reply.json["invitationId"], reply.json["testUrl"]
    assert url.startswith(f"{bridge.url}/start/{an_id}.")
    assert reply.json["deadline"]
    application = bridge.equalture.applications[bridge.created()]
    assert application.invitation_type == "email"
    for language, words in (
        ("en", "Please look into your mail"),
        ("de", "Bitte sehen Sie in Ihr E-Mail-Postfach"),
    ):
        for method in ("GET", "POST"):
            page = await bridge.ask(method, f"{url}?lang={language}")
            assert page.status == 200
            assert words in page.text
            assert "<form" not in page.text
    await bridge.equalture.complete(application.reference_id)
    result = await bridge.result(bridge.acme, an_id, "COMPLETED")
    assert result["result"]["score"]
    assert "the test is finished" in (await bridge.ask("GET", url)).text


async def test_expiry(bridge: Bridge) -> None:
    """After the deadline the page says that the time has run out, and softgarden hears of it."""
    reply = await bridge.acme.invite("engineer")
    an_id, url = reply.json["invitationId"], reply.json["testUrl"]
    await bridge.advance(timedelta(days=7, seconds=1))
    await bridge.result(bridge.acme, an_id, "EXPIRED")
    assert "has run out" in (await bridge.ask("GET", url)).text


async def test_others(bridge: Bridge) -> None:
    """A customer without the setting gets Equalture's link as before."""
    await bridge.initech.invite("job-4")
    application = bridge.equalture.applications[bridge.created()]
    assert application.invitation_type == "one_time_link"
