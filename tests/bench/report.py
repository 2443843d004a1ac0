"""The figures of a run as ``.bench/report.json``, as a table, and beside those of the last one.

The keys of the report:

``capacity_ratio``     ``floor`` and ``fastapi``: by path, how many times as many requests as they
                       the bridge answers with the same CPU;
                       ``control``: a second FLOOR beside the first
``capacity_range``     the same keys: ``min`` and ``max`` over the rounds
``cpu_ms``             by candidate and path: CPU of one request, under load beside another one
``journeys_per_cpu_s`` by candidate: invite, callback, notification and result read
``lost``, ``duplicates``  of all candidates, by id: 0, or the run says which
``checked``            by candidate: how much was compared
``latency_ms``         by candidate and path at ``rates``: ``p50``, ``p99``
``idle_ms``            by candidate and path, one request at a time; ``direct``: a call to the
                       simulated vendor alone; ``over_direct``: an invite without such a call
``redis``              by candidate and path, for one request alone: ``round_trips``, ``commands``
                       (those in scripts included), ``cpu_us``; ``reads_under_load``: round trips
                       under load, where one may carry the commands of several requests
``redis_bytes``        by candidate: an ``open`` and a ``completed`` invitation, all its keys
``rss_mb``             by candidate, at the end
``options``, ``machine``, ``date``, ``commit``   what was run, where and when
"""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import orjson

from tests.bench.suite import RATES, Found, Options
from tests.redis_servers import binaries

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / ".bench" / "report.json"
LAST = Path(__file__).parent / "last_report.json"
"""The committed one, to compare with."""
MOVED = 0.05
"""A figure that is off by more than this, and by more than its rounds were, has moved."""
ORDER = ("floor", "control", "bridge", "fastapi")
"""In which the candidates are shown."""
COMPARABLE = ("encrypted", "durability")
"""Options without which two reports say different things."""
TITLES = {
    "callback": "callback, until softgarden is notified",
    "results": "a result read again",
    "tests": "list of tests",
    "journey": "all but the last, one after the other",
}
"""As the README calls the paths."""
Report = dict[str, Any]


def _ratios(found: Found, of: str, to: str) -> dict[str, list[float]]:
    """By path, for each round: the capacity of *of* divided by that of *to*."""
    return {
        path: values
        for (one, other, path), values in found.ratios.items()
        if (one, other) == (of, to)
    }


def _by_name(values: Mapping[tuple[str, str], Any]) -> dict[str, dict[str, Any]]:
    nested: dict[str, dict[str, Any]] = {}
    for (name, path), value in sorted(values.items(), key=lambda item: ORDER.index(item[0][0])):
        nested.setdefault(name, {})[path] = value
    return nested


def _rounded(percentiles: Any) -> dict[str, float]:
    return {key: round(value, 3) for key, value in asdict(percentiles).items()}


def build_report(found: Found, options: Options) -> Report:
    """The report; its keys are in the module's docstring."""
    ratios = {
        "floor": _ratios(found, "bridge", "floor"),
        "fastapi": _ratios(found, "bridge", "fastapi"),
        "control": _ratios(found, "control", "floor"),
    }
    cpu_ms = {key: round(median(values), 4) for key, values in found.cpu_ms.items()}
    idle = _by_name({key: _rounded(value) for key, value in found.alone.items()})
    assert found.direct is not None
    direct = _rounded(found.direct)
    for by_path in idle.values():
        invite = by_path["invite"]
        by_path["over_direct"] = {key: round(invite[key] - direct[key], 3) for key in direct}
    return {
        "capacity_ratio": {
            to: {path: round(median(values), 4) for path, values in by_path.items()}
            for to, by_path in ratios.items()
            if by_path
        },
        "capacity_range": {
            to: {
                path: {"min": round(min(values), 4), "max": round(max(values), 4)}
                for path, values in by_path.items()
            }
            for to, by_path in ratios.items()
            if by_path
        },
        "cpu_ms": _by_name(cpu_ms),
        "journeys_per_cpu_s": {
            name: round(1000 / by_path["journey"])
            for name, by_path in _by_name(cpu_ms).items()
            if "journey" in by_path
        },
        "lost": sum(len(one.find_losses()) for one in found.ledgers.values()),
        "duplicates": sum(len(one.find_duplicates()) for one in found.ledgers.values()),
        "checked": {
            name: {"orders": len(one.invitations), "callbacks": len(one.reported)}
            for name, one in found.ledgers.items()
        },
        "latency_ms": _by_name({key: _rounded(value) for key, value in found.at_rate.items()}),
        "idle_ms": {**idle, "direct": direct},
        "redis": _by_name(
            {
                key: {
                    **found.redis.get(key, {}),
                    "reads_under_load": round(median(values), 2),
                }
                for key, values in found.under_load.items()
            }
        ),
        "redis_bytes": found.redis_bytes,
        "rss_mb": found.rss_mb,
        "rates": RATES,
        "options": asdict(options),
        "machine": _describe_machine(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _read_commit(),
    }


def _describe_machine() -> dict[str, Any]:
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        if line.startswith("model name")
    ]
    return {
        "processor": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "redis": next(iter(binaries())),
    }


def _read_commit() -> str:
    command = ("git", "describe", "--always", "--dirty", "--abbrev=10")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def write(report: Report, file: Path) -> None:
    """The report as JSON, for people too."""
    file.parent.mkdir(exist_ok=True)
    options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    file.write_bytes(orjson.dumps(report, option=options))


def build_table(report: Report) -> Iterator[str]:
    """The figures for people."""
    yield "capacity relative to others: median (min-max of the rounds); CPU in ms"
    paths = list(report["cpu_ms"]["bridge"])
    names = list(report["cpu_ms"])
    against = list(report["capacity_ratio"])
    titles = {"floor": "bridge / FLOOR", "fastapi": "bridge / FastAPI", "control": "A/A control"}
    yield (
        f"  {'':<10}"
        + "".join(f"{titles[one]:>24}" for one in against)
        + "".join(f"{one + ' ms':>13}" for one in names)
    )
    for path in paths:
        cells = "".join(f"{_show_ratio(report, one, path):>24}" for one in against)
        yield f"  {path:<10}{cells}" + "".join(
            f"{report['cpu_ms'][one][path]:>13.3f}" for one in names
        )
    yield from _build_redis_table(report)
    yield from _build_latency_table(report)
    yield "RSS: " + ", ".join(f"{name} {size} MB" for name, size in report["rss_mb"].items())
    if report["journeys_per_cpu_s"]:
        yield "journeys for a second of CPU: " + ", ".join(
            f"{name} {number}" for name, number in report["journeys_per_cpu_s"].items()
        )
    checked = report["checked"].values()
    yield (
        f"checked by id: {sum(one['orders'] for one in checked)} orders,"
        f" {sum(one['callbacks'] for one in checked)} callbacks;"
        f" {report['lost']} lost, {report['duplicates']} doubled"
    )


def _show_ratio(report: Report, against: str, path: str) -> str:
    extremes = report["capacity_range"][against][path]
    middle = report["capacity_ratio"][against][path]
    return f"{middle:.2f} ({extremes['min']:.2f}-{extremes['max']:.2f})"


def _build_redis_table(report: Report) -> Iterator[str]:
    yield (
        "Redis for one request alone: round trips (under load) / commands, scripts' included / CPU"
        " in us"
    )
    for name, by_path in report["redis"].items():
        yield f"  {name:<10}" + "   ".join(
            f"{path} {one['round_trips']:.1f} ({one['reads_under_load']:.1f})"
            f" / {one['commands']:.1f} / {one['cpu_us']:.0f}"
            for path, one in by_path.items()
            if "round_trips" in one
        )
    yield "Redis bytes for an invitation: " + ", ".join(
        f"{name} open {one['open']}, completed {one['completed']}"
        for name, one in report["redis_bytes"].items()
    )


def _build_latency_table(report: Report) -> Iterator[str]:
    direct = report["idle_ms"]["direct"]
    yield f"idle, p50 / p99 in ms (direct call to the vendor {direct['p50']} / {direct['p99']})"
    for name, by_path in report["idle_ms"].items():
        if name != "direct":
            yield f"  {name:<10}" + "   ".join(
                f"{path} {one['p50']:.2f} / {one['p99']:.2f}" for path, one in by_path.items()
            )
    if not report["latency_ms"]:
        return
    rates = ", ".join(f"{path} {rate:.0f}" for path, rate in report["rates"].items())
    yield f"at a fixed rate ({rates} a second), p50 / p99 in ms"
    for name, by_path in report["latency_ms"].items():
        yield f"  {name:<10}" + "   ".join(
            f"{path} {one['p50']:.2f} / {one['p99']:.2f}" for path, one in by_path.items()
        )


def build_markdown(report: Report) -> Iterator[str]:
    """The rows of the README's table."""
    for path in report["cpu_ms"]["bridge"]:
        title = TITLES.get(path, path)
        cells = [_show_ratio(report, one, path) for one in ("floor", "fastapi")]
        yield f"| {title} | {' | '.join(cells)} | {report['cpu_ms']['bridge'][path]:.2f} |"


def compare(report: Report, last: Report) -> Iterator[str]:
    """What moved since the *last* report, by ratio, so that the machine does not matter; nothing
    where the two were not made in the same way.
    """
    if any(report["options"].get(key) != last["options"].get(key) for key in COMPARABLE):
        return
    for against in ("floor", "fastapi"):
        known = last["capacity_ratio"].get(against, {})
        for path, now in report["capacity_ratio"].get(against, {}).items():
            before = known.get(path)
            if before is None:
                continue
            ranges = [one["capacity_range"][against][path] for one in (report, last)]
            apart = ranges[0]["min"] > ranges[1]["max"] or ranges[0]["max"] < ranges[1]["min"]
            if apart and abs(now / before - 1) > MOVED:
                yield f"{path} / {against}: {before:.2f} -> {now:.2f} ({now / before - 1:+.0%})"
    yield from _compare_counts(report, last)


def _compare_counts(report: Report, last: Report) -> Iterator[str]:
    known = last["redis"].get("bridge", {})
    for path, counts in report["redis"]["bridge"].items():
        before, now = known.get(path, {}).get("round_trips"), counts.get("round_trips")
        if before and now is not None and abs(now / before - 1) > MOVED and abs(now - before) > 0.1:
            yield f"{path}, Redis round trips: {before:.1f} -> {now:.1f}"
    for what, size in report["redis_bytes"]["bridge"].items():
        before = last["redis_bytes"]["bridge"][what]
        if abs(size / before - 1) > MOVED:
            yield f"bytes of an invitation, {what}: {before:.0f} -> {size:.0f}"


def read_last() -> Report | None:
    """The committed report, if there is one."""
    if not LAST.exists():
        return None
    last: Report = orjson.loads(LAST.read_bytes())
    return last


def list_faults(found: Found, limit: int = 20) -> Sequence[str]:
    """What was lost, doubled, or never asked for, by id."""
    return [
        f"{name}: {what}"
        for name, one in found.ledgers.items()
        for what in (*one.find_losses(), *one.find_duplicates(), *one.find_strangers())
    ][:limit]
