"""What changed in the vendors' contracts since some moment, and how to say it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from bridge.core.answer_shape import REQUEST, ObservedFact

_TYPED = re.compile(r"(?P<where>\S+) (?P<path>\$\S*): (?P<type>.+)")
_WORD = re.compile(r"(?P<where>\S+) (?P<path>\$\S*) = (?P<word>.+)")


@dataclass(frozen=True, slots=True)
class ContractChange:
    """A fact that is new, or that was not seen again though its operation was."""

    fact: ObservedFact
    new: bool
    words: str
    """A sentence without its subject, which is the operation."""


def list_contract_changes(facts: Iterable[ObservedFact], since: datetime) -> list[ContractChange]:
    """The changes since then, by vendor and operation.

    An operation that was first seen after *since* is new as a whole, which is one change: its
    statuses, and what came along at that time, are no news of their own.
    """
    known = sorted(facts)
    begun: dict[tuple[str, str], datetime] = {}
    last: dict[tuple[str, str, str], datetime] = {}
    for fact in known:
        operation, where = (fact.vendor, fact.operation), fact.text.split(" ")[0]
        begun[operation] = min(fact.first_at, begun.get(operation, fact.first_at))
        key = (*operation, where)
        last[key] = max(fact.last_at, last.get(key, fact.last_at))
    found = []
    for fact in known:
        where = fact.text.split(" ")[0]
        lives = last[fact.vendor, fact.operation, where] >= since
        if fact.first_at >= since and begun[fact.vendor, fact.operation] < fact.first_at:
            found.append(ContractChange(fact, True, describe_fact(fact.text)))
        elif fact.last_at < since and lives and where != fact.text:
            found.append(ContractChange(fact, False, f"no longer: {describe_fact(fact.text)}"))
    return found


def describe_fact(fact: str) -> str:
    """A fact as a part of a sentence."""
    if word := _WORD.fullmatch(fact):
        return f"{_place(word['path'])} says `{word['word']}`{_of(word['where'])}"
    if typed := _TYPED.fullmatch(fact):
        if typed["path"] == "$":
            return f"the body is {typed['type']}{_of(typed['where'])}"
        return f"`{_place(typed['path'])}` is {typed['type']}{_of(typed['where'])}"
    where, _, rest = fact.partition(" ")
    if rest.startswith("?"):
        return f"has the query parameter `{rest[1:]}`"
    if rest.startswith("header "):
        return f"has the header `{rest.removeprefix('header ')}`"
    return "was sent" if where == REQUEST else f"answers {where}"


def _place(path: str) -> str:
    return path.removeprefix("$").removeprefix(".") or "the body"


def _of(where: str) -> str:
    return "" if where in (REQUEST, "200", "201") else f" (of a {where})"
