"""A browser for the people of the demo; it keeps no cookies and follows no redirects by itself."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from urllib.parse import urlencode

from bridge.demo.call_log import CallLog
from bridge.sandbox import BridgeReply, Faults, Ledger, RecordingClient

_FORM = "application/x-www-form-urlencoded"


class Browser:
    """Opens links."""

    def __init__(self, client: RecordingClient) -> None:
        self._client = client

    async def open(
        self, person: str, url: str, method: str = "GET", form: Mapping[str, str] | None = None
    ) -> BridgeReply:
        """Open a link as *person*, or press the button of a page."""
        body, headers = (
            (None, {}) if form is None else (urlencode(form).encode(), {"Content-Type": _FORM})
        )
        return await self._client.send(
            "visit", method, url, body=body, headers=headers, describe=_in_words, caller=person
        )


@contextlib.asynccontextmanager
async def open_browser(calls: CallLog, bridge_url: str) -> AsyncIterator[Browser]:
    """A browser whose visits to the bridge are added to *calls*; those to a fake are in its own."""
    ledger = Ledger(
        lambda: datetime.now(UTC),
        on_call=lambda call: calls.add(call) if call.path.startswith(bridge_url) else None,
    )
    client = RecordingClient("browser", ledger, Faults())
    await client.open()
    try:
        yield Browser(client)
    finally:
        await client.close()


def _in_words(reply: BridgeReply) -> str | None:
    kind = reply.headers.get("Content-Type", "").partition(";")[0]
    if not reply.text or reply.location:
        return None
    if kind == "text/html":
        return f"a page: {reply.text.partition('<title>')[2].partition('</title>')[0]}"
    return f"{kind}, {reply.headers.get('Content-Length')} bytes"
