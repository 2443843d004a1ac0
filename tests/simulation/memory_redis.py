"""Redis in memory: what the bridge's scripts and calls need of it, and its own Lua.

The conformance suite of the store runs against it as it does against a real server. Numbers of
scores are doubles and written as Redis writes them; keys expire by the world's time.
"""

from __future__ import annotations

import fnmatch
import hashlib
from bisect import bisect_left, insort
from collections.abc import Callable, Sequence
from typing import Any

from lupa.lua51 import LuaRuntime
from redis.exceptions import NoScriptError, OutOfMemoryError, ReadOnlyError, ResponseError

WRONG_TYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"
OUT_OF_MEMORY = "OOM command not allowed when used memory > 'maxmemory'."
READ_ONLY = "READONLY You can't write against a read only replica."
NEEDS_ROOM = frozenset({b"SET", b"ZADD", b"HSET", b"HSETNX", b"SETRANGE", b"SADD", b"RENAME"})
"""What a Redis without memory refuses."""
WRITES = NEEDS_ROOM | {b"DEL", b"HDEL", b"ZREM", b"SREM", b"PEXPIRE", b"PERSIST", b"FLUSHALL"}
WRITES |= {b"ZREMRANGEBYSCORE"}


class SortedSet:
    """Members and scores, ordered by both."""

    __slots__ = ("order", "scores")

    def __init__(self) -> None:
        self.scores: dict[bytes, float] = {}
        self.order: list[tuple[float, bytes]] = []

    def put(self, member: bytes, score: float) -> bool:
        """Set a score; whether the member is new."""
        before = self.scores.get(member)
        if before == score:
            return False
        if before is not None:
            del self.order[bisect_left(self.order, (before, member))]
        self.scores[member] = score
        insort(self.order, (score, member))
        return before is None

    def remove(self, member: bytes) -> bool:
        """Whether it was there."""
        score = self.scores.pop(member, None)
        if score is None:
            return False
        del self.order[bisect_left(self.order, (score, member))]
        return True

    def between(self, low: float, high: float) -> list[tuple[float, bytes]]:
        """Those with scores from *low* to *high*, both included."""
        start = bisect_left(self.order, (low, b""))
        found = []
        for entry in self.order[start:]:
            if entry[0] > high:
                break
            found.append(entry)
        return found


Value = bytes | dict[bytes, bytes] | SortedSet | set[bytes]
_NAMES = {bytes: b"string", dict: b"hash", SortedSet: b"zset", set: b"set"}


def _text(part: Any) -> bytes:
    kind = type(part)
    if kind is bytes:
        return part  # type: ignore[no-any-return]
    if kind is str:
        return part.encode()  # type: ignore[no-any-return]
    return _number(part) if kind is float else str(part).encode()


def _number(score: float) -> bytes:
    if score in (float("inf"), float("-inf")):
        return b"inf" if score > 0 else b"-inf"
    return b"%d" % score if score == int(score) else b"%.17g" % score


class MemoryRedis:
    """One server; *now_ms* is the time by which keys expire."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self.values: dict[bytes, Value] = {}
        self.expires: dict[bytes, int] = {}
        self.full = False
        self.read_only = False
        self._written = False
        self._commands: dict[bytes, Callable[..., Any]] = {
            name.removeprefix("_do_").upper().encode(): getattr(self, name)
            for name in dir(self)
            if name.startswith("_do_")
        }
        self._scripts: dict[bytes, Any] = {}
        self._compiled: dict[bytes, Any] = {}
        self._lua = LuaRuntime(encoding=None, register_eval=False, unpack_returned_tuples=False)
        self._table = self._lua.table_from
        self._run = self._lua.execute(_BOOT)(self._call_from_lua)

    # What clients send

    def execute(self, command: Sequence[Any]) -> Any:
        """Execute one command; an error is returned, as an answer."""
        name, args = _text(command[0]).upper(), [_text(part) for part in command[1:]]
        try:
            if name in (b"EVAL", b"EVALSHA"):
                return self._evaluate(name, args)
            self._written = False
            return self._call(name, args)
        except ResponseError as error:
            return error

    def forget_scripts(self) -> None:
        """After a restart a server knows no script."""
        self._scripts.clear()

    def snapshot(self) -> tuple[Any, ...]:
        """A copy of everything."""
        copies = {}
        for key, value in self.values.items():
            if isinstance(value, SortedSet):
                copy = SortedSet()
                copy.scores, copy.order = dict(value.scores), list(value.order)
                copies[key] = copy
            else:
                copies[key] = value if isinstance(value, bytes) else type(value)(value)
        return copies, dict(self.expires)

    def restore(self, snapshot: tuple[Any, ...]) -> None:
        """Go back to a copy, which is used up."""
        self.values, self.expires = snapshot

    def dump(self) -> bytes:
        """Everything in one text, the same for the same content."""
        parts = []
        for key in sorted(self.values):
            value = self.values[key]
            match value:
                case SortedSet():
                    shown: object = value.order
                case set():
                    shown = sorted(value)
                case dict():
                    shown = sorted(value.items())
                case _:
                    shown = value
            parts.append(key + repr(shown).encode())
        return b"\n".join(parts)

    def list_keys(self, pattern: bytes = b"*") -> list[bytes]:
        """All keys that match."""
        self._expire_all()
        if pattern == b"*":
            return list(self.values)
        wanted = pattern.decode()
        return [key for key in self.values if fnmatch.fnmatchcase(key.decode(), wanted)]

    # Scripts

    def _evaluate(self, name: bytes, args: list[bytes]) -> Any:
        if name == b"EVAL":
            sha = hashlib.sha1(args[0]).hexdigest().encode()
            if sha not in self._compiled:
                self._compiled[sha] = self._lua.compile(args[0])
            self._scripts[sha] = self._compiled[sha]
        else:
            sha = args[0]
        script = self._scripts.get(sha)
        if script is None:
            raise NoScriptError("NOSCRIPT No matching script. Please use EVAL.")
        count = int(args[1])
        self._written = False
        self._failure: ResponseError | None = None
        ok, answer = self._run(
            script, self._table(args[2 : 2 + count]), self._table(args[2 + count :])
        )
        if not ok:
            raise self._failure or ResponseError(repr(answer))
        return self._from_lua(answer)

    def _call_from_lua(self, protected: bool, name: bytes, *args: Any) -> Any:
        try:
            answer = self._call(name, [_text(part) for part in args])
        except ResponseError as error:
            if not protected:
                self._failure = error
            return self._table({b"err": str(error).encode()})
        if answer is None:
            return False
        if isinstance(answer, list):
            return self._table(answer)
        if answer is True:
            return self._table({b"ok": b"OK"})
        return answer if name != b"TYPE" else self._table({b"ok": answer})

    def _from_lua(self, answer: Any) -> Any:
        if answer is None or answer is False:
            return None
        if answer is True:
            return 1
        if isinstance(answer, float):
            return int(answer)
        if isinstance(answer, bytes | int):
            return answer
        if (problem := answer[b"err"]) is not None:
            raise _as_error(problem.decode())
        if (status := answer[b"ok"]) is not None:
            return status
        found: list[Any] = []
        for place in range(1, len(answer) + 1):
            found.append(self._from_lua(answer[place]))
        return found

    # Commands

    def _call(self, name: bytes, args: list[bytes]) -> Any:
        if name in WRITES:
            if self.read_only:
                raise ReadOnlyError(READ_ONLY.removeprefix("READONLY "))
            if self.full and name in NEEDS_ROOM and not self._written:
                raise OutOfMemoryError(OUT_OF_MEMORY.removeprefix("OOM "))
            self._written = True
        handler = self._commands.get(name)
        if handler is None:
            raise ResponseError(f"unknown command '{name.decode()}'")
        return handler(*args)

    def _get(self, key: bytes, kind: type[Any]) -> Any:
        if self.expires and self.expires.get(key, 1 << 62) <= self._now_ms():
            del self.values[key], self.expires[key]
            return None
        value = self.values.get(key)
        if value is not None and not isinstance(value, kind):
            raise ResponseError(WRONG_TYPE)
        return value

    def _drop_if_empty(self, key: bytes, value: Any) -> None:
        if not (value.scores if isinstance(value, SortedSet) else value):
            del self.values[key]
            self.expires.pop(key, None)

    def _expire_all(self) -> None:
        now = self._now_ms()
        for key in [key for key, at in self.expires.items() if at <= now]:
            del self.values[key], self.expires[key]

    def _do_ping(self) -> bytes:
        return b"PONG"

    def _do_type(self, key: bytes) -> bytes:
        value = self._get(key, object)
        return b"none" if value is None else _NAMES[type(value)]

    def _do_exists(self, *keys: bytes) -> int:
        return sum(self._get(key, object) is not None for key in keys)

    def _do_del(self, *keys: bytes) -> int:
        there = [key for key in keys if self._get(key, object) is not None]
        for key in there:
            del self.values[key]
            self.expires.pop(key, None)
        return len(there)

    def _do_rename(self, key: bytes, new: bytes) -> bool:
        if self._get(key, object) is None:
            raise ResponseError("no such key")
        self._do_del(new)
        self.values[new] = self.values.pop(key)
        if key in self.expires:
            self.expires[new] = self.expires.pop(key)
        return True

    def _do_flushall(self, *_: bytes) -> bool:
        self.values.clear()
        self.expires.clear()
        return True

    def _do_pexpire(self, key: bytes, life: bytes) -> int:
        if self._get(key, object) is None:
            return 0
        self.expires[key] = self._now_ms() + int(float(life))
        return 1

    def _do_persist(self, key: bytes) -> int:
        return int(self._get(key, object) is not None and self.expires.pop(key, None) is not None)

    def _do_pttl(self, key: bytes) -> int:
        if self._get(key, object) is None:
            return -2
        return self.expires[key] - self._now_ms() if key in self.expires else -1

    def _do_get(self, key: bytes) -> bytes | None:
        found: bytes | None = self._get(key, bytes)
        return found

    def _do_mget(self, *keys: bytes) -> list[bytes | None]:
        found = [self._get(key, object) for key in keys]
        return [one if isinstance(one, bytes) else None for one in found]

    def _do_set(self, key: bytes, value: bytes, *options: bytes) -> bool | None:
        exists = self._get(key, object) is not None
        if (b"NX" in options and exists) or (b"XX" in options and not exists):
            return None
        self.values[key] = value
        self.expires.pop(key, None)
        if b"PX" in options:
            self.expires[key] = self._now_ms() + int(float(options[options.index(b"PX") + 1]))
        return True

    def _do_getrange(self, key: bytes, start: bytes, end: bytes) -> bytes:
        value = self._get(key, bytes) or b""
        last = int(end)
        return bytes(value[int(start) : last + 1 if last >= 0 else len(value) + last + 1])

    def _do_setrange(self, key: bytes, offset: bytes, part: bytes) -> int:
        value, at = self._get(key, bytes) or b"", int(offset)
        value = value.ljust(at, b"\0")
        self.values[key] = value = value[:at] + part + value[at + len(part) :]
        return len(value)

    def _do_hget(self, key: bytes, name: bytes) -> bytes | None:
        found: bytes | None = (self._get(key, dict) or {}).get(name)
        return found

    def _do_hset(self, key: bytes, *pairs: bytes) -> int:
        value = self._get(key, dict)
        if value is None:
            value = self.values[key] = {}
        before = len(value)
        value.update(zip(pairs[::2], pairs[1::2], strict=True))
        return len(value) - before

    def _do_hsetnx(self, key: bytes, name: bytes, text: bytes) -> int:
        return 0 if self._do_hget(key, name) is not None else self._do_hset(key, name, text)

    def _do_hdel(self, key: bytes, *names: bytes) -> int:
        value = self._get(key, dict)
        if value is None:
            return 0
        gone = sum(value.pop(name, None) is not None for name in names)
        self._drop_if_empty(key, value)
        return gone

    def _do_hlen(self, key: bytes) -> int:
        return len(self._get(key, dict) or {})

    def _do_hkeys(self, key: bytes) -> list[bytes]:
        return list(self._get(key, dict) or {})

    def _do_hgetall(self, key: bytes) -> list[bytes]:
        return [part for pair in (self._get(key, dict) or {}).items() for part in pair]

    def _do_sadd(self, key: bytes, *members: bytes) -> int:
        value = self._get(key, set)
        if value is None:
            value = self.values[key] = set()
        before = len(value)
        value.update(members)
        return len(value) - before

    def _do_srem(self, key: bytes, *members: bytes) -> int:
        value = self._get(key, set)
        if value is None:
            return 0
        before = len(value)
        value.difference_update(members)
        gone = before - len(value)
        self._drop_if_empty(key, value)
        return gone

    def _do_smembers(self, key: bytes) -> list[bytes]:
        return sorted(self._get(key, set) or ())

    def _do_zadd(self, key: bytes, *parts: bytes) -> int:
        value = self._get(key, SortedSet)
        only_known = parts[0] == b"XX"
        pairs = parts[1:] if only_known else parts
        if value is None:
            if only_known:
                return 0
            value = self.values[key] = SortedSet()
        new = 0
        for score, member in zip(pairs[::2], pairs[1::2], strict=True):
            if not only_known or member in value.scores:
                new += value.put(member, float(score))
        return new

    def _do_zrem(self, key: bytes, *members: bytes) -> int:
        value = self._get(key, SortedSet)
        if value is None:
            return 0
        gone = sum(value.remove(member) for member in members)
        self._drop_if_empty(key, value)
        return gone

    def _do_zscore(self, key: bytes, member: bytes) -> bytes | None:
        value = self._get(key, SortedSet)
        score = value.scores.get(member) if value is not None else None
        return None if score is None else _number(score)

    def _do_zcard(self, key: bytes) -> int:
        value = self._get(key, SortedSet)
        return 0 if value is None else len(value.scores)

    def _do_zcount(self, key: bytes, low: bytes, high: bytes) -> int:
        value = self._get(key, SortedSet)
        return 0 if value is None else len(value.between(float(low), float(high)))

    def _do_zrange(self, key: bytes, start: bytes, end: bytes, *options: bytes) -> list[bytes]:
        value = self._get(key, SortedSet)
        if value is None:
            return []
        size = len(value.order)
        first, last = int(start), int(end)
        first = max(0, first + size) if first < 0 else first
        last = last + size if last < 0 else last
        return _listed(value.order[first : last + 1], options)

    def _do_zrangebyscore(
        self, key: bytes, low: bytes, high: bytes, *options: bytes
    ) -> list[bytes]:
        value = self._get(key, SortedSet)
        if value is None:
            return []
        found = value.between(float(low), float(high))
        if b"LIMIT" in options:
            place = options.index(b"LIMIT")
            skipped, count = int(options[place + 1]), int(options[place + 2])
            found = found[skipped:] if count < 0 else found[skipped : skipped + count]
        return _listed(found, options)

    def _do_zremrangebyscore(self, key: bytes, low: bytes, high: bytes) -> int:
        value = self._get(key, SortedSet)
        if value is None:
            return 0
        found = value.between(float(low), float(high))
        for _, member in found:
            value.remove(member)
        self._drop_if_empty(key, value)
        return len(found)

    def _do_wait(self, replicas: bytes, timeout: bytes) -> int:
        return 0

    def _do_time(self) -> list[bytes]:
        now = self._now_ms()
        return [str(now // 1000).encode(), str(now % 1000 * 1000).encode()]


def _listed(entries: list[tuple[float, bytes]], options: Sequence[bytes]) -> list[bytes]:
    if b"WITHSCORES" not in options:
        return [member for _, member in entries]
    return [part for score, member in entries for part in (member, _number(score))]


def _as_error(problem: str) -> ResponseError:
    kinds: dict[str, type[ResponseError]] = {"OOM": OutOfMemoryError, "READONLY": ReadOnlyError}
    word, _, rest = problem.partition(" ")
    return kinds[word](rest) if word in kinds else ResponseError(problem)


_BOOT = b"""
local call_python = ...
return function(call)
  redis = {}
  function redis.call(...)
    local answer = call(false, ...)
    if type(answer) == 'table' and answer.err then
      error(answer, 0)
    end
    return answer
  end
  function redis.pcall(...)
    return call(true, ...)
  end
  function redis.error_reply(text)
    return {err = text}
  end
  return function(script, keys, args)
    KEYS, ARGV = keys, args
    return pcall(script)
  end
end
"""
