"""Where the public listener listens, for ``healthcheck``: one value of ``bridge.yaml``, whatever is
wrong with all the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path as FilePath

from bridge.errors import Complaint, ConfigError
from bridge.settings import rules
from bridge.settings.environment import expand
from bridge.settings.yaml_source import top_level_scalar

FILE_NAME = "bridge.yaml"
DEFAULT = ("0.0.0.0", 8080)  # noqa: S104 - a daemon for others to call


def listen_address(config_dir: FilePath, environ: Mapping[str, str]) -> tuple[str, int]:
    """Host and port; raises ConfigError where they cannot be told."""
    path = config_dir / FILE_NAME
    found = top_level_scalar(path, "listen")
    if found is None:
        return DEFAULT
    text, where = found
    expansion = expand(text, environ)
    try:
        if expansion.problems:
            raise ValueError(expansion.problems[0])
        return rules.address(str(expansion.text))
    except ValueError as error:
        raise ConfigError(
            [Complaint(str(path), where.line, where.column, f"listen: {error}")]
        ) from None
