"""``customers/*.yaml``: one file for each customer; its name without ``.yaml`` is the customer's
key.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bridge.core.customers import Customer, CustomerDirectory, UnusableCustomer
from bridge.core.display import Logo
from bridge.core.interview_guide import InterviewGuide
from bridge.errors import ConfigError, ConfigMistake
from bridge.settings.files_below import find_file_below
from bridge.settings.findings import NOWHERE, MistakeCollector, MistakeKind, PositionedValue
from bridge.settings.interview_files import load_shipped_guide, read_own_guide
from bridge.settings.logo_files import read_logo
from bridge.settings.permissions import check_exposure
from bridge.settings.reading import SettingsReader
from bridge.settings.scalars import resolve_value
from bridge.settings.yaml_source import MAX_BYTES, open_regular_file, parse_yaml, read_text

FOLDER = "customers"
NO_CUSTOMERS = (
    "no customers configured; `assessment-bridge customer add NAME` asks what it needs, or copy"
    " customers/example.yaml.sample to customers/<name>.yaml"
)
CUSTOMER_KEY = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_DIGEST = re.compile(r"(?<![0-9A-Za-z])[0-9a-fA-F]{64}(?![0-9A-Za-z])", re.ASCII)


@dataclass(frozen=True, slots=True)
class CustomerFormat:
    """How a customer's file is read: as *type*; *customer_of* makes the customer of key and
    file.
    """

    type: type[Any]
    customer_of: Callable[[str, Any], Customer]


@dataclass(frozen=True, slots=True)
class _File:
    """One customer's file as it was read; *customer* is None if anything is wrong with it."""

    path: Path
    key: str
    mistakes: tuple[ConfigMistake, ...]
    warnings: tuple[str, ...] = ()
    customer: Customer | None = None
    digests: tuple[tuple[str, PositionedValue], ...] = ()


def load_customers(
    config_dir: Path,
    environ: Mapping[str, str],
    settings_type: CustomerFormat,
    inherited: Mapping[str, Mapping[str, Any]],
) -> tuple[CustomerDirectory, tuple[str, ...]]:
    """Read every ``customers/*.yaml`` in *config_dir* as *settings_type*; the customers, and
    warnings.

    *inherited* has, by section, the values of keys that are not given. Hidden files and other file
    names are ignored. A customer whose file cannot be used is set aside in the directory, with
    everything that is wrong with the file; of two that share a token both are, since the token's
    owner is unknown. Raises ConfigError if the folder itself cannot be read.
    """
    folder = config_dir / FOLDER
    files: list[_File] = []
    warnings = [*check_exposure(folder)]
    for path in _file_names(folder):
        if path.suffix == ".yml":
            warnings.append(f"{path} is not read: its name must end in .yaml")
        elif path.suffix == ".yaml":
            files.append(file := _read(path, environ, settings_type, inherited))
            warnings += file.warnings
    reused = list(_reused_tokens(files))
    served, aside = [], []
    for file in files:
        shared = [mistake for mistake in reused if mistake.file == str(file.path)]
        if file.customer is not None and not shared:
            served.append(file.customer)
        else:
            mistakes = sorted((*file.mistakes, *shared), key=lambda one: (one.line, one.column))
            aside.append(UnusableCustomer(file.key, tuple(mistakes), _digests(file)))
    if not files:
        warnings.append(NO_CUSTOMERS)
    return CustomerDirectory(served, aside), tuple(warnings)


def _file_names(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except FileNotFoundError:
        return []
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
        mistake = ConfigMistake(str(folder), 0, 0, message, MistakeKind.UNREADABLE)
        raise ConfigError([mistake]) from None


def _read(
    path: Path,
    environ: Mapping[str, str],
    settings_type: CustomerFormat,
    inherited: Mapping[str, Mapping[str, Any]],
) -> _File:
    key, found = path.stem, MistakeCollector(str(path))
    try:
        root = parse_yaml(read_text(path), found, environ)
    except ConfigError as error:
        return _File(path, key, error.mistakes, tuple(check_exposure(path)))
    if not CUSTOMER_KEY.fullmatch(key):
        message = "the name of the file is the customer's key: a-z, 0-9, _ and -, at most 63"
        found.add_mistake(NOWHERE, message, MistakeKind.FILE_NAME)
    _check_items(root, found)
    _check_hire(root, found)
    logo = _read_logo(root, path.parent.parent, found)
    guide = _read_guide(root, path.parent.parent, environ, found)
    reader = SettingsReader(found, root)
    file = reader.read(settings_type.type, inherited)
    customer = settings_type.customer_of(key, file) if file is not None else None
    if customer is not None and logo is not None:
        customer = replace(customer, display=replace(customer.display, image=logo))
    if customer is not None and customer.results.interview_guide:
        customer = replace(customer, results=replace(customer.results, guide=guide))
    warnings = (*check_exposure(path, secret=reader.holds_secret), *found.warnings)
    in_order = sorted(
        reader.digests, key=lambda one: (one[1].position.line, one[1].position.column)
    )
    digests = tuple(one for one in in_order if len(one[0]) == 64)
    return _File(path, key, tuple(found.mistakes), warnings, customer, digests)


def _digests(file: _File) -> frozenset[str]:
    """The digests of the customer's tokens that can be read from a file that cannot be used.

    Anything that looks like a digest counts, at any place: its caller is only asked to come back
    later.
    """
    found = [digest for digest, _ in file.digests]
    with contextlib.suppress(OSError), open_regular_file(file.path) as stream:
        found += _DIGEST.findall(stream.read(MAX_BYTES).decode("utf-8", "replace"))
    return frozenset(one.lower() for one in found if _DIGEST.fullmatch(one))


def _check_items(root: PositionedValue, found: MistakeCollector) -> None:
    """Check that ids and jobs are unique, and mapped jobs not hidden; other keys may be wrong."""
    hidden = {
        item.value: item.position.line
        for item in root.find_list("tests", "hidden")
        if isinstance(item.value, str)
    }
    seen: dict[tuple[str, str], int] = {}
    for entry in root.find_list("tests", "items"):
        for name in ("id", "job_id"):
            item = entry.find(name)
            if item is None or not isinstance(item.value, str) or not item.value:
                continue
            known = (name, item.value)
            if known in seen:
                message = f"{name} {item.value!r} is used twice, first in line {seen[known]}"
                found.add_mistake(item.position, message, MistakeKind.CONFLICT)
            if name == "job_id" and item.value in hidden:
                line = hidden[item.value]
                message = f"job_id {item.value!r} is mapped here and hidden in line {line}"
                found.add_mistake(item.position, message, MistakeKind.CONFLICT)
            seen.setdefault(known, item.position.line)


def _check_hire(root: PositionedValue, found: MistakeCollector) -> None:
    enabled, tokens = root.find("hire", "enabled"), root.find("hire", "tokens_sha256")
    if enabled is None or resolve_value(enabled.value) is not True:
        return
    where = enabled.position
    if tokens is None or tokens.value in (None, []):
        message = "hire.enabled is true, but hire.tokens_sha256 has no digest of a token"
        found.add_mistake(where, message, MistakeKind.CONFLICT)


def _read_logo(root: PositionedValue, config_dir: Path, found: MistakeCollector) -> Logo | None:
    item = root.find("display", "logo")
    if item is None or item.broken or not isinstance(item.value, str) or not item.value:
        return None
    try:
        return read_logo(config_dir, item.value)
    except ValueError as error:
        where = "display.logo"
        found.add_mistake(item.position, f"{where}: {error}", MistakeKind.VALUE, where)
        return None


def _read_guide(
    root: PositionedValue, config_dir: Path, environ: Mapping[str, str], found: MistakeCollector
) -> InterviewGuide:
    """The questions that the file names, else those that come with the bridge."""
    item = root.find("results", "interview_questions")
    if item is None or item.broken or not isinstance(item.value, str) or not item.value:
        return load_shipped_guide()
    try:
        file = find_file_below(config_dir, item.value)
        return read_own_guide(file, environ, found.mistakes)
    except ValueError as error:
        where = "results.interview_questions"
        found.add_mistake(item.position, f"{where}: {error}", MistakeKind.VALUE, where)
        return load_shipped_guide()


def _reused_tokens(files: Iterable[_File]) -> Iterator[ConfigMistake]:
    """Check that a token belongs to one customer and one purpose; reported in every file that
    has it.
    """
    places: dict[str, list[tuple[_File, PositionedValue]]] = {}
    for file in files:
        for digest, item in file.digests:
            places.setdefault(digest, []).append((file, item))
    for first, *more in places.values():
        for file, item in more:
            yield _reused(file, item, *first)
        elsewhere = next((one for one in more if one[0] is not first[0]), None)
        if elsewhere is not None:
            yield _reused(*first, *elsewhere)


def _reused(
    file: _File, item: PositionedValue, other: _File, there: PositionedValue
) -> ConfigMistake:
    message = (
        f"the digest of this token is also used in {other.path}, line {there.position.line};"
        " every token belongs to one customer"
    )
    line, column = item.position.line, item.position.column
    return ConfigMistake(str(file.path), line, column, message, MistakeKind.CONFLICT)
