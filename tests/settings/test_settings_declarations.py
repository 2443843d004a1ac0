"""What follows from the declaration of a setting by itself, and the files that are made from it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import pytest

from bridge.app import CONFIGURATION
from bridge.configuration import KINDS
from bridge.core.declaration import declared_settings, setting
from bridge.errors import ConfigError
from bridge.settings.daemon import load_daemon
from bridge.settings.json_schema import build_json_schema
from bridge.settings.loading import load_configuration
from bridge.settings.masking import mask_settings
from bridge.settings.table import build_settings_table
from tests.generated import CONFIG, generated

if TYPE_CHECKING:
    from conftest import Folder

SAMPLES = {"bridge": "bridge.yaml", "customer": "customers/example.yaml.sample"}


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


@dataclass(frozen=True, slots=True, kw_only=True)
class More(CONFIGURATION.types["bridge"]):  # type: ignore[misc]
    """What a new setting takes: one declaration."""

    colour: Colour = setting("The colour of the lamp.", default=Colour.RED)
    pause: timedelta | None = setting("Between two blinks; null: it does not.", default=None)


def test_a_new_setting_is_one_declaration(folder: Folder) -> None:
    """From its declaration alone a setting is read, shown, described to editors and people, and
    what is wrong with it is told with its place.
    """
    plain = load_daemon(folder.path, {}, More)
    assert (plain.colour, plain.pause) == (Colour.RED, None)
    text = (folder.path / "bridge.yaml").read_text()
    folder.bridge(text + "colour: green\npause: 5s\n")
    settings = load_configuration(
        folder.path, {}, More, CONFIGURATION.customer_format, strict=True, signing=True
    )
    assert (settings.colour, settings.pause) == (Colour.GREEN, timedelta(seconds=5))
    assert mask_settings(settings)["pause"] == "5s"
    found = build_json_schema(More, "bridge.yaml", {})["properties"]["colour"]
    assert found["description"] == "The colour of the lamp."
    assert {"enum": ["red", "green"]} in found["anyOf"]
    assert "| `colour` | `red` | The colour of the lamp. |\n" in build_settings_table(More, {})
    for line, message in (
        (
            "colour: gren",
            "expected one of red, green, found the text 'gren'; did you mean 'green'?",
        ),
        ("colur: red", "unknown key 'colur'; did you mean 'colour'?"),
        ("pause: 5", "pause: expected a duration such as 30s, 15m or 7d, found the number 5"),
    ):
        folder.bridge(f"{text}{line}\n")
        with pytest.raises(ConfigError) as caught:
            load_daemon(folder.path, {}, More)
        [complaint] = caught.value.mistakes
        assert complaint.line == text.count("\n") + 1
        assert message in complaint.message


def test_made_files_are_up_to_date() -> None:
    """The table of the settings and the schemas in config/ are what ``make settings`` writes."""
    for path, text in generated().items():
        assert path.read_text("utf-8") == text, "run `make settings`"


@pytest.mark.parametrize("kind", list(KINDS))
def test_samples_name_their_schema(kind: str) -> None:
    """The first line of a sample leads an editor to the schema, from wherever both were written."""
    sample = CONFIG / SAMPLES[kind]
    first = sample.read_text("utf-8").partition("\n")[0]
    path = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)
    assert path is not None
    named = (sample.parent / path[1]).resolve()
    assert named == (CONFIG / "schema" / f"{kind}.schema.json").resolve()


def test_files_of_the_kustomization_name_their_schema() -> None:
    """What is shipped for Kubernetes leads an editor to a schema that there is."""
    files = [
        file
        for file in (CONFIG.parent / "deploy" / "kustomize").rglob("*.yaml")
        if file.read_text("utf-8").startswith("# yaml-language-server")
    ]
    assert len(files) == len(KINDS)
    for file in files:
        named = file.read_text("utf-8").partition("\n")[0].partition("$schema=")[2]
        assert (file.parent / named).resolve().parent == (CONFIG / "schema").resolve()
        assert (file.parent / named).is_file(), file


@pytest.mark.parametrize("kind", list(KINDS))
def test_samples_have_every_setting(kind: str) -> None:
    """Every setting stands in the sample, as it is or in a comment."""
    text = (CONFIG / SAMPLES[kind]).read_text("utf-8")

    def names(settings_type: type) -> Iterator[str]:
        for name, one in declared_settings(settings_type).items():
            yield name
            if one.is_section:
                yield from names(one.item_type)

    missing = {
        name for name in names(CONFIGURATION.types[kind]) if not re.search(rf"\b{name}\b", text)
    }
    assert missing == set()


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_key_has_a_hover_text(kind: str) -> None:
    """For every key an editor shows a sentence that says what it is for."""

    def texts(one: Any) -> Iterator[str]:
        for name, inner in one.get("properties", {}).items():
            yield f"{name}: {inner.get('description', '')}"
            yield from texts(inner)
        yield from texts(one["items"]) if "items" in one else ()

    found = list(texts(CONFIGURATION.schema(kind)))
    assert len(found) > 30
    assert [text for text in found if not re.search(r": .{9,}\.$", text)] == []
