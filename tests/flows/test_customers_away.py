"""Customers whose file is missing or wrong: what their callers, recruiters and operators meet, and
that nothing is lost.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from bridge import app
from bridge.core.invitation import State
from tests.flows.conftest import CALLBACK_TOKEN, Bridge, Config, Launch

WEBHOOK = "whsec_" + base64.b64encode(bytes(32)).decode()
TOKEN = {"Authorization": f"Bearer {CALLBACK_TOKEN}"}


def refresh(bridge: Bridge, config: Config) -> None:
    """Put the files as they are now in force, as at a start: what cannot be used is set aside."""
    settings = bridge.runtime.settings
    bridge.runtime.customers.replace(app.CONFIGURATION.load_customers(settings, {})[0])


def path_of(url: str) -> str:
    parts = urlsplit(url)
    return parts.path + (f"?{parts.query}" if parts.query else "")


@pytest.fixture
async def opened(launch: Launch, config: Config) -> Bridge:
    """A bridge at which initech, whose callbacks need a token, has one finished and one open
    test.
    """
    config.customers["initech"]["test_url"] = "landing"
    config.customers["initech"]["equalture"]["webhook_secret"] = WEBHOOK
    return await launch()


class Story:
    """initech's two candidates."""

    def __init__(self, bridge: Bridge, finished: str, opened: str, urls: dict[str, str]) -> None:
        self.bridge, self.finished, self.open, self.urls = bridge, finished, opened, urls
        self.reference = bridge.created()

    async def callback(self, secret: str | None = None, **kwargs: object) -> int:
        url = self.bridge.callback_of(self.reference)
        url = url.rpartition("/")[0] + "/" + (secret or url.rpartition("/")[2])
        reply = await self.bridge.ask("PUT", url, data=b"{}", headers=kwargs.get("headers", TOKEN))
        if reply.status == 503:
            assert reply.json["code"] == "customer_set_aside"
            assert int(reply.headers["Retry-After"]) > 0
        return reply.status

    async def pages(self) -> dict[str, int]:
        replies = {
            name: await self.bridge.ask("GET", path_of(url)) for name, url in self.urls.items()
        }
        for reply in replies.values():
            assert (reply.status != 503) or int(reply.headers["Retry-After"]) > 0
        return {name: reply.status for name, reply in replies.items()}

    async def calls(self) -> set[int]:
        """What softgarden gets for each of its calls on behalf of initech."""
        client = self.bridge.initech
        replies = [
            await client.list_tests(),
            await client.invite("job-4", candidate_id="application-9"),
        ]
        replies += [await client.read_results(self.finished), await client.delete(self.finished)]
        for reply in replies:
            assert (reply.status != 503) or int(reply.headers["Retry-After"]) > 0
        return {reply.status for reply in replies}

    async def webhook(self) -> int:
        return (await self.bridge.ask("POST", "/equalture/webhooks/initech", data=b"{}")).status


async def begin(bridge: Bridge) -> Story:
    first = await bridge.initech.invite("job-4")
    finished = first.json["invitationId"]
    assert await bridge.equalture.complete(bridge.created()) == 200
    result = (await bridge.result(bridge.initech, finished, "COMPLETED"))["result"]
    second = await bridge.initech.invite("job-4", candidate_id="application-2")
    urls = {name: result[name] for name in ("resultUrl", "reportUrl", "shareUrl")}
    return Story(
        bridge, finished, second.json["invitationId"], urls | {"testUrl": second.json["testUrl"]}
    )


BREAKAGES: dict[str, Callable[[str], str]] = {
    "typo": lambda text: text.replace("client_secret:", "client_secert:"),
    "unset variable": lambda text: text.replace(
        "client_secret: client-secret-of-initech", 'client_secret: "${UNSET}"'
    ),
    "not YAML": lambda text: text + "\n}{",
    "secret file": lambda text: text.replace(
        "client_secret: client-secret-of-initech", "client_secret_file: /run/secrets/gone"
    ),
}


@pytest.mark.parametrize("breakage", BREAKAGES)
async def test_set_aside(opened: Bridge, config: Config, breakage: str) -> None:
    """Of a customer that is set aside everybody is asked to come back: callbacks by their secret,
    pages, softgarden's calls and webhooks; others are served, and once the file is in order all
    goes on as if nothing had been.
    """
    story = await begin(opened)
    file = config.folder / "customers" / "initech.yaml"
    good = file.read_text()
    file.write_text(BREAKAGES[breakage](good))
    assert file.read_text() != good
    refresh(opened, config)

    assert [await story.callback(), await story.callback("x" * 43)] == [503, 404]
    assert [await story.callback(headers={}), await story.callback("x" * 43, headers={})] == [
        503,
        404,
    ]
    assert set((await story.pages()).values()) == {503}
    assert await story.calls() == {503}
    assert await story.webhook() == 503
    assert (await opened.globex.list_tests()).status == 200
    assert (await opened.ask("GET", "/readyz")).json == {"status": "ok"}
    details = (await opened.ask("GET", opened.admin_url + "/readyz")).json
    assert list(details["customers_set_aside"]) == ["initech"]
    assert details["customers_set_aside"]["initech"][0].startswith(str(file))
    assert "client-secret" not in json.dumps(details)
    assert (await opened.record(story.open)).unconfirmed_result is None

    file.write_text(good)
    refresh(opened, config)
    assert set((await story.pages()).values()) <= {200, 302}
    assert await opened.equalture.complete(story.reference) == 200
    await opened.result(opened.initech, story.open, "COMPLETED")
    assert (await opened.initech.delete(story.finished)).status == 204
    assert (await opened.ask("GET", opened.admin_url + "/readyz")).json == {"status": "ok"}


async def test_removed(opened: Bridge, config: Config) -> None:
    """A removed customer is gone whole: callbacks are 404 also with secret and token and leave
    nothing behind, pages are 410, its token nobody's; when it is back its pages are, too.
    """
    story = await begin(opened)
    file = config.folder / "customers" / "initech.yaml"
    good = file.read_text()
    before = await opened.record(story.open)
    file.unlink()
    refresh(opened, config)

    assert [await story.callback(), await story.callback("x" * 43)] == [404, 404]
    assert await opened.record(story.open) == before
    assert set((await story.pages()).values()) == {410}
    assert await story.calls() == {401}
    assert await story.webhook() == 404
    assert (await opened.ask("POST", path_of(story.urls["testUrl"]))).status == 410
    assert (await opened.ask("GET", opened.admin_url + "/readyz")).json == {"status": "ok"}

    file.write_text(good)
    refresh(opened, config)
    assert set((await story.pages()).values()) <= {200, 302}


async def test_work_of_the_absent_waits(opened: Bridge, config: Config) -> None:
    """A report that came while the customer was away is found as soon as it is back, not at the
    next poll.
    """
    story = await begin(opened)
    file = config.folder / "customers" / "initech.yaml"
    good = file.read_text()
    runtime = opened.runtime

    async def settle() -> int:
        return await runtime.unserved_customers.update(
            runtime.services.tasks.serves, opened.clock()
        )

    await opened.idle()
    file.unlink()
    refresh(opened, config)
    assert await settle() == 0
    await opened.equalture.complete(story.reference, send_callback=False)
    assert await story.callback() == 404
    assert (await opened.record(story.open)).state is State.INVITED

    file.write_text(good)
    refresh(opened, config)
    assert await settle() >= 1
    opened.wake()
    await opened.result(opened.initech, story.open, "COMPLETED")
