"""``bridge.yaml``: what holds for the whole daemon, and Equalture's defaults for every customer.

A new setting needs: a field with its default here, a line in the schema below, a commented line in
``config/bridge.yaml``. The masked summary and the suggestions for misspelt keys follow by
themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path as FilePath
from typing import Any

from marshmallow import Schema, ValidationError, post_load

from bridge.core.customers import DONE_WORDS, CustomerDirectory, ProviderAccess, Secret
from bridge.settings import rules
from bridge.settings.document import Document, Path
from bridge.settings.durations import parse_duration
from bridge.settings.fields import (
    Choice,
    Duration,
    Flag,
    Keys,
    KeyText,
    Many,
    OneOrMany,
    SecretText,
    Section,
    Text,
    Whole,
    describe,
    resolved,
)
from bridge.settings.listen import DEFAULT, FILE_NAME
from bridge.settings.permissions import exposed, holds_secret
from bridge.settings.schema import Settled, load_document
from bridge.settings.secret_files import fill_in
from bridge.settings.yaml_source import read_file

LONGEST_WAIT = timedelta(milliseconds=1200)
"""For the confirmation of one change by other Redis servers."""
SINGLE_SECRETS: tuple[Path, ...] = (("redis", "url"), ("proxy",))
KEY_LISTS: tuple[Path, ...] = (("signing_keys",), ("encryption_keys",))
_HINTS: Mapping[str, str] = {
    "signing_keys": "; make a key with `assessment-bridge key new`",
    "encryption_keys": "; make a key with `assessment-bridge key new`, or take the entry out",
}
_RETRY = ("5s", "30s", "2m", "10m", "1h", "3h", "6h", "12h", "24h", "24h", "24h")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a listener listens; *host* is a name or an address without brackets, port 0 lets the
    system choose.
    """

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


_LISTENERS = {
    "listen": Address(*DEFAULT),
    "admin_listen": Address("127.0.0.1", 8081),
}


@dataclass(frozen=True, slots=True)
class WaitSettings:
    """What must have a change before the bridge says that it is done: so many *replicas*, and with
    *local_fsync* the disk.
    """

    replicas: int = 0
    timeout: timedelta = timedelta(milliseconds=500)
    local_fsync: bool = False


@dataclass(frozen=True, slots=True)
class RedisSettings:
    """Where the state lives; without *url* in an embedded server that keeps its files in
    *data_dir*.

    *require_durable* (off, warn, refuse) says what happens with a Redis that may lose what it has
    confirmed.
    """

    url: Secret | None = None
    data_dir: FilePath = FilePath(".data")
    key_prefix: str = "bridge"
    require_durable: str = "warn"
    wait: WaitSettings = WaitSettings()


@dataclass(frozen=True, slots=True)
class LogSettings:
    """How much is logged (debug, info, warning, error) and in which *format* (auto, json, console).

    *auto* is console on a terminal, else json.
    """

    level: str = "info"
    format: str = "auto"


@dataclass(frozen=True, slots=True)
class TestsFormat:
    """The shape of the test list that softgarden gets; a None leaves that field, or the wrapper,
    out.
    """

    __test__ = False

    wrapper: str | None = None
    id_keys: tuple[str, ...] = ("testId", "id")
    name_key: tuple[str, ...] = ("name", "testName")
    description_key: str | None = "description"
    duration_key: str | None = "duration"


@dataclass(frozen=True, slots=True)
class SoftgardenSettings:
    """Notifying softgarden: to which hosts (and their sub-domains, lower case), how patiently, how
    often again.
    """

    callback_hosts: tuple[str, ...] = ("softgarden.io", "softgarden.de")
    allow_insecure: bool = False
    timeout: timedelta = timedelta(seconds=15)
    retry: tuple[timedelta, ...] = tuple(map(parse_duration, _RETRY))
    tests_format: TestsFormat = TestsFormat()


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """What a caller may ask for: requests a second of one customer in each process (None: as it
    can), and how old links get.
    """

    requests_per_second: int | None = None
    link_max_age: timedelta | None = None


@dataclass(frozen=True, slots=True)
class ProviderDefaults:
    """The section ``equalture``, on which each customer's own lies; *base_url* is required in the
    file.
    """

    base_url: str = ""
    token_path: str = "/connect_ats/access_token"
    token_method: str = "auto"
    timeout: timedelta = timedelta(seconds=8)
    link_life: timedelta = timedelta(days=7)
    poll_every: timedelta = timedelta(minutes=30)
    locale: str = "en"
    done_words: tuple[str, ...] = DONE_WORDS

    def access(self, own: Mapping[str, Any]) -> ProviderAccess:
        """A customer's access: these defaults with its *own* values, which include id and secret,
        laid over them.
        """
        return ProviderAccess(**{name: getattr(self, name) for name in self.__slots__} | dict(own))


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The whole configuration in force.

    *public_url* has no trailing slash; keys are 32 bytes each, newest first.

    *warnings* are sentences for the log and the administrator; *equalture* is what customers were
    merged with.
    """

    public_url: str
    signing_keys: tuple[bytes, ...] = field(repr=False)
    config_dir: FilePath
    listen: Address = _LISTENERS["listen"]
    admin_listen: Address = _LISTENERS["admin_listen"]
    admin_hosts: tuple[str, ...] = ()
    redis: RedisSettings = RedisSettings()
    encryption_keys: tuple[bytes, ...] = field(default=(), repr=False)
    proxy: Secret | None = None
    log: LogSettings = LogSettings()
    retention: timedelta = timedelta(days=365)
    softgarden: SoftgardenSettings = SoftgardenSettings()
    limits: LimitSettings = LimitSettings()
    customers: CustomerDirectory = field(default_factory=lambda: CustomerDirectory(()))
    warnings: tuple[str, ...] = ()
    equalture: ProviderDefaults = ProviderDefaults()


def _answered_in_time(timeout: timedelta) -> None:
    if timeout > LONGEST_WAIT:
        raise ValidationError(
            "expected at most 1200ms: the bridge answers within two seconds, also while Redis is in trouble"
        )


class _WaitSchema(Settled):
    makes = WaitSettings

    replicas = Whole(0, "replicas")
    timeout = Duration(validate=_answered_in_time)
    local_fsync = Flag()


class _RedisSchema(Settled):
    makes = RedisSettings

    url = SecretText(rules.redis_url, allow_none=True)
    data_dir = Text(lambda text: FilePath(rules.line(text)))
    key_prefix = Text(
        rules.matching(
            r"[A-Za-z0-9_.:-]{1,64}", "a prefix of letters, digits, '_', '.', ':' and '-'"
        )
    )
    require_durable = Choice("off", "warn", "refuse")
    wait = Section(_WaitSchema)


class _LogSchema(Settled):
    makes = LogSettings

    level = Choice("debug", "info", "warning", "error")
    format = Choice("auto", "json", "console")


class _TestsFormatSchema(Settled):
    makes = TestsFormat

    wrapper = Text(rules.line, allow_none=True)
    id_keys = Many(Text(rules.line), least=1, what="key")
    name_key = OneOrMany(Text(rules.line), allow_none=True)
    description_key = Text(rules.line, allow_none=True)
    duration_key = Text(rules.line, allow_none=True)


class _SoftgardenSchema(Settled):
    makes = SoftgardenSettings

    callback_hosts = Many(Text(rules.host_name), least=1, what="host name")
    allow_insecure = Flag()
    timeout = Duration()
    retry = Many(Duration())
    tests_format = Section(_TestsFormatSchema)


class _LimitSchema(Settled):
    makes = LimitSettings

    requests_per_second = Whole(least=1, unit="requests", allow_none=True)
    link_max_age = Duration(allow_none=True)


class ProviderSchema(Settled):
    """The keys of ``equalture`` that both files know; here none is required, and a dict is made."""

    base_url = Text(rules.web_url)
    token_path = Text(rules.url_path)
    token_method = Choice("auto", "post", "get")
    timeout = Duration()
    link_life = Duration()
    poll_every = Duration()
    locale = Text(
        rules.matching(
            r"[A-Za-z]{2,8}(?:[-_][A-Za-z0-9]{1,8})*", "a language code such as en or de"
        )
    )
    done_words = Many(Text(rules.line), least=1, what="word")


class _ProviderDefaultsSchema(ProviderSchema):
    makes = ProviderDefaults

    base_url = Text(rules.web_url, required=True)


class BridgeSchema(Settled):
    """``bridge.yaml`` as a whole; makes the keyword arguments of *Settings*."""

    public_url = Text(rules.web_url, required=True)
    listen = Text(lambda text: Address(*rules.address(text)))
    admin_listen = Text(lambda text: Address(*rules.address(text)))
    admin_hosts = Many(Text(rules.host_name))
    redis = Section(_RedisSchema)
    signing_keys = Keys(KeyText(rules.key, allow_none=True), required=True)
    encryption_keys = Keys(KeyText(rules.key, allow_none=True))
    proxy = SecretText(rules.proxy_url, allow_none=True)
    log = Section(_LogSchema)
    retention = Duration()
    equalture = Section(_ProviderDefaultsSchema, required=True)
    softgarden = Section(_SoftgardenSchema)
    limits = Section(_LimitSchema)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Any:
        """Leave the dict as it is: the folder and the customers come from elsewhere."""
        return data


def load_daemon(
    config_dir: FilePath, environ: Mapping[str, str], *, signing: bool = True
) -> Settings:
    """Read ``bridge.yaml`` in *config_dir*; the result has no customers yet.

    Without *signing* the signing keys are not looked at: for commands that make no links. Raises
    ConfigError with everything that is wrong with the file.
    """
    left_out = () if signing else ("signing_keys", "signing_keys_file")
    document = read_file(config_dir / FILE_NAME, environ, _HINTS, left_out)
    secrets = SINGLE_SECRETS + KEY_LISTS
    warnings = [
        *exposed(config_dir),
        *exposed(config_dir / FILE_NAME, secret=holds_secret(document, secrets)),
    ]
    fill_in(document, SINGLE_SECRETS, KEY_LISTS)
    schema: Schema = BridgeSchema(partial=left_out)
    data = load_document(document, schema, secrets)
    _check_together(document)
    document.require_valid()
    settings = Settings(**{"config_dir": config_dir, "signing_keys": ()} | data)
    return replace(settings, warnings=(*warnings, *document.warnings, *_warnings(settings)))


def _check_together(document: Document) -> None:
    """What no single key can tell; works on raw data, since other keys may be wrong."""
    public_url = document.at("public_url")
    insecure = ("softgarden", "allow_insecure")
    if resolved(document.at(*insecure)) is True and _is_public(public_url):
        line = document.position(("public_url",)).line
        document.complain(
            insecure,
            "softgarden.allow_insecure may only be true while public_url is on this machine (localhost, 127.0.0.1, [::1]);"
            f" it is not, see line {line}",
        )
    listen, admin = (document.data.get(key, str(default)) for key, default in _LISTENERS.items())
    if listen == admin and not str(listen).endswith(":0"):
        document.complain(
            ("admin_listen",), f"admin_listen: the same address as listen, {describe(listen)}"
        )
    _check_test_fields(document, ("softgarden", "tests_format"))


def _check_test_fields(document: Document, path: Path) -> None:
    """Two parts of a test may not go by the same name; what is not given has its default name."""
    shape = document.at(*path)
    if not isinstance(shape, dict):
        return
    default = TestsFormat()
    ids = document.listed(*path, "id_keys") or default.id_keys
    names: dict[Path, Any] = {(*path, "id_keys", index): name for index, name in enumerate(ids)}
    for key in ("name_key", "description_key", "duration_key"):
        found = shape.get(key, getattr(default, key))
        if isinstance(found, list | tuple):
            names |= {(*path, key, index): one for index, one in enumerate(found)}
        else:
            names[*path, key] = found
    seen: dict[str, Path] = {}
    for place, name in names.items():
        if not isinstance(name, str) or not name:
            continue
        if name in seen:
            document.complain(
                place, f"{place[2]}: the field {name!r} is already taken by {seen[name][2]}"
            )
        seen.setdefault(name, place)


def _is_public(public_url: Any) -> bool:
    try:
        return not rules.is_loopback(rules.host_of(rules.web_url(public_url)))
    except (ValueError, TypeError):
        return False  # has a complaint of its own


def _warnings(settings: Settings) -> list[str]:
    if not settings.softgarden.allow_insecure:
        return []
    return [
        "softgarden.allow_insecure is true: callbacks may go to http and private addresses; for a sandbox only"
    ]
