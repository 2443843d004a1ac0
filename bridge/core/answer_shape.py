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
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import islice

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
    where: str, document: object, enumerations: Enumerations, private: Container[str] = ()
) -> Shape:
    """The shape of *document*.

    *private* are lower-case texts that no name may be: they have just been sent, or came along.
    """
    facts = {where}
    left = NODES_LIMIT
    todo: list[tuple[str, object]] = [("$", document)]
    while todo and left:
        left -= 1
        path, value = todo.pop()
        facts.add(f"{where} {path}: {_TYPES.get(type(value), value)}")
        if isinstance(value, dict):
            named = list(islice(value.items(), NAMES_LIMIT))
            plain = all(_is_plain(name) and name.lower() not in private for name, _ in named)
            todo += [(f"{path}.{name if plain else DATA}", inner) for name, inner in named]
        elif isinstance(value, list):
            todo += [(f"{path}[]", item) for item in _unlike(value[:ITEMS_LIMIT])]
        elif isinstance(value, str) and path in enumerations:
            word = enumerations[path](value)
            facts.add(f"{where} {path} = {word if word not in private else DATA}")
    return frozenset(facts)


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
    facts = {f"{REQUEST} ?{name if _is_plain(name) else DATA}" for name in islice(query, 20)}
    for name in islice(headers, NAMES_LIMIT):
        low = name.lower()
        if _HEADER.fullmatch(low) and not _COMMON_HEADERS.fullmatch(low):
            facts.add(f"{REQUEST} header {low}")
    return frozenset(facts)


def _unlike(items: list[object]) -> Iterator[object]:
    """The items without flat objects of a kind that came already: long lists are mostly such."""
    seen = set()
    for item in items:
        if isinstance(item, dict):
            kind = (tuple(item), tuple(map(type, item.values())))
            if kind in seen:
                continue
            if not _NESTED.intersection(kind[1]):
                seen.add(kind)
        yield item


@functools.lru_cache(maxsize=4096)
def _is_plain(name: str) -> bool:
    return _NAME.fullmatch(name) is not None
