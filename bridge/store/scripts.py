"""The Lua scripts that lie beside this file.

They are sent as EVALSHA by ``Commands``, which sends the text once where Redis does not know a script (yet, or after a
restart or a failover). redis-py's own ``register_script`` asks SCRIPT EXISTS before every pipeline: one more journey each.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
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


def _read(name: str) -> Script:
    folder = resources.files("bridge.store")
    text = (folder / "common.lua").read_text("utf-8") + (folder / f"{name}.lua").read_text("utf-8")
    return Script(name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


COMMIT: Final = _read("commit")
DEPTH: Final = _read("depth")
EXTEND: Final = _read("extend")
FIND: Final = _read("find")
LEASE: Final = _read("lease")
PEEK: Final = _read("peek")
RECALL: Final = _read("recall")
RESEAL: Final = _read("reseal")
REVIVE: Final = _read("revive")
SETTLE: Final = _read("settle")
TAKE: Final = _read("take")

BY_SHA: Final[Mapping[Part, Script]] = {
    script.sha: script for script in (COMMIT, DEPTH, EXTEND, FIND, LEASE, PEEK, RECALL, RESEAL, REVIVE, SETTLE, TAKE)
}


def with_text(command: Command) -> Command:
    """The same call with the script's text, which teaches it to Redis; other commands stay as they are."""
    return ("EVAL", BY_SHA[command[1]].text, *command[2:]) if command[0] == "EVALSHA" else command
