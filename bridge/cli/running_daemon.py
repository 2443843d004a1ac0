"""The daemon that runs on this machine, if one does, asked by its admin listener."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass, field

from bridge.settings.rules import ListenAddress

_TIMEOUT_S = 30.0
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound


@dataclass(frozen=True, slots=True)
class ReloadAnswer:
    """What a daemon said when it was asked to reload; *status* None: nobody answers there."""

    place: ListenAddress
    status: int | None
    errors: list[str] = field(default_factory=list)


def ask_daemon_to_reload(admin: ListenAddress) -> ReloadAnswer:
    """Have the daemon whose admin listener this is read its customers' files again."""
    place = ListenAddress(_ANY.get(admin.host, admin.host), admin.port)
    connection = http.client.HTTPConnection(place.host, place.port, timeout=_TIMEOUT_S)
    try:
        connection.request("POST", "/-/reload")
        answer = connection.getresponse()
        body = json.loads(answer.read() or b"{}")
    except (OSError, http.client.HTTPException):
        return ReloadAnswer(place, None)
    except ValueError:
        return ReloadAnswer(place, answer.status)
    finally:
        connection.close()
    told = body.get("errors", {}) if isinstance(body, dict) else {}
    errors = [f"{file}: {one}" for file, some in told.items() for one in some]
    return ReloadAnswer(place, answer.status, errors)
