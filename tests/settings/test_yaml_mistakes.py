"""PyYAML's usual errors, told as the mistakes that they are."""

from __future__ import annotations

import pytest

from bridge.errors import ConfigError
from bridge.settings.findings import MistakeCollector
from bridge.settings.yaml_source import parse_yaml

CASES = [
    # indentation: the line at fault, not the one after
    ("a:\n  b: []\n   c: 1\n", "3:4", "indentation", "indented by 3, which fits nothing above"),
    ("a:\n  b: text\n    c: 1\n", "3:5", "indentation", "deeper than the one above"),
    ("a:\n    b: 1\n  c: 2\n", "3:3", "indentation", "0 or 4 would"),
    ("a:\n  - id: x\n   job: y\n", "3:4", "indentation", "2 or 4 would"),
    ("a:\n  b: 1\n  - c\n", "3:3", "indentation", "indented by 2"),
    # tabs
    ("a:\n\tb: 1\n", "2:1", "tab", "tab"),
    ("a:\n  b: 1\n\tc: 1\n", "3:1", "tab", "spaces"),
    ("a: \t- b", "1:4", "tab", "tab"),
    # a colon within text
    ("a: Games: reasoning\n", "1:9", "colon-in-text", "put the whole text into quotes"),
    ("- a: 1\n  b: Games: reasoning\n", "2:11", "colon-in-text", "quotes"),
    # brackets
    ("a: [1, 2\nb: 3\n", "1:4", "unclosed-bracket", "the [ that begins here is not closed"),
    ("a: [1, 2", "1:4", "unclosed-bracket", "not closed"),
    ("a: {b: 1\nc: 2\n", "1:4", "unclosed-bracket", "the { that begins here"),
    ("a: [1,\n  - 2\n", "1:4", "unclosed-bracket", "the [ that begins here"),
    ("a: [[1], {b: 2, c: [\n", "1:20", "unclosed-bracket", "the [ that begins here"),
    ("a: {b: [1, 2}, c: 1}\n", "1:8", "unclosed-bracket", "the [ that begins here"),
    # quotes
    ('a: "text\nb: 2\n', "1:4", "unclosed-quote", "never closed"),
    ('a: "text\nb: "more"\n', "2:5", "unclosed-quote", "not closed further up"),
    ("a: 'it's'\n", "1:8", "unclosed-quote", "closed too early"),
    # what begins with a sign of YAML, and keys without a colon
    ("a: %text\n", "1:4", "quotes-needed", "begins with % into quotes"),
    ("a: @text\n", "1:4", "quotes-needed", "quotes"),
    ("a: 1\nb\nc: 2\n", "2:1", "missing-colon", "`key: value`"),
    ("a: 1\nb:2\nc: 3\n", "2:1", "missing-colon", "a colon and a space"),
    ("a:\n  b:2\n  c: 3\n", "2:3", "missing-colon", "a space is missing behind the colon"),
    ("a:\n  -b: 2\n    c: 3\n", "2:3", "missing-colon", "or the dash"),
    ("a:\n  http://x\n  c: 3\n", "3:3", "indentation", "deeper than the one above"),
]


@pytest.mark.parametrize(("text", "place", "code", "words"), CASES)
def test_usual_mistakes(text: str, place: str, code: str, words: str) -> None:
    """Each is told at the line where it was made, in words of somebody who writes YAML."""
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, MistakeCollector("x.yaml"), {})
    (found,) = caught.value.mistakes
    assert (f"{found.line}:{found.column}", found.code) == (place, code)
    assert found.message.startswith("this is not YAML: ")
    assert words in found.message
