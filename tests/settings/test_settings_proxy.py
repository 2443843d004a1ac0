from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bridge.core.customers import Secret
from bridge.settings.masking import mask_settings
from tests.settings.test_settings_daemon import BASE, ComplaintOf

if TYPE_CHECKING:
    from conftest import Folder


@pytest.mark.parametrize("text", ["", 'proxy: "${BRIDGE_PROXY:-}"', "proxy: null"])
def test_no_proxy(folder: Folder, text: str) -> None:
    """Left out or empty, there is none."""
    folder.bridge(BASE + text)
    assert folder.load().proxy is None


def test_proxy_is_a_secret(folder: Folder) -> None:
    """It may hold a password, so it is never shown, and may come from a file."""
    url = "http://user:p%40ss@proxy.example.com:3128"
    for text in (f"proxy: {url}/", f"proxy_file: {folder.secret(url)}"):
        folder.bridge(f"{BASE}{text}\n")
        settings = folder.load()
        assert settings.proxy == Secret(url)
        assert "p%40ss" not in str(mask_settings(settings)) + repr(settings)


@pytest.mark.parametrize(
    "url",
    [
        "https://user:hush@proxy:3128",
        "socks5://hush",
        "hush",
        "http://proxy/hush",
        "http://hush:99999",
        "http://a b",
    ],
)
def test_what_is_no_proxy(complaint_of: ComplaintOf, url: str) -> None:
    """Anything but a plain HTTP proxy is told with its place, and not repeated."""
    line, column, message = complaint_of(bridge=f"proxy: {url}\n")
    assert (line, column) == (5, 8)
    assert "proxy" in message or "expected a URL" in message
    assert "hush" not in message
