"""What somebody has to be alerted to, and the posts that say so: apart from all other tasks, so
that neither waits for the other.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import orjson

from bridge.core.incident import (
    REPEATED_AFTER,
    AlertPost,
    Incident,
    IncidentKind,
    OpenIncident,
)
from bridge.ports import NewSecret
from bridge.store import lua_scripts
from bridge.store.key_names import decode_name
from bridge.store.redis_access import RedisAccess
from bridge.store.stored_times import MILLISECOND, from_ms, to_ms

LIFE: Final = timedelta(days=30)
"""How long incidents and posts are kept after the last one was added."""
POSTS_LIMIT: Final = 1000
"""Posts that wait for one endpoint; further ones are dropped."""


class RedisAlertQueue:
    """Three kinds of keys, in one slot of a cluster::

        <prefix>:{alerts}:incidents       hash  key -> "<said ms>|<news ms>|<incident as JSON>"
        <prefix>:{alerts}:due:<endpoint>   zset  post id -> due ms (leased: the end of its lease)
        <prefix>:{alerts}:posts:<endpoint> hash  post id -> "<attempts>|<post as JSON>"
        <prefix>:{alerts}:look             string  who looks for what is wrong, for a few seconds

    An endpoint is known by a digest of its URL.
    """

    def __init__(self, commands: RedisAccess, *, prefix: str, new_secret: NewSecret) -> None:
        self._commands = commands
        self._base = f"{prefix}:{{alerts}}:"
        self._incidents = f"{self._base}incidents"
        self._new_secret = new_secret

    async def report(
        self, incident: Incident, last_at: datetime, now: datetime, endpoints: Sequence[str]
    ) -> int | None:
        """Report an incident, in which *last_at* something new happened; says for how many
        *endpoints* a post was queued, None: it was said before, and is not said again yet.
        """
        post_id = f"alert_{self._new_secret()}"
        fields = _list_fields(incident)
        queued: int = await self._commands.run(
            lua_scripts.REPORT_INCIDENT.call(
                [self._incidents, *(key for one in endpoints for key in self._keys(one))],
                [
                    incident.key,
                    to_ms(now),
                    to_ms(last_at),
                    REPEATED_AFTER[incident.kind] // MILLISECOND,
                    orjson.dumps(fields),
                    LIFE // MILLISECOND,
                    post_id,
                    orjson.dumps({**fields, "at": to_ms(now)}),
                    POSTS_LIMIT,
                ],
            )
        )
        return None if queued < 0 else queued

    async def open_incidents(self) -> list[OpenIncident]:
        """What is not over; what cannot be read, or is of a kind that only a newer version knows,
        is left out.
        """
        found = []
        answer = await self._commands.run(("HGETALL", self._incidents))
        for value in _list_values(answer):
            with contextlib.suppress(ValueError, KeyError, TypeError, OverflowError):
                said, last, document = value.split(b"|", 2)
                incident = _read_incident(orjson.loads(document))
                found.append(OpenIncident(incident, from_ms(int(said)), from_ms(int(last))))
        return found

    async def end(self, incidents: Iterable[Incident]) -> None:
        """These are over: should they come again, they are said at once."""
        keys = [one.key for one in incidents]
        if keys:
            await self._commands.run(("HDEL", self._incidents, *keys))

    async def take(self, endpoint: str, now: datetime, until: datetime) -> AlertPost | None:
        """The next post that is due, which nobody else takes *until* then; None: there is none."""
        answer = await self._commands.run(
            lua_scripts.TAKE_POST.call(self._keys(endpoint), [to_ms(now), to_ms(until)])
        )
        if not answer:
            return None
        post_id, attempts, document = answer
        try:
            fields = orjson.loads(document)
            post = AlertPost(
                decode_name(post_id), _read_incident(fields), from_ms(fields["at"]), int(attempts)
            )
        except (ValueError, KeyError, TypeError, OverflowError):
            # Manual changes, or a newer version's kind, of which its own process says more.
            return None
        return post

    async def finish(self, endpoint: str, post: AlertPost) -> None:
        """It has arrived, or was given up."""
        due, posts = self._keys(endpoint)
        await self._commands.run_all([("ZREM", due, post.id), ("HDEL", posts, post.id)])

    async def postpone(self, endpoint: str, post: AlertPost, at: datetime) -> None:
        """It is due again *at* that time, unless it was finished meanwhile."""
        due, _ = self._keys(endpoint)
        await self._commands.run(("ZADD", due, "XX", to_ms(at), post.id))

    async def claim_look(self, owner: str, life: timedelta) -> bool:
        """Whether this process is to look for what is wrong; no other one does for that long."""
        look = ("SET", f"{self._base}look", owner, "NX", "PX", life // MILLISECOND)
        return bool(await self._commands.run(look))

    def _keys(self, endpoint: str) -> tuple[str, str]:
        return f"{self._base}due:{endpoint}", f"{self._base}posts:{endpoint}"


def _list_fields(incident: Incident) -> dict[str, str]:
    return {
        "kind": incident.kind,
        "customer": incident.customer,
        "about": incident.about,
        "text": incident.text,
        "command": incident.command,
    }


def _read_incident(fields: dict[str, Any]) -> Incident:
    return Incident(
        IncidentKind(fields["kind"]),
        *(str(fields[name]) for name in ("customer", "about", "text", "command")),
    )


def _list_values(answer: Any) -> Iterable[bytes]:
    """Those of a hash, as either protocol version gives it."""
    return answer.values() if isinstance(answer, dict) else answer[1::2]
