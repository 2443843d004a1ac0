"""The bridge's own links: stable, signed, bound to one purpose and one invitation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.core import ids


class LinkPurpose:
    """What a link is for; a token made for one purpose is worthless for another."""

    SHARE = "share"
    RESULTS = "results"
    REPORT = "report"
    START = "start"


@dataclass(frozen=True, slots=True)
class LinkSigner:
    """Makes and reads links; *keys* newest first: the newest signs, all of them are accepted."""

    public_url: str
    keys: Sequence[bytes]

    def callback_url(self, provider: str, invitation_id: str, secret: str) -> str:
        """The callback URL at which the provider of this name reports the result of one attempt."""
        return f"{self.public_url}/{provider}/callbacks/{invitation_id}/{secret}"

    def share_url(self, invitation_id: str) -> str:
        """For colleagues without a login: works for as long as the result is kept."""
        return f"{self.public_url}/share/{self._token(LinkPurpose.SHARE, invitation_id)}"

    def results_url(self, invitation_id: str) -> str:
        """The page that recruiters see; the same in every state."""
        return f"{self.public_url}/results/{self._token(LinkPurpose.RESULTS, invitation_id)}"

    def report_url(self, invitation_id: str) -> str:
        """The result as a PDF."""
        return f"{self.public_url}/reports/{self._token(LinkPurpose.REPORT, invitation_id)}.pdf"

    def start_url(self, invitation_id: str) -> str:
        """The landing page in front of the provider's one-time link."""
        return f"{self.public_url}/start/{self._token(LinkPurpose.START, invitation_id)}"

    def read_token(self, purpose: str, token: str) -> str | None:
        """The invitation id behind a token of this purpose; None for anything else."""
        return ids.verify_link(self.keys, purpose, token)

    def _token(self, purpose: str, invitation_id: str) -> str:
        return ids.sign_link(self.keys, purpose, invitation_id)
