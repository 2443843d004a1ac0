"""The section ``softgarden`` of ``bridge.yaml`` and of a customer's file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from bridge.core.customers import AtsAccount, Customer
from bridge.core.declaration import setting
from bridge.settings import rules
from bridge.settings.durations import parse_duration
from bridge.settings.findings import PositionedValue
from bridge.settings.scalars import resolve_value

_RETRY = ("5s", "30s", "2m", "10m", "1h", "3h", "6h", "12h", "24h", "24h", "24h")


@dataclass(frozen=True, slots=True)
class AssessmentListFormat:
    """The shape of the test list; a None leaves that field, or the wrapper, out."""

    wrapper: str | None = setting(
        'null: a bare list, [...]. A word such as tests: {"tests": [...]}.', default=None
    )
    id_keys: tuple[str, ...] = setting(
        "The fields that hold a test's id; each gets the same value.",
        default=("testId", "id"),
        minimum=1,
        entry_name="key",
    )
    name_key: tuple[str, ...] = setting(
        "The field of the name, or several; null: none.",
        default=("name", "testName"),
        scalar_or_list=True,
    )
    description_key: str | None = setting(
        "The field of the description; null: none.", default="description"
    )
    duration_key: str | None = setting(
        "The field of the duration in minutes; null: none.", default="duration"
    )

    @staticmethod
    def check(
        section: PositionedValue, _: PositionedValue
    ) -> Iterator[tuple[PositionedValue, str]]:
        """Refuse one field name for two parts of a test; parts that are not given have their
        defaults.
        """
        seen: dict[str, str] = {}
        for key in ("id_keys", "name_key", "description_key", "duration_key"):
            given, default = section.find(key), getattr(AssessmentListFormat(), key)
            if given is None:
                names = default if isinstance(default, tuple) else (default,)
                items = [PositionedValue(name, section.position) for name in names]
            elif isinstance(given.value, list):
                items = given.value
            else:  # a value of the wrong type is reported already
                items = [given] if key != "id_keys" else []
            for item in items:
                if not isinstance(item.value, str) or not item.value:
                    continue
                if item.value in seen:
                    taken = seen[item.value]
                    yield item, f"{key}: the field {item.value!r} is already taken by {taken}"
                seen.setdefault(item.value, key)


@dataclass(frozen=True, slots=True)
class SoftgardenSettings:
    """Notifications to softgarden (hosts, time-out, retries), and the list of tests that it
    gets.
    """

    callback_hosts: tuple[str, ...] = setting(
        "Hosts that may be notified, with their sub-domains. Change it only if softgarden tells you"
        " another host.",
        default=("softgarden.io", "softgarden.de"),
        rule=rules.parse_host_name,
        minimum=1,
        entry_name="host name",
    )
    allow_insecure: bool = setting(
        "Whether http and private addresses may be notified, for a sandbox; only with a public_url"
        " on this machine.",
        default=False,
    )
    timeout: timedelta = setting(
        "The longest that one notification may take.", default=timedelta(seconds=15)
    )
    retry: tuple[timedelta, ...] = setting(
        "The pauses between attempts to notify, each give or take 20 %; then it is a dead letter.",
        default=tuple(map(parse_duration, _RETRY)),
    )
    tests_format: AssessmentListFormat = setting(
        "The shape of the list of tests; change it if tests do not show up in softgarden.",
        default=AssessmentListFormat(),
    )

    @staticmethod
    def check(
        section: PositionedValue, root: PositionedValue
    ) -> Iterator[tuple[PositionedValue, str]]:
        """Insecure callbacks are for a bridge that only this machine reaches."""
        insecure, public_url = section.find("allow_insecure"), root.find("public_url")
        if insecure and public_url and _on(insecure) and _is_public(public_url.value):
            yield (
                insecure,
                "softgarden.allow_insecure may only be true while public_url is on this machine"
                " (localhost, 127.0.0.1, [::1]); it is not, see line"
                f" {public_url.position.line}",
            )

    @staticmethod
    def warn(section: PositionedValue, _: PositionedValue) -> Iterator[str]:
        """Warn of insecure callbacks at every start."""
        insecure = section.find("allow_insecure")
        if insecure and _on(insecure):
            yield (
                "softgarden.allow_insecure is true: callbacks may go to http and private addresses;"
                " for a sandbox only"
            )


def _on(item: PositionedValue) -> bool:
    return resolve_value(item.value) is True


def _is_public(public_url: object) -> bool:
    try:
        return not rules.is_loopback(rules.get_host(rules.parse_web_url(str(public_url))))
    except ValueError:
        return False  # reported already


@dataclass(frozen=True, slots=True)
class SoftgardenAccount(AtsAccount):
    """A customer's softgarden account: its tokens, and the public client for notifications."""

    vendor: ClassVar[str] = "softgarden"
    client_id: str = setting(
        "The public OAuth client for notifications, whose password is empty; softgarden's support"
        " tells it.",
        rule=rules.parse_basic_auth_user,
    )


def get_account(customer: Customer) -> SoftgardenAccount:
    """The customer's softgarden account; raises TypeError for a customer of another ATS."""
    if not isinstance(customer.ats, SoftgardenAccount):
        raise TypeError(f"customer {customer.key} does not use softgarden")
    return customer.ats
