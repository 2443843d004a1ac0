"""``bridge.yaml`` without the vendors' sections: the settings of the whole daemon."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from bridge.core.customers import CustomerDirectory, Secret
from bridge.core.declaration import PatternRule, declared_settings, setting
from bridge.settings import rules
from bridge.settings.alert_endpoints import AlertEndpoint
from bridge.settings.findings import MistakeCollector, PositionedValue
from bridge.settings.listen import DEFAULT, FILE_NAME
from bridge.settings.permissions import check_exposure
from bridge.settings.reading import SettingsReader
from bridge.settings.rules import ListenAddress
from bridge.settings.scalars import describe_value
from bridge.settings.yaml_source import parse_yaml, read_text

_NEW_KEY = "; make a key with `assessment-bridge key new`"


class DurabilityPolicy(StrEnum):
    """What to do with a Redis that may lose confirmed changes."""

    OFF = "off"
    WARN = "warn"
    REFUSE = "refuse"


class LogLevel(StrEnum):
    """How much is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """How a log line looks."""

    AUTO = "auto"
    JSON = "json"
    CONSOLE = "console"


def _in_time(timeout: timedelta) -> timedelta:
    if timeout > timedelta(milliseconds=1200):
        raise ValueError(
            "expected at most 1200ms: the bridge answers within two seconds, also while Redis is in"
            " trouble"
        )
    return timeout


@dataclass(frozen=True, slots=True)
class ReplicaWaitSettings:
    """Where a change must be before the bridge confirms it."""

    replicas: int = setting(
        "How many replicas must have a change before it counts as done.",
        default=0,
        entry_name="replicas",
    )
    timeout: timedelta = setting(
        "How long to wait for them, at most 1200ms; then the caller gets a 503.",
        default=timedelta(milliseconds=500),
        rule=_in_time,
    )
    local_fsync: bool = setting(
        "Whether a change must be on this Redis' own disk, too (Redis 7.2).", default=False
    )


@dataclass(frozen=True, slots=True)
class RedisSettings:
    """Where the state lives."""

    url: Secret | None = setting(
        "redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://; none: an embedded"
        " server.",
        default=None,
        rule=rules.validate_redis_url,
    )
    data_dir: Path = setting("Folder of the embedded server's files.", default=Path(".data"))
    key_prefix: str = setting(
        "Begins every key in Redis; never change it on a running system.",
        default="bridge",
        rule=PatternRule(
            r"[A-Za-z0-9_.:-]{1,64}", "a prefix of letters, digits, '_', '.', ':' and '-'"
        ),
    )
    require_durable: DurabilityPolicy = setting(
        "What to do at the start with a Redis that may lose what it has confirmed: nothing, warn,"
        " or refuse to start.",
        default=DurabilityPolicy.WARN,
    )
    wait: ReplicaWaitSettings = setting(
        "What must have a change before it counts as done, beside one Redis.",
        default=ReplicaWaitSettings(),
    )


@dataclass(frozen=True, slots=True)
class LogSettings:
    """How much is logged, and how."""

    level: LogLevel = setting(
        "How much is logged; names and secrets never are.", default=LogLevel.INFO
    )
    format: LogFormat = setting(
        "json, one object a line; console, for people; auto: console on a terminal, else json.",
        default=LogFormat.AUTO,
    )


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """Limits for callers, and the age of links."""

    requests_per_second: int | None = setting(
        "A fixed rate for each customer in each process; more is 429. null: customers take turns"
        " where more is asked than a process can do.",
        default=None,
        minimum=1,
        entry_name="requests",
    )
    link_max_age: timedelta | None = setting(
        "How long links to results work, counted from the completion; null: as long as the result"
        " is kept.",
        default=None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonSettings:
    """The configuration in force, without the vendors' sections, which a derived class adds.

    *public_url* has no trailing slash; keys are 32 bytes each, newest first. *warnings* are
    sentences for the log and the administrator.
    """

    config_dir: Path
    customers: CustomerDirectory = field(default_factory=lambda: CustomerDirectory(()))
    warnings: tuple[str, ...] = ()
    public_url: str = setting(
        "The address under which others reach the bridge; part of every link that it hands out.",
        rule=rules.parse_web_url,
    )
    listen: ListenAddress = setting(
        "The public listener, HOST:PORT. Plain HTTP: TLS belongs in front of it.", default=DEFAULT
    )
    admin_listen: ListenAddress = setting(
        "The listener for operators, HOST:PORT, without password.",
        default=ListenAddress("127.0.0.1", 8081),
    )
    admin_hosts: tuple[str, ...] = setting(
        "Further host names by which admin_listen is reached; addresses, localhost, this machine's"
        " name and the host in admin_listen are known.",
        default=(),
        rule=rules.parse_host_name,
    )
    redis: RedisSettings = setting("Where the state lives.", default=RedisSettings())
    signing_keys: tuple[bytes, ...] = setting(
        "Keys that sign the links, newest first; a link lives while its key is listed. File: one"
        " key a line.",
        hint=_NEW_KEY,
        shown=False,
    )
    encryption_keys: tuple[bytes, ...] = setting(
        "Keys that encrypt results, links and excerpts at rest, newest first; run `reencrypt`"
        " before an old one is taken out. File: one key a line.",
        default=(),
        hint=f"{_NEW_KEY}, or take the entry out",
        shown=False,
    )
    proxy: Secret | None = setting(
        "http://[user:password@]host:port, the way to both vendors; not to Redis, nor to this"
        " machine.",
        default=None,
        rule=rules.parse_proxy_url,
    )
    log: LogSettings = setting("The log, on standard error.", default=LogSettings())
    alerts: tuple[AlertEndpoint, ...] = setting("Who is told when somebody has to act.", default=())
    alert_after: timedelta = setting(
        "How long a result, or work that is due, may wait until `alerts` say so.",
        default=timedelta(minutes=15),
    )
    retention: timedelta = setting(
        "How long an invitation with its result is kept after its last change.",
        default=timedelta(days=365),
    )
    limits: LimitSettings = setting("Limits for callers and links.", default=LimitSettings())

    @staticmethod
    def check(
        section: PositionedValue, _: PositionedValue
    ) -> Iterator[tuple[PositionedValue, str]]:
        """Check that the two listeners have different addresses."""
        given = {name: section.find(name) for name in ("listen", "admin_listen")}
        default = {name: declared_settings(DaemonSettings)[name].default for name in given}
        listen, admin = (one.value if one else str(default[name]) for name, one in given.items())
        if listen == admin and not str(listen).endswith(":0"):
            message = f"admin_listen: the same address as listen, {describe_value(listen)}"
            yield given["admin_listen"] or section, message


S = TypeVar("S", bound=DaemonSettings)


def load_daemon(
    config_dir: Path, environ: Mapping[str, str], settings_type: type[S], *, signing: bool = True
) -> S:
    """Read ``bridge.yaml`` in *config_dir* as *settings_type*; the result has no customers yet.

    Without *signing* the signing keys are not read: for commands that make no links. Raises
    ConfigError with everything that is wrong with the file.
    """
    path = config_dir / FILE_NAME
    found = MistakeCollector(str(path))
    left_out = () if signing else ("signing_keys", "signing_keys_file")
    hints = {name: one.setting.hint for name, one in declared_settings(settings_type).items()}
    root = parse_yaml(read_text(path), found, environ, hints, left_out)
    reader = SettingsReader(found, root)
    settings: S | None = reader.read(
        settings_type, dict.fromkeys(left_out[:1], ()), config_dir=config_dir
    )
    if settings is None:
        raise found.as_config_error()
    warnings = (
        *check_exposure(config_dir),
        *check_exposure(path, secret=reader.holds_secret),
        *found.warnings,
    )
    return replace(settings, warnings=warnings)
