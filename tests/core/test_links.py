from __future__ import annotations

import pytest

from bridge.core.links import LinkPurpose, LinkSigner

ID = "iv_7" + "aB3" * 8
BASE = "https://bridge.example"
LINKS = LinkSigner(BASE, [b"new key", b"old key"])
PURPOSES = {
    "share": LinkPurpose.SHARE,
    "results": LinkPurpose.RESULTS,
    "reports": LinkPurpose.REPORT,
    "start": LinkPurpose.START,
}


def token(url: str) -> str:
    """The token at the end of a link."""
    return url.rsplit("/", 1)[1].removesuffix(".pdf")


MADE = {
    "share": LINKS.share_url(ID),
    "results": LINKS.results_url(ID),
    "reports": LINKS.report_url(ID),
    "start": LINKS.start_url(ID),
}


def test_callback_carries_the_secret_of_its_attempt() -> None:
    """The provider is given a URL with the invitation's id and the attempt's secret."""
    assert f"{BASE}/equalture/callbacks/{ID}/the-secret" == LINKS.callback_url(
        "equalture", ID, "the-secret"
    )


@pytest.mark.parametrize("folder", MADE)
def test_link_stands_in_its_folder(folder: str) -> None:
    """Every link is below the public URL, in the folder of its purpose."""
    assert MADE[folder].startswith(f"{BASE}/{folder}/{ID}.")


def test_report_is_a_pdf() -> None:
    """The link of the report says what it is."""
    assert MADE["reports"].endswith(".pdf")


@pytest.mark.parametrize("folder", MADE)
def test_link_can_be_read_for_its_purpose_only(folder: str) -> None:
    """A token gives the invitation for its own purpose and nothing for the others."""
    read = {
        name: LINKS.read_token(purpose, token(MADE[folder])) for name, purpose in PURPOSES.items()
    }
    assert {name: ID if name == folder else None for name in PURPOSES} == read


def test_link_survives_a_new_key() -> None:
    """Links are honoured for every listed key and for no other."""
    old = LinkSigner(BASE, [b"old key"]).share_url(ID)
    assert ID == LINKS.read_token(LinkPurpose.SHARE, token(old))
    assert LinkSigner(BASE, [b"new key"]).read_token(LinkPurpose.SHARE, token(old)) is None
