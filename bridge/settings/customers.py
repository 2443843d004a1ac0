"""``customers/*.yaml``: one file for each softgarden customer; its name without ``.yaml`` is the
customer's key.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path as FilePath
from typing import Any

from marshmallow import post_load

from bridge.core.customers import AssessmentMapping as TestMapping
from bridge.core.customers import (
    AtsAccess,
    Customer,
    CustomerDirectory,
    HirePolicy,
    MappedAssessment,
    ResultPolicy,
    UnusableCustomer,
)
from bridge.errors import Complaint, ConfigError
from bridge.settings import rules
from bridge.settings.daemon import ProviderDefaults, ProviderSchema
from bridge.settings.document import Document, Path, Position
from bridge.settings.fields import (
    Choice,
    DigestText,
    Flag,
    Many,
    OneOrMany,
    SecretText,
    Section,
    Text,
    Whole,
    resolved,
)
from bridge.settings.permissions import exposed, holds_secret
from bridge.settings.schema import Settled, load_document
from bridge.settings.secret_files import fill_in
from bridge.settings.yaml_source import MAX_BYTES, opened, read_file

FOLDER = "customers"
SECRETS: tuple[Path, ...] = tuple(
    ("equalture", key) for key in ("client_secret", "callback_token", "webhook_secret")
)
NO_CUSTOMERS = "no customers configured; copy config/customers/example.yaml.sample to config/customers/<name>.yaml"
CUSTOMER_KEY = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_DIGEST = re.compile(r"(?<![0-9A-Za-z])[0-9a-fA-F]{64}(?![0-9A-Za-z])", re.ASCII)
_TOKEN_LISTS: tuple[Path, ...] = (("softgarden", "tokens_sha256"), ("hire", "tokens_sha256"))


class _AtsSchema(Settled):
    makes = AtsAccess

    tokens_sha256 = Many(
        DigestText(rules.token_digest), least=1, what="digest of a token", required=True
    )
    client_id = Text(rules.basic_auth_user, required=True)


class _ProviderSchema(ProviderSchema):
    client_id = Text(rules.basic_auth_user, required=True)
    client_secret = SecretText(rules.client_secret, required=True)
    callback_token = SecretText(rules.header_token, allow_none=True)
    callback_header = Text(
        rules.matching(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", "the name of an HTTP header")
    )
    webhook_secret = SecretText(rules.webhook_secret, allow_none=True)


class _ItemSchema(Settled):
    id = Text(rules.line, required=True)
    job_id = Text(rules.line, required=True)
    name = Text(rules.line, allow_none=True)
    description = Text(allow_none=True)
    duration = Whole(1, "minutes", allow_none=True)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> MappedAssessment:
        """Make the item; no description is an empty one."""
        return MappedAssessment(**data | {"description": data.get("description") or ""})


class _MappingSchema(Settled):
    publish_unmapped = Flag()
    items = Many(Section(_ItemSchema))
    hidden = Many(Text(rules.line))

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> TestMapping:
        """Make the mapping; its hidden jobs have no order."""
        return TestMapping(**data | {"hidden": frozenset(data.get("hidden", ()))})


class _ResultSchema(Settled):
    makes = ResultPolicy

    score = OneOrMany(Text(rules.score_pattern))
    result_url = Choice("report", "dashboard")
    share = Flag()
    report = Flag()
    after_completed = Choice("new", "same")


class _HireSchema(Settled):
    makes = HirePolicy

    enabled = Flag()
    tokens_sha256 = Many(DigestText(rules.token_digest))
    id_field = Text(
        rules.matching(
            r"[^\s.]+(?:\.[^\s.]+)*", "the name of a field, with dots between nested names"
        )
    )
    add_to_team = Flag()


class CustomerSchema(Settled):
    """A customer's file as a whole; makes the keyword arguments of *Customer*, with ``equalture``
    still a dict.
    """

    softgarden = Section(_AtsSchema, required=True)
    equalture = Section(_ProviderSchema, required=True)
    tests = Section(_MappingSchema)
    test_url = Choice("direct", "landing")
    results = Section(_ResultSchema)
    hire = Section(_HireSchema)


def load_customers(
    config_dir: FilePath, environ: Mapping[str, str], defaults: ProviderDefaults
) -> tuple[CustomerDirectory, tuple[str, ...]]:
    """Read every ``customers/*.yaml`` in *config_dir*; gives the customers, by key, and warnings.

    Hidden files, and those that end otherwise, are left alone. A customer whose file cannot be used
    is set aside in the directory, with all that is wrong with the file; of two that share a token
    both are, for nobody knows whose it is. Raises ConfigError where the folder itself cannot be
    read.
    """
    folder = config_dir / FOLDER
    documents: dict[str, Document] = {}
    customers: dict[str, Customer] = {}
    warnings = [*exposed(folder)]
    for path in _file_names(folder):
        if path.suffix == ".yml":
            warnings.append(f"{path} is not read: its name must end in .yaml")
        if path.suffix != ".yaml":
            continue
        document = documents[path.stem] = _document(path, environ)
        warnings += exposed(path, secret=holds_secret(document, SECRETS))
        if document.data is not None:
            customers |= {one.key: one for one in _read(path.stem, document, defaults)}
        warnings += document.warnings
    for document, complaint in _reused_tokens(documents.values()):
        document.complaints.append(complaint)
    set_aside = [
        UnusableCustomer(key, _in_order(document.complaints), _digests(document))
        for key, document in documents.items()
        if document.complaints
    ]
    directory = CustomerDirectory(
        [one for one in customers.values() if not documents[one.key].complaints], set_aside
    )
    return directory, tuple(warnings if documents else [*warnings, NO_CUSTOMERS])


def _document(path: FilePath, environ: Mapping[str, str]) -> Document:
    """The file as far as it can be read; without data where it cannot."""
    try:
        return read_file(path, environ)
    except ConfigError as error:
        return Document(str(path), complaints=list(error.complaints))


def _in_order(complaints: Iterable[Complaint]) -> tuple[Complaint, ...]:
    return tuple(sorted(complaints, key=lambda one: (one.line, one.column)))


def _digests(document: Document) -> frozenset[str]:
    """The digests of the customer's tokens, as far as they can be told from a file that cannot be
    used.

    Whatever looks like one counts, wherever it stands: by it a caller is only asked to come back
    later.
    """
    found = [one for one in document.listed("softgarden", "tokens_sha256") if isinstance(one, str)]
    with contextlib.suppress(OSError), opened(FilePath(document.file)) as stream:
        found += _DIGEST.findall(stream.read(MAX_BYTES).decode("utf-8", "replace"))
    return frozenset(one.lower() for one in found if _DIGEST.fullmatch(one))


def _file_names(folder: FilePath) -> list[FilePath]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigError(
            [Complaint(str(folder), 0, 0, f"cannot be read: {error.strerror}")]
        ) from None


def _read(key: str, document: Document, defaults: ProviderDefaults) -> Iterator[Customer]:
    if not CUSTOMER_KEY.fullmatch(key):
        document.complaints.append(
            Complaint(
                document.file,
                0,
                0,
                "the name of the file is the customer's key: a-z, 0-9, _ and -, at most 63",
            )
        )
    fill_in(document, SECRETS)
    data = load_document(document, CustomerSchema(), SECRETS)
    _check_items(document)
    _check_hire(document)
    if data is not None and not document.complaints:
        yield Customer(key=key, **data | {"equalture": defaults.access(data["equalture"])})


def _check_items(document: Document) -> None:
    """Ids and jobs are unique, and what is mapped is not hidden; on raw data, since other keys may
    be wrong.
    """
    hidden = {
        job: document.position(("tests", "hidden", index)).line
        for index, job in enumerate(document.listed("tests", "hidden"))
        if isinstance(job, str)
    }
    seen: dict[tuple[str, str], int] = {}
    for index in range(len(document.listed("tests", "items"))):
        for name in ("id", "job_id"):
            path: Path = ("tests", "items", index, name)
            value = document.at(*path)
            if not isinstance(value, str) or not value:
                continue
            if (name, value) in seen:
                document.complain(
                    path, f"{name} {value!r} is used twice, first in line {seen[name, value]}"
                )
            if name == "job_id" and value in hidden:
                document.complain(
                    path, f"job_id {value!r} is mapped here and hidden in line {hidden[value]}"
                )
            seen.setdefault((name, value), document.position(path).line)


def _check_hire(document: Document) -> None:
    if resolved(document.at("hire", "enabled")) is True and document.at(
        "hire", "tokens_sha256"
    ) in (None, []):
        document.complain(
            ("hire", "enabled"),
            "hire.enabled is true, but hire.tokens_sha256 has no digest of a token",
        )
    elif resolved(document.at("hire", "enabled")) is True:
        line = document.position(("hire", "enabled")).line
        document.warnings.append(
            f"{document.file}:{line}: hire.enabled is true, but this version of the bridge does not hire yet"
        )


def _reused_tokens(documents: Iterable[Document]) -> Iterator[tuple[Document, Complaint]]:
    """A token names exactly one customer, and one purpose; told in every file where it stands."""
    places: dict[str, list[tuple[Document, Position]]] = {}
    for document in documents:
        for path in _TOKEN_LISTS:
            for index, digest in enumerate(document.listed(*path)):
                if isinstance(digest, str) and len(digest) == 64:
                    places.setdefault(digest.lower(), []).append(
                        (document, document.position((*path, index)))
                    )
    for first, *more in places.values():
        if not more:
            continue
        for document, where in more:
            yield document, _reused(document, where, *first)
        for other, there in more:
            if other is not first[0]:
                yield first[0], _reused(*first, other, there)
                break


def _reused(document: Document, where: Position, other: Document, there: Position) -> Complaint:
    message = f"the digest of this token is also used in {other.file}, line {there.line}; every token belongs to one customer"
    return Complaint(document.file, where.line, where.column, message)
