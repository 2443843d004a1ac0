"""The Lua scripts that lie beside this file.

They are sent as EVALSHA by ``RedisAccess``, which sends the text once where Redis does not know a
script (yet, or after a restart or a failover). redis-py's own ``register_script`` asks SCRIPT
EXISTS before every pipeline: one more round trip each.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Final

Part = str | bytes | int
Command = tuple[Part, ...]
"""What is sent to Redis: the command's name and its arguments."""


@dataclass(frozen=True, slots=True)
class Script:
    """One script; *sha* is the name by which Redis knows it."""

    name: str
    text: str = field(repr=False)
    sha: str

    def call(self, keys: Sequence[str], args: Sequence[Part]) -> Command:
        """The command that runs it."""
        return ("EVALSHA", self.sha, len(keys), *keys, *args)


BY_SHA: Final[dict[Part, Script]] = {}


def _read(name: str) -> Script:
    folder = resources.files("bridge.store")
    common, own = (folder / f"{part}.lua" for part in ("common", name))
    text = common.read_text("utf-8") + own.read_text("utf-8")
    sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
    BY_SHA[sha] = Script(name, text, sha)
    return BY_SHA[sha]


BRING_FORWARD: Final = _read("bring_forward")
COMMIT: Final = _read("commit")
EXTEND: Final = _read("extend")
FORGET: Final = _read("forget")
LEASE: Final = _read("lease")
MEND: Final = _read("mend")
PEEK: Final = _read("peek")
PUT_KEY_ASIDE: Final = _read("put_key_aside")
PUT_TASK_ASIDE: Final = _read("put_task_aside")
RECALL: Final = _read("recall")
REMEMBER: Final = _read("remember")
REINDEX: Final = _read("reindex")
RESEAL: Final = _read("reseal")
REVIVE: Final = _read("revive")
SETTLE: Final = _read("settle")
TAKE: Final = _read("take")
UNCLAIM: Final = _read("unclaim")


def with_text(command: Command) -> Command:
    """The same call with the script's text, which Redis learns; other commands stay as they are."""
    return ("EVAL", BY_SHA[command[1]].text, *command[2:]) if command[0] == "EVALSHA" else command
