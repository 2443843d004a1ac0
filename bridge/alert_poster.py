"""Posts what somebody has to be alerted to, to one receiver at a time."""

from __future__ import annotations

import aiohttp
import orjson
from yarl import URL

from bridge.core.incident import AlertPost
from bridge.egress import describe_call_failure
from bridge.ports import Clock
from bridge.settings.alert_endpoints import AlertEndpoint, AlertFormat
from bridge.webhook_signature import build_signed_headers

TIMEOUT_S = 8.0
"""The longest that one attempt may take."""
_SLACK_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


class AlertPoster:
    """*session* is for hosts that an administrator named, *bridge* is the URL by which receivers
    tell several bridges apart; *clock* is this host's, as the receiver's is its own.
    """

    def __init__(self, session: aiohttp.ClientSession, clock: Clock, *, bridge: str) -> None:
        self._session = session
        self._clock = clock
        self._bridge = bridge

    async def post(self, endpoint: AlertEndpoint, post: AlertPost) -> str:
        """Post once; says why it did not arrive, or nothing."""
        raw = orjson.dumps(
            self._build_slack_body(post) if _is_chat(endpoint) else self._build_standard_body(post)
        )
        headers = {"Content-Type": "application/json"}
        if endpoint.secret is not None:
            headers |= build_signed_headers(raw, post.id, self._clock(), endpoint.secret.reveal())
        try:
            async with self._session.post(
                URL(endpoint.url.reveal(), encoded=True),
                data=raw,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
                allow_redirects=False,
            ) as response:
                status = response.status
                response.close()  # whatever else it says does not matter
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            return f"no answer ({describe_call_failure(error)})"
        return "" if 200 <= status < 300 else f"the answer was {status}"

    def _build_standard_body(self, post: AlertPost) -> dict[str, object]:
        # https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
        # "Payload structure": type, timestamp, data
        incident = post.incident
        return {
            "type": f"alert.{incident.kind}",
            "timestamp": post.at.isoformat(),
            "data": {
                "bridge": self._bridge,
                "customer": incident.customer or None,
                "text": incident.text,
                "command": incident.command,
            },
        }

    def _build_slack_body(self, post: AlertPost) -> dict[str, object]:
        # https://docs.slack.dev/messaging/formatting-message-text: three characters are escaped
        incident = post.incident
        about = f" · {incident.customer}" if incident.customer else ""
        lines = [
            f"*Assessment bridge {self._bridge}{about}*".translate(_SLACK_ESCAPES),
            incident.text.translate(_SLACK_ESCAPES),
            f"`{incident.command}`".translate(_SLACK_ESCAPES),
        ]
        return {"text": "\n".join(lines)}


def _is_chat(endpoint: AlertEndpoint) -> bool:
    return endpoint.format is AlertFormat.SLACK
