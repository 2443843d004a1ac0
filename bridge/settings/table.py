"""The table of the settings of a kind of file in Markdown, for the documents."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from bridge.core.declaration import DeclaredSetting, declared_settings
from bridge.settings.masking import convert_to_plain_data
from bridge.settings.scalars import can_come_from_file


def build_settings_table(settings_type: type, inherited: Mapping[str, Collection[str]]) -> str:
    """One line for each setting of a file that is read as *settings_type*; *inherited* as for
    the schema.
    """
    head = ["| key | default | meaning |", "|---|---|---|"]
    return "\n".join([*head, *_rows(settings_type, "", inherited, ())]) + "\n"


def _rows(
    settings_type: type,
    prefix: str,
    inherited: Mapping[str, Collection[str]],
    elsewhere: Collection[str],
) -> Iterator[str]:
    for name, one in declared_settings(settings_type).items():
        key = f"{prefix}{name}"
        if one.is_section:
            yield from _rows(
                one.item_type,
                f"{key}[]." if one.is_list else f"{key}.",
                {},
                inherited.get(name, ()),
            )
            continue
        default = "as in `bridge.yaml`" if name in elsewhere else _default(one)
        mark = " †" if can_come_from_file(one) else ""
        yield f"| `{key}`{mark} | {default} | {one.setting.doc.replace('|', chr(92) + '|')} |"


def _default(one: DeclaredSetting) -> str:
    if one.is_required:
        return "required"
    value = convert_to_plain_data(one.default)
    if value in (None, "", []):
        return "none"
    return ", ".join(f"`{_text(entry)}`" for entry in (value if one.is_list else [value]))


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
