"""The numbers of ``/metrics``: kept by prometheus-client, one object for each process.

Where several processes serve behind the same ports, each keeps its numbers in files of its own
in a folder that all share, and the worker that is asked sums them up. The files go by the number of
the worker, not by its process id: the successor of a dead worker goes on counting in its files.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import orjson
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    generate_latest,
    values,
)
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector

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

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
NAMESPACE = "bridge"
LIBRARY_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable by which prometheus-client knows the shared folder; it must be there before
the library is imported.
"""
REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
NOTIFY_BUCKETS = (0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 4 * 3600, 24 * 3600)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})
_FOLDER: Final = "bridge-metrics-"
_LOCK: Final = "lock"
_FILE_BYTES: Final = 2 * 1024 * 1024
"""Room for some ten thousand series in each of a worker's files, taken at the start: memory that
is mapped to a full disk would end the process that writes to it.
"""


@dataclass(frozen=True, slots=True)
class MetricsShare:
    """A worker's part of the shared folder; *number* is its own among the living."""

    folder: Path
    number: int


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
        if share is not None:
            # Before the first number is made; the library asks for no other way.
            values.ValueClass = values.MultiProcessValue(  # type: ignore[no-untyped-call]
                lambda: share.number
            )
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
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
        self._requests[route, method if method in _METHODS else "other", status]()
        self._request_seconds[route](seconds)

    def call(self, vendor: str, operation: str, outcome: str, seconds: float) -> None:
        """See ``Meter``."""
        self._calls[vendor, operation, outcome]()
        self._call_seconds[vendor, operation](seconds)

    def invitation(self, customer: str, outcome: str) -> None:
        """See ``Meter``."""
        self._invitations[customer, outcome]()

    def callback(self, customer: str, outcome: str) -> None:
        """See ``Meter``."""
        self._callbacks[customer, outcome]()

    def notification(self, customer: str, outcome: str) -> None:
        """See ``Meter``."""
        self._notifications[customer, outcome]()

    def result_notified(self, customer: str, seconds: float) -> None:
        """See ``Meter``. Clocks that were set back make no negative time."""
        self._notify_seconds[customer](max(0.0, seconds))

    def contract_change(self, vendor: str, operation: str) -> None:
        """See ``Meter``."""
        self._contract_changes[vendor, operation]()

    def expect_requests(self, route: str, method: str, statuses: Iterable[int]) -> None:
        """These can come: they are there from the start, as 0."""
        self._request_seconds.labels(route)
        for status in statuses:
            self._requests.labels(route, method, status)

    def expect_calls(self, vendor: str, operations: Iterable[str]) -> None:
        """These can be made: they are there from the start, as 0."""
        for operation in operations:
            self._call_seconds.labels(vendor, operation)
            self._contract_changes.labels(vendor, operation)
            for outcome in CALL_OUTCOMES:
                self._calls.labels(vendor, operation, outcome)

    def expect_requests_of(self, vendor: str, requests: Iterable[str]) -> None:
        """What a vendor sends by itself, in the words of the contract watch."""
        for request in requests:
            self._contract_changes.labels(vendor, request)

    def expect_customers(self, customers: Iterable[str]) -> None:
        """These are served: what can be counted of them is there from the start, as 0."""
        for outcome in STRANGERS_OUTCOMES:
            self._callbacks.labels(STRANGER, outcome)
        for customer in customers:
            self._notify_seconds.labels(customer)
            for counter, outcomes in (
                (self._invitations, INVITATION_OUTCOMES),
                (self._callbacks, CALLBACK_OUTCOMES),
                (self._notifications, NOTIFICATION_OUTCOMES),
            ):
                for outcome in outcomes:
                    counter.labels(customer, outcome)

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
        return generate_latest(_Families([*self._counted(), *self._in_force(), *_stored(backlog)]))

    def _counter(self, name: str, meaning: str, *labels: str) -> _Series:
        return _Series(Counter(name, meaning, labels, NAMESPACE, registry=self._registry))

    def _histogram(self, name: str, meaning: str, bounds: Sequence[float], *labels: str) -> _Series:
        made = Histogram(name, meaning, labels, NAMESPACE, registry=self._registry, buckets=bounds)
        return _Series(made)

    def _counted(self) -> Iterable[Metric]:
        if self._share is None:
            return self._registry.collect()
        collector = MultiProcessCollector(None, str(self._share.folder))  # type: ignore[no-untyped-call]
        found: Iterable[Metric] = collector.collect()  # type: ignore[no-untyped-call]
        return found

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


class _Series(dict[tuple[str | int, ...] | str, Callable[..., None]]):
    """What counts, by label values: the library takes longer to find it than to count."""

    def __init__(self, family: Counter | Histogram) -> None:
        self.labels = family.labels

    def __missing__(self, found: tuple[str | int, ...] | str) -> Callable[..., None]:
        one = self.labels(*([found] if isinstance(found, str) else found))
        self[found] = count = one.inc if isinstance(one, Counter) else one.observe
        return count


class _Families(CollectorRegistry):
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


@contextlib.contextmanager
def create_shared_metrics_folder(workers: int) -> Iterator[Path]:
    """A folder in which *workers* can keep their numbers; raises ``OSError`` where there is no room
    for it. What daemons that were killed left behind is removed first.
    """
    _remove_left_behind(Path(tempfile.gettempdir()))
    with (
        tempfile.TemporaryDirectory(prefix=_FOLDER, ignore_cleanup_errors=True) as made,
        (Path(made) / "lock.new").open("wb") as lock,
    ):
        folder = Path(made)
        fcntl.flock(lock, fcntl.LOCK_EX)
        (folder / "lock.new").rename(folder / _LOCK)  # it is there only once it is held
        for number in range(workers):
            for kind in ("counter", "histogram"):
                with (folder / f"{kind}_{number}.db").open("wb") as file:
                    os.posix_fallocate(file.fileno(), 0, _FILE_BYTES)
        yield folder


def _remove_left_behind(where: Path) -> None:
    """Remove folders of ours whose daemon has ended: their lock is free."""
    for folder in where.glob(f"{_FOLDER}*"):
        with contextlib.suppress(OSError):
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            with (folder / _LOCK).open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
