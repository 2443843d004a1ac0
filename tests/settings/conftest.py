"""A small valid configuration, and a way to write one that is not."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bridge import app
from bridge.errors import ConfigError
from bridge.settings.daemon import DaemonSettings

KEY = "A" * 43
BRIDGE = f"""\
public_url: https://bridge.example.com
signing_keys: ["{KEY}"]
equalture:
  base_url: https://equalture.example.com
"""
ACME = f"""\
softgarden:
  tokens_sha256: ["{"a" * 64}"]
  client_id: "10"
equalture:
  client_id: acme
  client_secret: hush
"""


@dataclass
class Folder:
    """A configuration folder: *bridge* and *customer* write files, *load* and *complaints* read
    them.
    """

    path: Path
    environ: dict[str, str] = field(default_factory=dict)

    def bridge(self, text: str) -> None:
        file = self.path / "bridge.yaml"
        file.write_text(textwrap.dedent(text), encoding="utf-8")
        file.chmod(0o600)

    def customer(self, text: str, key: str = "acme") -> Path:
        file = self.path / "customers" / f"{key}.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(textwrap.dedent(text), encoding="utf-8")
        file.chmod(0o600)
        return file

    def secret(self, text: str, mode: int = 0o600) -> Path:
        file = self.path / "secret"
        file.write_text(text, encoding="utf-8")
        file.chmod(mode)
        return file

    def load(self) -> DaemonSettings:
        return app.CONFIGURATION.load(self.path, self.environ)

    def complaints(self) -> list[tuple[int, int, str]]:
        with pytest.raises(ConfigError) as caught:
            self.load()
        return [(one.line, one.column, one.message) for one in caught.value.mistakes]


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Folder:
    settings_type = Folder(tmp_path)
    settings_type.bridge(BRIDGE)
    return settings_type


@pytest.fixture(name="complaint_of")
def _complaint_of(folder: Folder) -> Callable[..., tuple[int, int, str]]:
    """The one complaint about a text added to the valid bridge.yaml (from line 5) or acme.yaml
    (from line 7).
    """

    def complaint_of(*, bridge: str = "", acme: str = "") -> tuple[int, int, str]:
        folder.bridge(BRIDGE + textwrap.dedent(bridge))
        folder.customer(ACME + textwrap.dedent(acme))
        [only] = folder.complaints()
        return only

    return complaint_of
