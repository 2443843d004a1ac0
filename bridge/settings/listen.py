"""Where the public listener listens, for ``healthcheck``: one value of ``bridge.yaml``, even if
others are wrong.
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


def listen_address(config_dir: Path, environ: Mapping[str, str]) -> Address:
    """The address at which this machine's daemon can be called; raises ConfigError if it cannot
    be read.
    """
    path = config_dir / FILE_NAME
    found = top_level_scalar(path, "listen")
    if found is None:
        return DEFAULT
    written, where = found
    text, problems = expand(written, environ)
    try:
        if problems:
            raise ValueError(problems[0])
        return parse_address(str(text))
    except ValueError as error:
        complaint = Complaint(str(path), where.line, where.column, f"listen: {error}")
        raise ConfigError([complaint]) from None
