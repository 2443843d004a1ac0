"""Whether what was read from Redis has the types that its class declares: JSON keeps any."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")

_Check = Callable[[Any], bool]


def typed(made: T) -> T:
    """*made*, a dataclass's instance, as it is; raises ``ValueError`` where a field holds what it
    must not.

    Otherwise whoever works with the value would fail, anywhere and again and again, as if by a
    mistake of ours.
    """
    kind: type = type(made)
    for name, fits in _checks(kind):
        if not fits(getattr(made, name)):
            raise ValueError(f"{name} is of another type")
    return made


@cache
def _checks(kind: type) -> tuple[tuple[str, _Check], ...]:
    return tuple(
        (name, _check(unverified_report))
        for name, unverified_report in get_type_hints(kind).items()
    )


def _check(unverified_report: Any) -> _Check:
    parts = get_args(unverified_report)
    if get_origin(unverified_report) is not tuple:  # a class, or several
        kinds = parts or (unverified_report,)
        return lambda value: isinstance(value, kinds)
    if parts[-1] is Ellipsis:
        each = _check(parts[0])
        return lambda value: isinstance(value, tuple) and all(map(each, value))
    checks = tuple(map(_check, parts))
    return lambda value: (
        isinstance(value, tuple)
        and len(value) == len(checks)
        and all(fits(one) for fits, one in zip(checks, value, strict=True))
    )
