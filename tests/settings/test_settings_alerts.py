"""The section ``alerts`` of bridge.yaml."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bridge.settings.alert_endpoints import AlertFormat
from bridge.settings.masking import mask_settings
from tests.settings.conftest import BRIDGE

if TYPE_CHECKING:
    from conftest import Folder

SECRET = "whsec_" + base64.b64encode(bytes(24)).decode()
CHAT = "https://hooks.example.com/services/T0/B0/hush-hush"


def test_nobody_is_told_by_default(folder: Folder) -> None:
    """Without the section nobody is told, and waiting is too long after a quarter of an hour."""
    settings = folder.load()
    assert settings.alerts == ()
    assert settings.alert_after == timedelta(minutes=15)


def test_both_formats(folder: Folder) -> None:
    """A receiver is signed for by Standard Webhooks, unless it is a chat; URL and secret may stand
    in files or variables, and are shown as ***.
    """
    folder.environ["ALERT_SECRET"] = SECRET
    file = folder.secret(CHAT)
    folder.bridge(
        BRIDGE
        + f"""\
alert_after: 2h
alerts:
  - {{url: "https://alerts.example.com/bridge?team=1", secret: "${{ALERT_SECRET}}"}}
  - {{url_file: {file}, format: slack}}
  - {{url: "http://127.0.0.1:9000/", secret: {SECRET}, format: slack}}
"""
    )
    settings = folder.load()
    assert [one.format for one in settings.alerts] == [
        AlertFormat.STANDARD,
        AlertFormat.SLACK,
        AlertFormat.SLACK,
    ]
    urls = [one.url.reveal() for one in settings.alerts]
    assert urls == ["https://alerts.example.com/bridge?team=1", CHAT, "http://127.0.0.1:9000/"]
    signs = [one.secret.reveal() if one.secret else None for one in settings.alerts]
    assert signs == [SECRET, None, SECRET]
    assert settings.alert_after == timedelta(hours=2)
    shown = mask_settings(settings)
    assert shown["alerts"][1] == {"url": "***", "secret": None, "format": "slack"}
    assert "hush" not in repr(settings)
    assert "hush" not in str(shown)
    assert SECRET not in str(shown)


@pytest.mark.parametrize(
    ("entry", "column", "message"),
    [
        ("{format: slack}", 5, "the key 'url', or 'url_file' is missing"),
        ("{url: http://alerts.example.com, format: slack}", 11, "alerts[0].url: expected https://"),
        ("{url: ftp://127.0.0.1/, format: slack}", 11, "alerts[0].url: expected a URL such as"),
        ("{url: https://a.example/#x, format: slack}", 11, "alerts[0].url: expected a URL without"),
        ("{url: https://u:p@a.example/, format: slack}", 11, "alerts[0].url: expected a URL"),
        ("{url: https://a.example/}", 5, "format standard needs a secret"),
        ("{url: https://a.example/, format: standard}", 39, "format standard needs a secret"),
        ("{url: https://a.example/, secret: hush}", 39, "alerts[0].secret: expected whsec_"),
        ("{url: https://a.example/, format: teams}", 39, "alerts[0].format: expected one of"),
        ("{url: https://a.example/, formt: slack}", 5, "format standard needs a secret"),
        ("hush", 5, "alerts[0]: expected keys and values"),
    ],
)
def test_mistakes(folder: Folder, entry: str, column: int, message: str) -> None:
    """What is wrong with a receiver is told with its place, without a word of its URL or
    secret.
    """
    folder.bridge(BRIDGE + f"alerts:\n  - {entry}\n")
    complaints = folder.complaints()
    places = [(line, at) for line, at, text in complaints if text.startswith(message)]
    assert places == [(6, column)], complaints
    assert not [text for _, _, text in complaints if "hush" in text or "a.example" in text]


def test_no_list(complaint_of: Callable[..., tuple[int, int, str]]) -> None:
    """One receiver without a dash is told to be a list."""
    line, column, message = complaint_of(bridge=f"alerts: {{url: {CHAT}, format: slack}}\n")
    assert (line, column) == (5, 9)
    assert message.startswith("alerts: expected a list")
