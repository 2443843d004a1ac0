"""The numbers of ``/metrics``, as prometheus-client writes them down."""

from __future__ import annotations

import contextlib
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from typing import Final

import orjson
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.utils import floatToGoString

from bridge import __version__
from bridge.core.ids import PARTITIONS
from bridge.core.queueing import Backlog
from bridge.meter import (
    CALL_OUTCOMES,
    CALLBACK_OUTCOMES,
    INVITATION_OUTCOMES,
    NOTIFICATION_OUTCOMES,
    STRANGER,
    STRANGERS_OUTCOMES,
)
from bridge.shared_counts import MetricsShare, SharedCounts

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
NAMESPACE = "bridge"
REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
NOTIFY_BUCKETS = (0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 4 * 3600, 24 * 3600)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class ConfigurationInForce:
    """What a process serves by; *since* is when it was put in force, in seconds since 1970."""

    digest: str
    set_aside: int
    reload_successful: bool
    since: float


class Metrics:
    """Counts what it is told as a ``Meter``, and writes it down in Prometheus' text format."""

    def __init__(self, share: MetricsShare | None = None) -> None:
        self._share = share
        self._counts = SharedCounts(share)
        self._numbers = self._counts.numbers
        self._families: list[_Family] = []
        self._configuration: ConfigurationInForce | None = None
        self._requests = self._counter(
            "http_requests_total", "Requests that were answered.", "route", "method", "status"
        )
        self._request_seconds = self._histogram(
            "http_request_seconds", "Time to the answer.", REQUEST_BUCKETS, "route"
        )
        self._calls = self._counter(
            "upstream_requests_total",
            "Requests to vendors that have ended.",
            "vendor",
            "operation",
            "outcome",
        )
        self._call_seconds = self._histogram(
            "upstream_request_seconds",
            "Time until a request to a vendor has ended.",
            REQUEST_BUCKETS,
            "vendor",
            "operation",
        )
        self._invitations = self._counter(
            "invitations_total", "Orders answered, and invitations ended.", "customer", "outcome"
        )
        self._callbacks = self._counter(
            "callbacks_total", "Callbacks answered.", "customer", "outcome"
        )
        self._notifications = self._counter(
            "notifications_total", "Notifications sent.", "customer", "outcome"
        )
        self._notify_seconds = self._histogram(
            "notify_seconds",
            "From when a result was first known to the 2xx to its notification.",
            NOTIFY_BUCKETS,
            "customer",
        )
        self._contract_changes = self._counter(
            "contract_changes_total",
            "Shapes of what vendors send that were never seen before.",
            "vendor",
            "operation",
        )

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """See ``Meter``. An unknown method is counted as ``other``."""
        method = method if method in _METHODS else "other"
        self._numbers[self._requests[route, method, status]] += 1
        self._observe(self._request_seconds, (route,), seconds)

    def call(self, vendor: str, operation: str, outcome: str, seconds: float) -> None:
        """See ``Meter``."""
        self._numbers[self._calls[vendor, operation, outcome]] += 1
        self._observe(self._call_seconds, (vendor, operation), seconds)

    def invitation(self, customer: str, outcome: str) -> None:
        """See ``Meter``."""
        self._numbers[self._invitations[customer, outcome]] += 1

    def callback(self, customer: str, outcome: str) -> None:
        """See ``Meter``."""
        self._numbers[self._callbacks[customer, outcome]] += 1

    def notification(self, customer: str, outcome: str) -> None:
        """See ``Meter``."""
        self._numbers[self._notifications[customer, outcome]] += 1

    def result_notified(self, customer: str, seconds: float) -> None:
        """See ``Meter``. Clocks that were set back make no negative time."""
        self._observe(self._notify_seconds, (customer,), max(0.0, seconds))

    def contract_change(self, vendor: str, operation: str) -> None:
        """See ``Meter``."""
        self._numbers[self._contract_changes[vendor, operation]] += 1

    def expect_requests(self, route: str, method: str, statuses: Iterable[int]) -> None:
        """These can come: they are there from the start, as 0."""
        self._request_seconds.expect(route)
        for status in statuses:
            self._requests.expect(route, method, status)

    def expect_calls(self, vendor: str, operations: Iterable[str]) -> None:
        """These can be made: they are there from the start, as 0."""
        for operation in operations:
            self._call_seconds.expect(vendor, operation)
            self._contract_changes.expect(vendor, operation)
            for outcome in CALL_OUTCOMES:
                self._calls.expect(vendor, operation, outcome)

    def expect_requests_of(self, vendor: str, requests: Iterable[str]) -> None:
        """What a vendor sends by itself, in the words of the contract watch."""
        for request in requests:
            self._contract_changes.expect(vendor, request)

    def expect_customers(self, customers: Iterable[str]) -> None:
        """These are served: what can be counted of them is there from the start, as 0."""
        for outcome in STRANGERS_OUTCOMES:
            self._callbacks.expect(STRANGER, outcome)
        for customer in customers:
            self._notify_seconds.expect(customer)
            for counter, outcomes in (
                (self._invitations, INVITATION_OUTCOMES),
                (self._callbacks, CALLBACK_OUTCOMES),
                (self._notifications, NOTIFICATION_OUTCOMES),
            ):
                for outcome in outcomes:
                    counter.expect(customer, outcome)

    def serve_by(self, configuration: ConfigurationInForce) -> None:
        """This process serves by another configuration, or was refused one."""
        self._configuration = configuration
        if self._share is not None:
            path = self._share.folder / f"configuration_{self._share.number}.json"
            beside = path.with_suffix(".new")
            with contextlib.suppress(OSError):  # of a full disk others complain
                beside.write_bytes(orjson.dumps(asdict(configuration)))
                beside.replace(path)

    def text(self, backlog: Backlog | None) -> bytes:
        """All that is known, of all processes; without a *backlog* nothing of the store's."""
        return generate_latest(
            _CollectedFamilies([*self._counted(), *self._in_force(), *_stored(backlog)])
        )

    def _counter(self, name: str, meaning: str, *labels: str) -> _Family:
        return self._histogram(name, meaning, (), *labels)

    def _histogram(self, name: str, meaning: str, bounds: Sequence[float], *labels: str) -> _Family:
        family = _Family(self._counts, name, meaning, labels=labels, bounds=bounds)
        self._families.append(family)
        return family

    def _observe(self, family: _Family, labels: tuple[str, ...], seconds: float) -> None:
        place, numbers = family[labels], self._numbers
        numbers[place] += seconds
        numbers[place + 1 + bisect_left(family.bounds, seconds)] += 1

    def _counted(self) -> Iterator[Metric]:
        found: dict[str, list[_Series]] = {family.name: [] for family in self._families}
        for (name, *values), numbers in self._counts.sum_up().items():
            found[name].append((values, numbers))
        return (family.collect(found[family.name]) for family in self._families)

    def _in_force(self) -> Iterator[Metric]:
        known = self._configurations()
        yield _gauge("build_info", "The version that runs.", {(__version__,): 1}, "version")
        if not known:
            return
        yield _gauge(
            "config_hash_info",
            "The configuration in force; two while processes differ.",
            {(one.digest,): 1 for one in known},
            "hash",
        )
        yield _gauge(
            "config_last_reload_successful",
            "1 unless a process was refused its last reload.",
            {(): int(all(one.reload_successful for one in known))},
        )
        yield _gauge(
            "config_last_reload_timestamp_seconds",
            "Since when the configuration is in force in every process.",
            {(): max(one.since for one in known)},
        )
        yield _gauge(
            "customers_set_aside",
            "Customers who are not served, since their files cannot be used.",
            {(): max(one.set_aside for one in known)},
        )

    def _configurations(self) -> list[ConfigurationInForce]:
        if self._share is None:
            return [] if self._configuration is None else [self._configuration]
        return [
            ConfigurationInForce(**orjson.loads(path.read_bytes()))
            for path in sorted(self._share.folder.glob("configuration_*.json"))
        ]


_Series = tuple[list[str], list[float]]
"""The values of the labels, and the numbers."""


class _Family(dict[tuple[str | int, ...], int]):
    """A counter, or with *bounds* a histogram: by the values of its labels where its numbers are.

    Those of a histogram are the sum of what was observed, and how much fell below each bound and
    above the one before; at the end how much was above all of them.
    """

    def __init__(
        self,
        counts: SharedCounts,
        name: str,
        meaning: str,
        *,
        labels: tuple[str, ...],
        bounds: Sequence[float],
    ) -> None:
        self._counts = counts
        self.name = name
        self._meaning = meaning
        self._labels = labels
        self.bounds = bounds
        self._width = len(bounds) + 2 if bounds else 1

    def __missing__(self, values: tuple[str | int, ...]) -> int:
        name = (self.name, *map(str, values))
        self[values] = place = self._counts.find_place(name, self._width)
        return place

    def expect(self, *values: str | int) -> None:
        """This can come: it is there, as 0."""
        if values not in self:
            self.__missing__(values)

    def collect(self, found: Iterable[_Series]) -> Metric:
        """What was counted, as the library's writer takes it."""
        name = f"{NAMESPACE}_{self.name}"
        if not self.bounds:
            counter = CounterMetricFamily(name, self._meaning, labels=self._labels)
            for values, (count,) in found:
                counter.add_metric(values, count)
            return counter
        histogram = HistogramMetricFamily(name, self._meaning, labels=self._labels)
        bounds = [*map(floatToGoString, self.bounds), "+Inf"]
        for values, (total, *counts) in found:
            buckets = list(zip(bounds, accumulate(counts), strict=True))
            histogram.add_metric(values, buckets, total)
        return histogram


class _CollectedFamilies(CollectorRegistry):
    """What was collected, as the library's writer takes it."""

    def __init__(self, families: Iterable[Metric]) -> None:
        super().__init__()
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _stored(backlog: Backlog | None) -> Iterator[Metric]:
    """What Redis says; of a part that does not answer nothing is known."""
    yield _gauge(
        "partitions_missing",
        "Parts of the store that did not answer when they were asked for these numbers.",
        {(): PARTITIONS if backlog is None else backlog.missing},
    )
    if backlog is None:
        return
    yield _gauge(
        "tasks_due",
        "Tasks that could be performed now.",
        {(str(kind),): number for kind, number in backlog.due.items()},
        "kind",
    )
    yield _gauge(
        "oldest_due_task_seconds",
        "How long the longest waiting of these has been due.",
        {(): backlog.oldest_due_s},
    )
    yield _gauge(
        "dead_letters", "Tasks that were given up and wait for somebody.", {(): backlog.dead}
    )
    yield _gauge(
        "quarantined", "What could not be read and was put aside.", {(): backlog.quarantined}
    )


def _gauge(
    name: str, meaning: str, samples: dict[tuple[str, ...], float], *labels: str
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"{NAMESPACE}_{name}", meaning, labels=labels)
    for label_values, value in samples.items():
        family.add_metric(label_values, value)
    return family
