"""Shapes hold names, types and words of enumerations, and never a value."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from bridge.core.answer_shape import (
    DEPTH_LIMIT,
    ITEMS_LIMIT,
    NAMES_LIMIT,
    NODES_LIMIT,
    NonJsonBody,
    ObservedFact,
    list_shape_facts,
    list_shape_facts_of_names,
    show_undocumented_words,
)
from bridge.core.contract_diff import describe_fact, list_contract_changes
from bridge.core.redaction import mask_unprintable_word

NOW = datetime(2026, 1, 6, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def test_names_types_and_words() -> None:
    """Every name stands with its place and type; of values only the words of an enumeration."""
    document = {
        "status": "In_Progress",
        "fit": "high",
        "scores": [{"value": 3}, {"value": None, "percentile": 0.5}],
        "done": True,
    }
    assert list_shape_facts(
        "200",
        document,
        {"$.status": mask_unprintable_word, "$.fit": show_undocumented_words("low", "high")},
    ) == {
        "200",
        "200 $: object",
        "200 $.status: string",
        "200 $.status = in_progress",
        "200 $.fit: string",
        "200 $.fit = (documented)",
        "200 $.scores: array",
        "200 $.scores[]: object",
        "200 $.scores[].value: number",
        "200 $.scores[].value: null",
        "200 $.scores[].percentile: number",
        "200 $.done: boolean",
    }
    assert list_shape_facts("404", NonJsonBody.EMPTY, {}) == {"404", "404 $: empty"}
    assert list_shape_facts("502", NonJsonBody.NOT_JSON, {}) == {"502", "502 $: not JSON"}


def test_what_could_be_a_person() -> None:
    """Words of more than letters, maps by name or id, and names that were just sent are not
    shown.
    """
    assert "200 $.status = (unprintable)" in list_shape_facts(
        "200", {"status": "Ada Muster, done"}, {"$.status": mask_unprintable_word}
    )
    for name in ("Ada Muster", "ada@example.org", "Ada", "0b8f5c52", "f" * 41, "b7c2aa11x", "ä"):
        shape = list_shape_facts("200", {"by": {name: 1, "anna": 2}}, {})
        assert shape == {"200", "200 $: object", "200 $.by: object", "200 $.by.*: number"}
    private = frozenset({"muster", "will"})
    assert "200 $.*: number" in list_shape_facts("200", {"muster": 1}, {}, private)
    assert "200 $.status = *" in list_shape_facts(
        "200", {"status": "Will"}, {"$.status": mask_unprintable_word}, private
    )


def test_names_of_queries_and_headers() -> None:
    """Parameters and uncommon headers are named; what proxies add is not."""
    headers = ["Host", "X-Callback-Token", "X-Forwarded-For", "traceparent", "Content-Type", "ä"]
    assert list_shape_facts_of_names(["page", "Ada Muster"], headers) == {
        "request ?page",
        "request ?*",
        "request header x-callback-token",
    }


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=60,
)


@given(_JSON)
def test_any_document_has_a_small_shape(document: object) -> None:
    """Whatever comes, its shape is bounded ASCII of one line each."""
    shape = list_shape_facts("200", document, {"$.a": mask_unprintable_word})
    assert len(shape) <= 2 * NODES_LIMIT + 1
    assert all(fact.isascii() and fact.isprintable() for fact in shape)


_NAMES = st.sampled_from(["a", "b", "data", "status", "Ada Muster", "ada", "x1"])
_SMALL = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["open", "Ada"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=4),
    max_leaves=12,
)


def _list_plainly(where: str, path: str, value: object, private: frozenset[str]) -> set[str]:
    """The facts as their definition says, of a document within all limits."""
    names = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    facts = {f"{where} {path}: {names.get(type(value), 'number')}"}
    if isinstance(value, str) and path in {"$.status", "$.data.status"}:
        word = mask_unprintable_word(value)
        facts.add(f"{where} {path} = {'*' if word in private else word}")
    if isinstance(value, list):
        for item in value:
            facts |= _list_plainly(where, f"{path}[]", item, private)
    if isinstance(value, dict):
        plain = value.keys() <= {"a", "b", "data", "status", "ada", "x1"} - private
        for name, inner in value.items():
            facts |= _list_plainly(where, f"{path}.{name if plain else '*'}", inner, private)
    return facts


@given(_SMALL, st.frozensets(st.sampled_from(["ada", "b", "open", "muster"])))
def test_a_shape_is_what_a_plain_walk_finds(document: object, private: frozenset[str]) -> None:
    """Whether or not a document of the same outline came before, and whatever is private."""
    words = {"$.status": mask_unprintable_word, "$.data.status": mask_unprintable_word}
    for _ in range(2):
        shape = list_shape_facts("200", document, words, private)
        assert shape == {"200"} | _list_plainly("200", "$", document, private)


def test_a_new_name_is_noticed_at_once() -> None:
    """One name more, one type that is another, one new word, anywhere: the shape is another."""
    words = {"$.status": mask_unprintable_word}
    known = list_shape_facts("200", {"status": "open", "all": [{"b": [1]}, {"b": [1]}]}, words)
    for document in (
        {"status": "shut", "all": [{"b": [1]}, {"b": [1]}]},
        {"status": "open", "all": [{"b": [1]}, {"b": ["1"]}]},
        {"status": "open", "all": [{"b": [1]}, {"b": [1], "c": None}]},
        {"status": None, "all": [{"b": [1]}, {"b": [1]}]},
    ):
        assert list_shape_facts("200", document, words) - known


def test_long_names_are_not_remembered() -> None:
    """Names as long as texts have a shape like all others."""
    document = {"a" * 5000: 1, "b": {"c": 1}}
    for private in (frozenset[str](), frozenset({"c"})):
        assert list_shape_facts("200", document, {}, private) == {
            "200",
            "200 $: object",
            "200 $.*: number",
            "200 $.*: object",
            f"200 $.*.{'*' if private else 'c'}: number",
        }
    assert list_shape_facts_of_names(["p" * 5000], ["x-" + "y" * 5000]) == {"request ?*"}


def test_what_is_too_much_is_left_out() -> None:
    """Of a document that is too wide, too deep or too long the shape ends where the limits are,
    and is the same when it comes again.
    """
    deep: object = 1
    for _ in range(DEPTH_LIMIT + 5):
        deep = [deep]
    wide = {f"n{number}": number for number in range(NAMES_LIMIT + 5)}
    long = [[[0] * ITEMS_LIMIT] * ITEMS_LIMIT] * ITEMS_LIMIT
    for document, most in ((deep, DEPTH_LIMIT + 2), (wide, NAMES_LIMIT + 2), (long, 5)):
        first = list_shape_facts("200", document, {})
        assert 2 < len(first) <= most
        assert list_shape_facts("200", document, {}) == first


def test_a_shape_costs_little() -> None:
    """The shape of a full report of ten traits takes well under a millisecond."""
    trait = {"trait_code": "c", "trait_name": "n", "trait_bucket_score": 3, "range": [3, 4, 5]}
    report = json.loads(json.dumps({"fit": "high", "detailed_scores": [trait] * 10}))
    spent = []
    for _ in range(50):
        began = time.perf_counter()
        list_shape_facts("200", report, {"$.fit": mask_unprintable_word})
        spent.append(time.perf_counter() - began)
    assert min(spent) < 0.001


def _fact(
    text: str, first: datetime, last: datetime = NOW, operation: str = "status"
) -> ObservedFact:
    return ObservedFact("equalture", operation, text, first, last)


def test_what_changed_since() -> None:
    """New facts of an operation that was known, and those that came no more though it was asked,
    are changes; rare statuses and new operations are none.
    """
    old = NOW - 30 * DAY
    facts = [
        _fact("200", old),
        _fact("200 $.status = finished", NOW - DAY),
        _fact("200 $.status = completed", old, NOW - 5 * DAY),
        _fact("429", old, old),
        _fact("200", NOW - DAY, operation="public_link"),
    ]
    found = list_contract_changes(facts, NOW - 2 * DAY)
    assert [(one.new, one.words) for one in found] == [
        (False, "no longer: status says `completed`"),
        (True, "status says `finished`"),
    ]
    assert list_contract_changes(facts, NOW + DAY) == []


def test_facts_in_words() -> None:
    """Each kind of fact can be said in words."""
    assert describe_fact("200 $.scores[].percentile: number") == "`scores[].percentile` is number"
    assert describe_fact("200 $: array") == "the body is array"
    assert describe_fact("422 $.error: string") == "`error` is string (of a 422)"
    assert describe_fact("request ?page") == "has the query parameter `page`"
    assert describe_fact("request header x-token") == "has the header `x-token`"
    assert (describe_fact("request"), describe_fact("404")) == ("was sent", "answers 404")
