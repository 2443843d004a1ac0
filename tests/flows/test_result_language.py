"""Pages in the reader's language."""

from __future__ import annotations

from tests.flows.conftest import Bridge


async def test_traits_in_the_readers_language(bridge: Bridge) -> None:
    """A page that is asked for in another language asks the provider for its texts, and one in the
    customer's does not.
    """
    invited = (await bridge.acme.invite("engineer")).json
    await bridge.equalture.complete(bridge.created())
    url = (await bridge.result(bridge.acme, invited["invitationId"], "COMPLETED"))["result"][
        "resultUrl"
    ]
    await bridge.idle()
    before = len(bridge.equalture.calls("results"))
    assert (await bridge.ask("GET", url)).status == 200
    assert len(bridge.equalture.calls("results")) == before
    for _ in range(2):
        page = await bridge.ask("GET", f"{url}?lang=nl")
        assert (page.status, '<html lang="nl">' in page.text) == (200, True)
    assert len(bridge.equalture.calls("results")) == before + 1
