"""Where a customer's secret comes from, in words, without the secret."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bridge.errors import ConfigError
from bridge.settings.environment_variables import ExpandedText
from bridge.settings.findings import MistakeCollector
from bridge.settings.secret_files import SUFFIX
from bridge.settings.yaml_source import parse_yaml, read_text


def describe_secret_source(file: Path, environ: Mapping[str, str], section: str, key: str) -> str:
    """The file, the variable or the line in *file*; for a file that was read without mistakes."""
    try:
        root = parse_yaml(read_text(file), MistakeCollector(str(file)), environ)
    except ConfigError:
        return str(file)
    own, apart = root.find(section, key), root.find(section, key + SUFFIX)
    if apart is not None and apart.value:
        return str(apart.value)
    if own is None:
        return str(file)
    if isinstance(own.value, ExpandedText) and own.value.names and not own.value.written:
        return f"${{{own.value.names[0]}}} ({file}, line {own.position.line})"
    return f"{file}, line {own.position.line}"
