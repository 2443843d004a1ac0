"""Which tests this machine's redis-server cannot run: deselected by name, and said. ``python -m tests.needs [--select]``."""

from __future__ import annotations

import sys

from bridge.store.embedded import find_server


def unsupported() -> dict[str, str]:
    """Markers of tests to deselect, with the reason."""
    server = find_server()
    # A server without TLS does not know the setting; asking it would mean to start it with certificates.
    knows_tls = b"tls-cert-file" in server.read_bytes()
    return {} if knows_tls else {"tls": f"{server} is built without TLS; Debian's redis-server has it"}


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
