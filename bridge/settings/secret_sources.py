"""Where a customer's secret comes from, in words, without the secret."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bridge.errors import ConfigError
from bridge.settings.environment_variables import Expanded
from bridge.settings.findings import Findings
from bridge.settings.secret_files import SUFFIX
from bridge.settings.yaml_source import parse, read_text


def secret_source(file: Path, environ: Mapping[str, str], section: str, key: str) -> str:
    """The file, the variable or the line in *file*; for a file that was read without complaints."""
    try:
        root = parse(read_text(file), Findings(str(file)), environ)
    except ConfigError:
        return str(file)
    own, apart = root.at(section, key), root.at(section, key + SUFFIX)
    if apart is not None and apart.value:
        return str(apart.value)
    if own is None:
        return str(file)
    if isinstance(own.value, Expanded) and own.value.names and not own.value.written:
        return f"${{{own.value.names[0]}}} ({file}, line {own.position.line})"
    return f"{file}, line {own.position.line}"
