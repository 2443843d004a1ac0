"""Where the listeners listen, for ``healthcheck`` and ``tail``: one value of ``bridge.yaml``,
even if others are wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bridge.errors import Complaint, ConfigError
from bridge.settings.environment_variables import expand
from bridge.settings.rules import Address, parse_address
from bridge.settings.yaml_source import top_level_scalar

FILE_NAME = "bridge.yaml"
DEFAULT = Address("0.0.0.0", 8080)  # noqa: S104 - a daemon for others to call


ADMIN_DEFAULT = Address("127.0.0.1", 8081)
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound


def listen_address(config_dir: Path, environ: Mapping[str, str]) -> Address:
    """The address at which this machine's daemon can be called; raises ConfigError if it cannot
    be read.
    """
    return _address(config_dir, environ, "listen", DEFAULT)


def admin_address(config_dir: Path, environ: Mapping[str, str]) -> Address:
    """The same of its admin listener."""
    found = _address(config_dir, environ, "admin_listen", ADMIN_DEFAULT)
    return Address(_ANY.get(found.host, found.host), found.port)


def _address(config_dir: Path, environ: Mapping[str, str], key: str, default: Address) -> Address:
    path = config_dir / FILE_NAME
    found = top_level_scalar(path, key)
    if found is None:
        return default
    written, where = found
    text, problems = expand(written, environ)
    try:
        if problems:
            raise ValueError(problems[0])
        return parse_address(str(text))
    except ValueError as error:
        complaint = Complaint(str(path), where.line, where.column, f"{key}: {error}")
        raise ConfigError([complaint]) from None
