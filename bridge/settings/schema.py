"""From a document to a dataclass: the base of all settings schemas, and their errors told by line
and column.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from marshmallow import RAISE, Schema, ValidationError, post_load

from bridge.settings.document import Document, Path
from bridge.settings.fields import MISSING, Many, Section
from bridge.settings.rules import suggest
from bridge.settings.secret_files import SUFFIX

UNKNOWN = "is unknown"


class Settled(Schema):
    """A schema that refuses unknown keys and makes the dataclass *makes*.

    The defaults are those of the dataclass, so that they are written once. Without *makes* the
    result is a dict.
    """

    makes: ClassVar[type[Any]] = dict
    error_messages = {"unknown": UNKNOWN}  # noqa: RUF012 - marshmallow's name and type

    class Meta:
        """Unknown keys are errors, also in nested schemas."""

        unknown = RAISE

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Any:
        """Make the dataclass."""
        return self.makes(**data)


def load_document(document: Document, schema: Schema, secrets: Sequence[Path]) -> Any:
    """Load the document's data; *secrets* are the paths that may also be given as ``x_file``.

    What is wrong goes among the document's complaints, and the result is then None.
    """
    try:
        return schema.load(document.data)
    except ValidationError as error:
        for path, message in _leaves(error.messages, ()):
            _complain(document, schema, secrets, path, message)
    return None


def _leaves(messages: Any, path: Path) -> Iterator[tuple[Path, str]]:
    match messages:
        case dict():
            for step, inner in messages.items():
                yield from _leaves(inner, (*path, step))
        case list():
            for message in messages:
                yield path, str(message)


def _complain(
    document: Document, schema: Schema, secrets: Sequence[Path], path: Path, message: str
) -> None:
    name = str(path[-1])
    if message == UNKNOWN:
        known = _known(schema, secrets, path[:-1])
        near = suggest(name, known)
        # One that is like none that we know may be a piece of a secret: {client_secret:
        # not,quoted}.
        document.complain(
            path,
            f"unknown key {name!r}{near}"
            if near
            else f"unknown key; known here: {_listing(known)}",
            key=True,
        )
    elif document.is_broken(path):
        return
    elif message == MISSING:
        other = f", or {name + SUFFIX!r}" if path in secrets else ""
        document.complain(path[:-1], f"the key {name!r}{other} is missing")
    else:
        document.complain(path, f"{_label(path)}: {message}")


def _label(path: Path) -> str:
    return ".".join(str(step) for step in path if isinstance(step, str))


def _listing(names: list[str]) -> str:
    return ", ".join(names)


def _known(schema: Schema, secrets: Sequence[Path], path: Path) -> list[str]:
    inner = schema
    for step in path:
        if isinstance(step, int):
            continue
        field: Any = inner.fields[step]
        field = field.inner if isinstance(field, Many) else field
        if isinstance(field, Section):
            inner = field.schema
    return [*inner.fields, *(f"{one[-1]}{SUFFIX}" for one in secrets if one[:-1] == path)]
