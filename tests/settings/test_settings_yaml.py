import contextlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.errors import ConfigError, ConfigMistake
from bridge.settings.environment_variables import ExpandedText
from bridge.settings.findings import FilePosition, MistakeCollector, PositionedValue
from bridge.settings.yaml_source import parse_yaml, read_text

ENVIRON = {"SET": "value", "EMPTY": "", "NUMBER": "7", "NESTED": "${SET}"}


def read(text: str) -> tuple[Any, list[ConfigMistake]]:
    """What the text holds as plain data, and what is wrong with it."""
    found = MistakeCollector("x.yaml")
    return plain(parse_yaml(text, found, ENVIRON)), found.mistakes


def plain(item: PositionedValue) -> Any:
    match item.value:
        case dict():
            return {name: plain(inner) for name, inner in item.value.items()}
        case list():
            return [plain(inner) for inner in item.value]
        case _:
            return item.value


def data(text: str) -> object:
    found, complaints = read(text)
    assert complaints == []
    return found


def first(text: str) -> tuple[int, int, str]:
    try:
        _, complaints = read(text)
    except ConfigError as error:
        complaints = list(error.mistakes)
    return complaints[0].line, complaints[0].column, complaints[0].message


def test_scalars() -> None:
    """Only true, false, null and decimal numbers are not text; quotes make text of them."""
    assert data("{a: true, b: null, c: ~, d: 12, e: 1.5, f: , g: -3}") == {
        "a": True,
        "b": None,
        "c": None,
        "d": 12,
        "e": 1.5,
        "f": None,
        "g": -3,
    }
    assert data(
        "{a: off, b: yes, c: 010, d: 12:30, e: 2024-01-01, f: '12', g: \"true\", h: 0x1}"
    ) == {
        "a": "off",
        "b": "yes",
        "c": "010",
        "d": "12:30",
        "e": "2024-01-01",
        "f": "12",
        "g": "true",
        "h": "0x1",
    }


@pytest.mark.parametrize("text", ["", "# only a comment", "---", "null"])
def test_empty(text: str) -> None:
    """A file without content is an empty mapping."""
    assert data(text) == {}


def test_aliases() -> None:
    """Anchors and aliases repeat a value."""
    assert data("{a: &x [1, 2], b: *x}") == {"a": [1, 2], "b": [1, 2]}


def test_byte_order_mark(tmp_path: Path) -> None:
    """A byte order mark, as Windows editors write it, does no harm."""
    file = tmp_path / "x.yaml"
    file.write_bytes(b"\xef\xbb\xbfa: 1\n")
    root = parse_yaml(read_text(file), MistakeCollector("x.yaml"), {})
    assert plain(root) == {"a": 1}
    assert root.value["a"].key == FilePosition(1, 1)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("${SET}", "value"),
        ("'a-${SET}-${SET}'", "a-value-value"),
        ("${EMPTY}", ""),
        ("${EMPTY:-default}", "default"),
        ("${UNSET:-de fault:x}", "de fault:x"),
        ('"${UNSET:-}"', ""),
        ("$${SET}", "${SET}"),
        ("${NESTED}", "${SET}"),
        ("$SET costs $5", "$SET costs $5"),
        ("'{fit}'", "{fit}"),
    ],
)
def test_expansion(text: str, result: str) -> None:
    """References are replaced once, as text; $${ is a literal ${."""
    assert data(f"a: {text}") == {"a": result}


@pytest.mark.parametrize(
    ("text", "whole"), [("${NUMBER}", True), ("'${NUMBER}'", True), ("1${NUMBER}", False)]
)
def test_whole(text: str, whole: bool) -> None:
    """Only a scalar that is one reference, quoted or not, may later be read as a number."""
    value = read(f"a: {text}")[0]["a"]
    assert isinstance(value, ExpandedText)
    assert value.whole is whole
    assert value.names == ("NUMBER",)


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("a: 1\nb: 2\na: 3", 3, 1, "duplicate key 'a': it is already in line 1"),
        ("x:\n  - {k: 1,\n     k: 2}", 3, 6, "duplicate key 'k'"),
        ("a: !!python/object:os.system x", 1, 4, "tags"),
        ("a: ! x", 1, 4, "tags"),
        ("a: !!str 5", 1, 4, "tags"),
        ("- a", 1, 1, "expected keys and values"),
        ("text", 1, 1, "expected keys and values"),
        ("a: 1\n---\nb: 2", 2, 1, "one document"),
        ("a: [1, 2", 1, 4, "not YAML"),
        ("a: 1\n  b: 2", 2, 3, "not YAML"),
        ("a: *b", 1, 4, "alias"),
        ("a: &x [*x]", 1, 8, "alias"),
        ("? [a]\n: 1", 1, 3, "a key must be plain text"),
        ("a: b\x01", 1, 5, "does not allow"),
        ('a: "\\0"', 1, 4, "control character"),
        ('a: "\\ud800"', 1, 4, "surrogate"),
        ('a: "\\UFFFFFFFF"', 1, 7, "impossible"),
        ("a:\n  b: ${UNSET}", 2, 6, "UNSET is not set"),
        ("a: [x, '${1}']", 1, 8, "expected ${NAME}"),
        ("a: ${A:-${B}}", 1, 4, "expected ${NAME}"),
        ("a: " + "[" * 40 + "]" * 40, 1, 36, "levels deep"),
        ("a: [${SET}]", 1, 6, "put ${...} into quotes"),
        ("a: \t- b", 1, 4, "not YAML"),
    ],
)
def test_complaints(text: str, line: int, column: int, message: str) -> None:
    """What surprises is refused, at its position."""
    found = first(text)
    assert found[:2] == (line, column)
    assert message in found[2]


def test_all_unset_variables_are_told() -> None:
    """One unset variable does not hide the next."""
    assert [one.line for one in read("a: ${U1}\nb: ${U2} ${U3}")[1]] == [
        1,
        2,
        2,
    ]


@pytest.mark.parametrize("width", [10, 40])
def test_alias_bomb(width: int) -> None:
    """Aliases of aliases end in a complaint, not in memory."""
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, 12)]
    assert "too many aliases" in first("\n".join(lines))[2]


def test_deep_aliases() -> None:
    """Depth is limited also where it comes from aliases."""
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [[[[*a{n - 1}]]]]" for n in range(1, 20)]
    assert "too many aliases" in first("\n".join(lines))[2]


def test_size(tmp_path: Path) -> None:
    """A file above 1 MiB is not read."""
    file = tmp_path / "x.yaml"
    file.write_text("#" * (1 << 20) + "\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="1 MiB"):
        read_text(file)


def test_not_utf8(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 are told by position."""
    file = tmp_path / "x.yaml"
    file.write_bytes(b"a: 1\nb: \xff\n")
    with pytest.raises(ConfigError, match=r"x\.yaml:2:4: is not UTF-8"):
        read_text(file)


PIECES = [
    *[
        "a: ",
        "- ",
        "\n",
        "  ",
        "&x ",
        "*x",
        "${SET}",
        "${",
        "}",
        '"',
        "'",
        "[",
        "]",
        "{",
        "? ",
        "|\n",
        ">-\n",
        "<<: ",
    ],
    *["%YAML 1.1\n", "---\n", "!!int ", "\\x"],
]
SIGNS = "ab:-[]{}&*!%?|>'\"#,\n\t $\\Uux0123456789FSET~<=@`."


@settings(max_examples=300, deadline=None)
@given(
    st.text(max_size=80)
    | st.text(SIGNS, max_size=80)
    | st.lists(st.sampled_from(PIECES), max_size=30).map("".join)
)
def test_anything(text: str) -> None:
    """Whatever the text, the reader gives a mapping or raises ConfigError."""
    with contextlib.suppress(ConfigError):
        assert isinstance(read(text)[0], dict)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    """Whatever the bytes, the reader gives a mapping or raises ConfigError."""
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_bytes(raw)
    with contextlib.suppress(ConfigError):
        assert isinstance(read(read_text(file))[0], dict)
