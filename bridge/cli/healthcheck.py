"""``healthcheck``: asked every few seconds on every host, so it reads one value, sends one request,
and imports little.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

import click

from bridge.cli.options import config_option
from bridge.settings.listen import listen_address
from bridge.settings.rules import Address

_TIMEOUT_S = 3.0
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound


@click.command()
@config_option
def healthcheck(config: Path) -> None:
    """Exit with 0 if the local daemon is ready, for containers without curl."""
    address = listen_address(config, os.environ)
    place = Address(_ANY.get(address.host, address.host), address.port)
    try:
        status = _status(place)
    except OSError:
        outcome = f"not running: nobody answers at http://{place}/readyz"
    else:
        outcome = "ready" if status == b"200" else _NOT_READY
    click.echo(outcome)
    if outcome != "ready":
        raise SystemExit(1)


_NOT_READY = "not ready: it runs, but cannot work; the admin listener's /readyz says why"


def _status(place: Address) -> bytes:
    """The status of ``/readyz``.

    By hand: an HTTP client would cost more time than all else, and ask a proxy.
    """
    with socket.create_connection((place.host, place.port), _TIMEOUT_S) as connection:
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
