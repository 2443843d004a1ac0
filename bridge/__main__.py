"""``assessment-bridge``, and ``python -m bridge``."""

from __future__ import annotations

import os
import sys
from importlib import import_module


def main() -> None:
    """Run a command; the common forms of ``healthcheck`` without anything else that commands need,
    since every container runs that all the time.
    """
    match sys.argv[1:]:
        case ["healthcheck"]:
            _check_health(os.environ.get("BRIDGE_CONFIG", "config"))
        case ["healthcheck", "--config", folder]:
            _check_health(folder)
    import_module("bridge.cli").main()


def _check_health(folder: str) -> None:
    """End with the outcome; return where only the command can tell whom to ask."""
    probe = import_module("bridge.readiness_probe")
    try:
        with open(os.path.join(folder, "bridge.yaml"), encoding="utf-8") as file:
            address = probe.read_plain_listen_address(file.read(), os.environ)
    except (OSError, UnicodeDecodeError):
        return
    if address is not None:
        outcome = probe.probe_readiness(*address)
        sys.stdout.write(f"{outcome}\n")
        sys.exit(outcome != probe.READY)


if __name__ == "__main__":
    main()
