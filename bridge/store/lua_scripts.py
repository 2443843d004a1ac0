"""The Lua scripts that stand beside this file.

They are sent as EVALSHA by ``RedisAccess``, which sends the text once if Redis does not know a
script (at first, or after a restart or a failover). redis-py's own ``register_script`` asks SCRIPT
EXISTS before every pipeline, at the cost of one more round trip.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Final

Part = str | bytes | int
Command = tuple[Part, ...]
"""A command as it is sent to Redis: its name and its arguments."""


@dataclass(frozen=True, slots=True)
class LuaScript:
    """One script; *sha* is the name by which Redis knows it."""

    name: str
    text: str = field(repr=False)
    sha: str

    def call(self, keys: Sequence[str], args: Sequence[Part]) -> Command:
        """The command that runs it."""
        return ("EVALSHA", self.sha, len(keys), *keys, *args)


BY_SHA: Final[dict[Part, LuaScript]] = {}


def _read(name: str) -> LuaScript:
    folder = resources.files("bridge.store")
    common, own = (folder / f"{part}.lua" for part in ("common", name))
    text = common.read_text("utf-8") + own.read_text("utf-8")
    sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
    BY_SHA[sha] = LuaScript(name, text, sha)
    return BY_SHA[sha]


BRING_FORWARD: Final = _read("bring_forward")
COMMIT: Final = _read("commit")
EXTEND: Final = _read("extend")
REMOVE_REFERENCE: Final = _read("remove_reference")
INDEX_APPLICATION: Final = _read("index_application")
LEASE: Final = _read("lease")
REQUEUE_LOST_TASK: Final = _read("requeue_lost_task")
PEEK: Final = _read("peek")
QUARANTINE_KEY: Final = _read("quarantine_key")
QUARANTINE_TASK: Final = _read("quarantine_task")
MAKE_LANE_DUE: Final = _read("make_lane_due")
ADD_REFERENCE: Final = _read("add_reference")
HOLD_EVENT: Final = _read("hold_event")
REINDEX: Final = _read("reindex")
REPLACE_ENCRYPTED: Final = _read("replace_encrypted")
END_DEAD_LETTER: Final = _read("end_dead_letter")
SETTLE: Final = _read("settle")
TAKE: Final = _read("take")
RELEASE_ORDER: Final = _read("release_order")
REPORT_INCIDENT: Final = _read("report_incident")
TAKE_POST: Final = _read("take_post")


def add_script_text(command: Command) -> Command:
    """The same call with the script's text, which Redis then caches; other commands stay as they
    are.
    """
    return ("EVAL", BY_SHA[command[1]].text, *command[2:]) if command[0] == "EVALSHA" else command
