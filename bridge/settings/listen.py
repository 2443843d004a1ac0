"""Where the listeners listen, for ``healthcheck`` and ``tail``: one value of ``bridge.yaml``,
even if others are wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bridge.errors import ConfigError, ConfigMistake
from bridge.readiness_probe import LOOPBACK
from bridge.settings.environment_variables import expand_variables
from bridge.settings.rules import ListenAddress, parse_address
from bridge.settings.yaml_source import read_top_level_scalar

FILE_NAME = "bridge.yaml"
DEFAULT = ListenAddress("0.0.0.0", 8080)  # noqa: S104 - a daemon for others to call
ADMIN_DEFAULT = ListenAddress("127.0.0.1", 8081)


def read_listen_address(config_dir: Path, environ: Mapping[str, str]) -> ListenAddress:
    """The address that the daemon's public listener has; raises ConfigError if it cannot be
    read.
    """
    return _address(config_dir, environ, "listen", DEFAULT)


def read_admin_address(config_dir: Path, environ: Mapping[str, str]) -> ListenAddress:
    """Where this machine reaches the daemon's admin listener; raises as above."""
    found = _address(config_dir, environ, "admin_listen", ADMIN_DEFAULT)
    return ListenAddress(LOOPBACK.get(found.host, found.host), found.port)


def _address(
    config_dir: Path, environ: Mapping[str, str], key: str, default: ListenAddress
) -> ListenAddress:
    path = config_dir / FILE_NAME
    found = read_top_level_scalar(path, key)
    if found is None:
        return default
    written, where = found
    text, problems = expand_variables(written, environ)
    try:
        if problems:
            raise ValueError(problems[0])
        return parse_address(str(text))
    except ValueError as error:
        mistake = ConfigMistake(str(path), where.line, where.column, f"{key}: {error}")
        raise ConfigError([mistake]) from None
