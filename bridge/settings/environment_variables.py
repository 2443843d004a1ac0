"""``${NAME}`` and ``${NAME:-default}`` inside the scalars of a configuration file."""

from __future__ import annotations

import re
from collections.abc import Mapping

# "$${" is a literal "${"; the lone "${" at the end catches what looks like a reference and is none.
_REFERENCE = re.compile(
    r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^{}]*))?\}|\$\{"
)


class ExpandedText(str):
    """Text with values from the environment: *names* are the variables, *whole* says that the text
    is nothing but one reference.

    *written*: its value stands in the file, as the default of a reference. Messages name the
    variables instead of showing the text, which may be a secret. Text that is *whole* may also be
    read as a number, as true or false, or as nothing, if a setting expects that.
    """

    names: tuple[str, ...]
    whole: bool
    written: bool

    def __new__(
        cls, text: str, names: tuple[str, ...] = (), *, whole: bool = False, written: bool = False
    ) -> ExpandedText:
        """Mark *text* as coming from the variables *names*."""
        settings_type = super().__new__(cls, text)
        settings_type.names = names
        settings_type.whole = whole
        settings_type.written = written
        return settings_type


def expand_variables(text: str, environ: Mapping[str, str]) -> tuple[str, list[str]]:
    """*text* with the environment's values inserted, and what is wrong with its references.

    A variable's value is not expanded again. As in a shell, ``:-default`` also replaces an empty
    variable. A scalar that is nothing but one reference, quoted or not (within [ ] and { } YAML
    requires quotes), becomes an *ExpandedText* that is whole. Text without references is returned
    unchanged.
    """
    if "${" not in text:
        return text, []
    names: list[str] = []
    problems: list[str] = []
    defaults: list[str] = []

    def follow(match: re.Match[str]) -> str:
        name, default = match["name"], match["default"]
        if match[0] == "$${":
            return "${"
        if name is None:
            problems.append(
                "expected ${NAME} or ${NAME:-default}; write $${ where ${ itself is meant"
            )
            return ""
        names.append(name)
        if name not in environ and default is None:
            problems.append(
                f"the environment variable {name} is not set: set it, or write ${{{name}:-...}}"
                " with a default"
            )
        value = environ.get(name)
        if not value and default:
            defaults.append(default)
        return value or default or ""

    result = _REFERENCE.sub(follow, text)
    only = _REFERENCE.fullmatch(text)
    whole = only is not None and only["name"] is not None
    if not names:
        return result, problems
    settings_type = ExpandedText(
        result, tuple(dict.fromkeys(names)), whole=whole, written=bool(defaults)
    )
    return settings_type, problems
