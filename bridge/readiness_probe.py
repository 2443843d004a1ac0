"""Asks the daemon on this machine whether it is ready. Containers do that every few seconds, so
this imports nearly nothing, not even what reads YAML.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping

READY = "ready"
NOT_READY = "not ready: it runs, but cannot work; the admin listener's /readyz says why"
_TIMEOUT_S = 3.0
LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound
"""Where this machine reaches a listener that listens at every address."""
_LISTEN = re.compile(
    r"""listen:[ ]+(?P<quote>["']?)
        (?:\$\{(?P<name>[A-Za-z_]\w*)(?::-(?P<default>[\d.:]*))?\}|(?P<value>[\d.:]+))
        (?P=quote)(?:[ ]+\#.*|[ ]*)""",
    re.VERBOSE | re.ASCII,
)
_ADDRESS = re.compile(r"(\d{1,3}(?:\.\d{1,3}){3}):(\d{1,5})", re.ASCII)


def read_plain_listen_address(text: str, environ: Mapping[str, str]) -> tuple[str, int] | None:
    """Where the daemon with this ``bridge.yaml`` listens, if that is written in the usual way.

    None: only who reads it as YAML can tell. Usual is one line ``listen: IPv4:PORT``, perhaps with
    a variable, in a file where no other line but ``admin_listen`` and comments has that word.
    """
    lines = [
        line
        for line in text.splitlines()
        if "listen" in line and not line.startswith(("#", "admin_listen:"))
    ]
    found = _LISTEN.fullmatch(lines[0]) if len(lines) == 1 else None
    if found is None:
        return None
    value = found["value"] or environ.get(found["name"]) or found["default"] or ""
    address = _ADDRESS.fullmatch(value)
    return (address[1], int(address[2])) if address and int(address[2]) <= 65535 else None


def probe_readiness(host: str, port: int) -> str:
    """``READY``, or what is wrong with the daemon that listens there."""
    host = LOOPBACK.get(host, host)
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        return READY if _status(host, port, place) == b"200" else NOT_READY
    except OSError:
        return f"not running: nobody answers at http://{place}/readyz"


def _status(host: str, port: int, place: str) -> bytes:
    """The status of ``/readyz``.

    By hand: an HTTP client would cost more time than all else, and ask a proxy.
    """
    with socket.create_connection((host, port), _TIMEOUT_S) as connection:
        connection.sendall(
            f"GET /readyz HTTP/1.1\r\nHost: {place}\r\nConnection: close\r\n\r\n".encode()
        )
        head = b""
        while b"\r\n" not in head and len(head) < 1024:
            more = connection.recv(1024)
            if not more:
                raise ConnectionResetError("no answer")
            head += more
    version, _, rest = head.partition(b" ")
    if not version.startswith(b"HTTP/"):
        raise ConnectionResetError("that is not HTTP")
    return rest[:3]
