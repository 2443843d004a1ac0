"""Redis in memory: what the bridge's scripts and calls need of it, and its own Lua.

The conformance suite of the store runs against it as it does against a real server. Values and
commands are in ``memory_redis.lua``, on LuaJIT, which has the language of Redis's own Lua (5.1):
a script that calls a hundred commands calls nothing of Python. Keys expire by the world's time.
"""

from __future__ import annotations

import fnmatch
import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from lupa.luajit21 import LuaRuntime
from redis.exceptions import NoScriptError, OutOfMemoryError, ReadOnlyError, ResponseError

from bridge.store.key_names import decode_name

VALUE, LIST, STATUS, FAILED = range(4)
"""What an answer of ``memory_redis.lua`` begins with."""
ERRORS: Final[dict[str, type[ResponseError]]] = {
    "NOSCRIPT": NoScriptError,
    "OOM": OutOfMemoryError,
    "READONLY": ReadOnlyError,
}
"""The errors that the real client tells apart."""

_lua = LuaRuntime(encoding=None, register_eval=False, unpack_returned_tuples=False)
_open_server = _lua.execute(Path(__file__).with_suffix(".lua").read_bytes())


@cache
def _compile(script: bytes) -> Any:
    return _lua.compile(script)


def _text(part: Any) -> bytes:
    return part if isinstance(part, bytes) else str(part).encode()


class MemoryRedis:
    """One server; *now_ms* is the time by which keys expire."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._server = _open_server()
        self._call, self._evaluate = self._server.call, self._server.evaluate
        self._scripts: dict[bytes, Any] = {}
        self._full = self._read_only = False

    @property
    def full(self) -> bool:
        """Whether there is no room left."""
        return self._full

    @full.setter
    def full(self, value: bool) -> None:
        self._full = value
        self._server.set_trouble(self._full, self._read_only)

    @property
    def read_only(self) -> bool:
        """Whether it is a replica."""
        return self._read_only

    @read_only.setter
    def read_only(self, value: bool) -> None:
        self._read_only = value
        self._server.set_trouble(self._full, self._read_only)

    def execute(self, command: Sequence[Any]) -> Any:
        """Execute one command; an error is returned, as an answer."""
        return self._execute(self._now_ms(), command)

    def execute_all(self, commands: Sequence[Sequence[Any]]) -> Iterator[Any]:
        """Execute commands: each when its answer is taken."""
        now_ms = self._now_ms()
        return (self._execute(now_ms, one) for one in commands)

    def _execute(self, now_ms: int, command: Sequence[Any]) -> Any:
        name, *parts = [
            part.encode()
            if part.__class__ is str
            else b"%d" % part
            if part.__class__ is int
            else _text(part)
            for part in command
        ]
        if name == b"EVALSHA":
            script = self._scripts.get(parts[0])
            if script is None:
                return NoScriptError("No matching script. Please use EVAL.")
        elif name == b"EVAL":
            script = _compile(parts[0])
            self._scripts[hashlib.sha1(parts[0]).hexdigest().encode()] = script
        else:
            return _read_answer(self._call(now_ms, name, *parts))
        return _read_answer(self._evaluate(now_ms, script, int(parts[1]), *parts[2:]))

    def forget_scripts(self) -> None:
        """After a restart a server knows no script."""
        self._scripts.clear()

    # What the world looks at

    def read_text(self, key: str) -> bytes | None:
        """The value of a key that holds a text."""
        found: bytes | None = self._server.peek(key.encode())
        return found

    def exists(self, key: str) -> bool:
        """Whether a key has a value."""
        return bool(self._server.exists(key.encode()))

    def read_score(self, key: str, member: str | None = None) -> float | None:
        """The score of a member of a sorted set, or of its first one."""
        found: float | None = self._server.peek_score(key.encode(), member and member.encode())
        return found

    def list_members(self, key: str) -> list[str]:
        """The members of a sorted set, in order."""
        return [decode_name(one) for one in self._server.peek_members(key.encode()).values()]

    def snapshot(self) -> Any:
        """A copy of everything."""
        return self._server.snapshot()

    def restore(self, snapshot: Any) -> None:
        """Go back to a copy."""
        self._server.restore(snapshot)

    def dump(self) -> bytes:
        """Everything in one text, the same for the same content."""
        text: bytes = self._server.dump(self._now_ms())
        return text

    def list_keys(self, pattern: str = "*") -> list[bytes]:
        """All keys that match, in order."""
        keys: list[bytes] = list(self._server.list_keys(self._now_ms()).values())
        if pattern == "*":
            return keys
        return [key for key in keys if fnmatch.fnmatchcase(key.decode(), pattern)]


def _read_answer(answer: Any) -> Any:
    if answer == LIST:
        return []  # a kind alone: nothing follows
    kind = answer[0]
    if kind == VALUE:
        return answer[1]
    if kind == LIST:
        if len(answer) == 3 and not isinstance(answer[1], bytes | int | None):
            return [answer[1][place] for place in range(1, answer[2] + 1)]
        return [*answer[1:]]
    if kind == STATUS:
        return True if answer[1] == b"OK" else answer[1]
    word, _, rest = answer[1].decode("utf-8", "replace").partition(" ")
    return (
        ERRORS[word](rest)
        if word in ERRORS
        else ResponseError(f"{word} {rest}".removeprefix("ERR "))
    )
