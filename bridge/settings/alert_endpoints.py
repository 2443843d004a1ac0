"""The section ``alerts``: where posts go when somebody has to act."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from bridge.core.customers import Secret
from bridge.core.declaration import setting
from bridge.settings import rules
from bridge.settings.findings import PositionedValue


class AlertFormat(StrEnum):
    """What a post looks like."""

    STANDARD = "standard"
    SLACK = "slack"


@dataclass(frozen=True, slots=True)
class AlertEndpoint:
    """One receiver of posts. The URLs of chats are passwords, hence *url* is a secret, too."""

    url: Secret = setting(
        "Where posts go: https, http only on this machine. Masked, since who knows a chat's URL may"
        " write there.",
        rule=rules.parse_alert_url,
    )
    secret: Secret | None = setting(
        "Signs the posts by Standard Webhooks: whsec_ and base64; needed for format standard.",
        default=None,
        rule=rules.parse_webhook_secret,
    )
    format: AlertFormat = setting(
        "standard: Standard Webhooks, signed. slack: {text: ...}, as the incoming webhooks of Slack"
        " and others take it.",
        default=AlertFormat.STANDARD,
    )

    @staticmethod
    def check(
        section: PositionedValue, _: PositionedValue
    ) -> Iterator[tuple[PositionedValue, str]]:
        """Check that posts to be verified can be signed."""
        given = [section.find(name) for name in ("secret", "secret_file")]
        form = section.find("format")
        signs = any(one is not None and (one.broken or one.value) for one in given)
        if not signs and (form is None or form.value == AlertFormat.STANDARD):
            message = "format standard needs a secret: whsec_..., which its receiver knows, too"
            yield form or section, message
