"""The shape of what a vendor sends: which names it has, of which types, and the words of fields
that are known to be enumerations. Never a value that could be personal.

A shape is a set of facts, each one short line of ASCII::

    200                                an answer with this status ("request": what a vendor sent)
    200 $.traits[].score: number       a name, where it stands, and the type of its value
    200 $.status = in_progress         a word of an enumeration
    request ?page                      the name of a query parameter
    request header x-token             the name of a header
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Collection, Container, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import islice
from typing import Any

from bridge.core.redaction import mask_unprintable_word

Shape = frozenset[str]


@dataclass(frozen=True, slots=True, order=True)
class ObservedFact:
    """One fact, and when it was seen first and last (that to the hour)."""

    vendor: str
    operation: str
    text: str
    first_at: datetime
    last_at: datetime


REQUEST = "request"
"""In place of a status, for what a vendor sends by itself."""
DATA = "*"
"""Stands for the names of an object that look like data: a map by name, date or id."""
DOCUMENTED = "(documented)"
"""Stands for the words of an enumeration that say something of a person, as long as they are those
that everybody knows.
"""
NODES_LIMIT = 400
ITEMS_LIMIT = 20
NAMES_LIMIT = 60
DEPTH_LIMIT = 40
VALUES_LIMIT = 2000
WORD_LIMIT = 60
"""Characters of a word that is remembered."""
REMEMBERED_LIMIT = 4096
"""Characters of all names of a document whose shape is remembered."""
_NAME = re.compile(r"[a-z_][A-Za-z_-]{0,39}[0-9]{0,2}", re.ASCII)
_HEADER = re.compile(r"[a-z][a-z0-9-]{0,39}", re.ASCII)
_COMMON_HEADERS = re.compile(
    r"accept.*|authorization|baggage|cache-control|cdn-.*|cf-.*|connection|content-.*|cookie|date"
    r"|expect|forwarded|from|host|keep-alive|origin|pragma|referer|sec-.*|te|trace.*"
    r"|transfer-encoding|upgrade.*|user-agent|via|x-amz.*|x-b3.*|x-forwarded.*|x-real-ip"
    r"|x-request-id|x-request-start"
)


_NESTED = frozenset({dict, list})
_TYPES = {
    dict: "object",
    list: "array",
    str: "string",
    bool: "boolean",
    int: "number",
    float: "number",
    type(None): "null",
}


class NonJsonBody(StrEnum):
    """What a body is that holds no JSON."""

    EMPTY = "empty"
    NOT_JSON = "not JSON"


Enumerations = Mapping[str, Callable[[str], str]]
"""Where an enumeration stands, such as ``$.status`` (never within a list), and how its words are
shown.
"""


def list_shape_facts(
    where: str, document: object, enumerations: Enumerations, private: frozenset[str] = frozenset()
) -> Shape:
    """The shape of *document*.

    *private* are lower-case texts that no name may be: they have just been sent, or came along.

    Most documents have an outline that came before, whose facts are remembered: making the outline
    alone takes a fifth of the time.
    """
    outline: Any = document if isinstance(document, NonJsonBody) else type(document)
    if outline in _NESTED:
        outline = _outline(document, [VALUES_LIMIT], DEPTH_LIMIT)
    words = _find_words(document, enumerations, private) if enumerations else ()
    try:
        facts, names = _remember_facts(where, outline, words)
    except _TooMuchToRemember:
        return _list_facts(where, outline, words, private)[0]
    if private and not private.isdisjoint(names):
        return _list_facts(where, outline, words, private)[0]
    return facts


def show_undocumented_words(*documented: str) -> Callable[[str], str]:
    """How the words of an enumeration are shown that say something of a person: only those that
    nobody knows yet.
    """

    def shown(text: str) -> str:
        word = mask_unprintable_word(text)
        return DOCUMENTED if word in documented else word

    return shown


def list_shape_facts_of_names(query: Iterable[str], headers: Iterable[str] = ()) -> Shape:
    """The names of a request's query parameters and of its uncommon headers."""
    parameters, fields = tuple(query), tuple(headers)
    try:
        return _remember_facts_of_names(parameters, fields)
    except _TooMuchToRemember:
        return _list_facts_of_names(parameters, fields)


class _TooMuchToRemember(Exception):
    """Whoever sends names as long as texts must not fill the memory."""


def _outline(value: Any, left: list[int], depth: int) -> Any:
    """All that decides on the facts of an object or a list, but for the words: of an object its
    names and the outlines of their values, of a list the different outlines of its items; of
    anything else the type. Of what is nested too deep, or comes after *left* values, it is the type
    alone, too.
    """
    if type(value) is list:
        names, inner = None, value[:ITEMS_LIMIT]
    else:
        if len(value) > NAMES_LIMIT:
            value = dict(islice(value.items(), NAMES_LIMIT))
        names, inner = tuple(value), value.values()
    left[0] -= len(inner)
    if left[0] < 0 or not depth:
        return type(value)
    kinds: Any = tuple(map(type, inner))
    if not _NESTED.isdisjoint(kinds):
        kinds = tuple(
            [_outline(one, left, depth - 1) if type(one) in _NESTED else type(one) for one in inner]
        )
    return frozenset(kinds) if names is None else (names, kinds)


def _find_words(
    document: object, enumerations: Enumerations, private: Container[str]
) -> tuple[tuple[str, str], ...]:
    """Where the words of enumerations stand, and how they are shown."""
    words = []
    for path, shown in enumerations.items():
        value = document
        for name in _split_path(path):
            value = value.get(name) if isinstance(value, dict) else None
        if isinstance(value, str):
            word = _show_word(shown, value) if len(value) <= WORD_LIMIT else shown(value)
            words.append((path, word if word not in private else DATA))
    return tuple(words)


@functools.lru_cache(maxsize=256)
def _show_word(shown: Callable[[str], str], word: str) -> str:
    return shown(word)


@functools.cache
def _split_path(path: str) -> tuple[str, ...]:
    return tuple(path.split(".")[1:])


def _list_facts(
    where: str,
    outline: Any,
    words: Iterable[tuple[str, str]],
    private: Container[str] = (),
) -> tuple[Shape, frozenset[str]]:
    """The facts, and in lower case all names that they were taken from."""
    facts, names = {where}, set()
    left = NODES_LIMIT
    todo: list[tuple[str, Any]] = [("$", outline)]
    while todo and left:
        left -= 1
        path, value = todo.pop()
        facts.add(f"{where} {path}: {_name_type(value)}")
        if isinstance(value, tuple):
            low = [name.lower() for name in value[0]]
            names.update(low)
            plain = all(map(_is_plain, value[0])) and not any(name in private for name in low)
            todo += [
                (f"{path}.{name if plain else DATA}", inner)
                for name, inner in zip(*value, strict=True)
            ]
        elif isinstance(value, frozenset):
            todo += [(f"{path}[]", inner) for inner in value]
    facts.update(
        f"{where} {path} = {word}" for path, word in words if f"{where} {path}: string" in facts
    )
    return frozenset(facts), frozenset(names)


def _name_type(outline: Any) -> str:
    if isinstance(outline, tuple):
        return "object"
    if isinstance(outline, frozenset):
        return "array"
    return _TYPES.get(outline, str(outline))


@functools.lru_cache(maxsize=1024)
def _remember_facts(
    where: str, outline: Any, words: tuple[tuple[str, str], ...]
) -> tuple[Shape, frozenset[str]]:
    facts, names = _list_facts(where, outline, words)
    _check_length(names)
    return facts, names


@functools.lru_cache(maxsize=256)
def _remember_facts_of_names(query: tuple[str, ...], headers: tuple[str, ...]) -> Shape:
    _check_length(query)
    _check_length(headers)
    return _list_facts_of_names(query, headers)


def _list_facts_of_names(query: tuple[str, ...], headers: tuple[str, ...]) -> Shape:
    facts = {f"{REQUEST} ?{name if _is_plain(name) else DATA}" for name in query[:20]}
    for name in headers[:NAMES_LIMIT]:
        low = name.lower()
        if _HEADER.fullmatch(low) and not _COMMON_HEADERS.fullmatch(low):
            facts.add(f"{REQUEST} header {low}")
    return frozenset(facts)


def _check_length(names: Collection[str]) -> None:
    if sum(map(len, names)) > REMEMBERED_LIMIT:
        raise _TooMuchToRemember


def _is_plain(name: str) -> bool:
    return _NAME.fullmatch(name) is not None
