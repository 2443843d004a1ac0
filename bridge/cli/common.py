"""What commands share: where the configuration is, and how data are printed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from bridge import logs, settings
from bridge.store.connection import read_url

F = TypeVar("F", bound=Callable[..., Any])


def config_option(function: F) -> F:
    """``--config DIR``, else ``BRIDGE_CONFIG``, else ``config``."""
    return click.option(
        "--config",
        type=click.Path(path_type=Path, file_okay=False),
        default=lambda: Path(os.environ.get("BRIDGE_CONFIG", "config")),
        help="Folder of bridge.yaml and customers/ (BRIDGE_CONFIG; default: config).",
    )(function)


def json_option(function: F) -> F:
    """``--json``: print data for machines."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)


def load(config: Path) -> settings.Settings:
    """The settings in *config*, with the log down to warnings on standard error; raises ``ConfigError``."""
    loaded = settings.load(config, os.environ)
    if loaded.redis.url is not None:
        read_url(loaded.redis.url.reveal())
    logs.configure("warning", "console")
    return loaded
