"""What is deployed for Prometheus and Grafana: rules that fire, metrics that exist, and a paragraph
for whoever is woken.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from bridge.core.queueing import Backlog, TaskKind
from bridge.metrics import ConfigurationInForce, Metrics
from tests.install.test_environment import ROOT

PROMETHEUS = ROOT / "deploy" / "prometheus"
RULES = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text("utf-8"))["groups"]
CASES = yaml.safe_load((PROMETHEUS / "alerts_test.yml").read_text("utf-8"))["tests"]
ALERTS = {rule["alert"]: rule for group in RULES for rule in group["rules"] if "alert" in rule}
RECORDED = {rule["record"] for group in RULES for rule in group["rules"] if "record" in rule}
DASHBOARD = json.loads((ROOT / "deploy/grafana/dashboard.json").read_text("utf-8"))
PROMETHEUS_OWN = {"job", "instance", "le"}
SELECTOR = re.compile(r"\b((?:job:)?bridge_\w+(?::\w+)*)(?:\{([^}]*)\})?")


def known() -> dict[str, dict[str, set[str]]]:
    """The samples that the bridge gives: name, label, values."""
    metrics = Metrics()
    metrics.expect_customers(["acme"])
    for vendor, operations in {
        "equalture": ("token", "status", "create"),
        "softgarden": ("notify",),
    }.items():
        metrics.expect_calls(vendor, operations)
    metrics.expect_requests("/softgarden/invitations", "POST", [200, 500])
    metrics.serve_by(ConfigurationInForce("a1", 0, True, 1.0))
    text = metrics.text(Backlog(due=dict.fromkeys(TaskKind, 0))).decode()
    found: dict[str, dict[str, set[str]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = found.setdefault(sample.name, {})
            for label, value in sample.labels.items():
                labels.setdefault(label, set()).add(value)
    return found


def queries(tree: Any) -> Iterator[str]:
    """Every query in a dashboard."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            if key in ("expr", "definition") and isinstance(value, str):
                yield value
            yield from queries(value)
    elif isinstance(tree, list):
        for one in tree:
            yield from queries(one)


def assert_exists(expression: str) -> None:
    """Every metric, label and outcome that *expression* names is one of the bridge's."""
    samples = known()
    for name, matchers in SELECTOR.findall(expression):
        if name.startswith("job:"):
            assert name in RECORDED, name
            continue
        assert name in samples, name
        for label, how, value in re.findall(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"', matchers):
            assert label in samples[name] or label in PROMETHEUS_OWN, (name, label)
            if label in ("outcome", "operation", "vendor", "kind", "le"):
                words = value.split("|") if how in ("=~", "!~") else [value]
                assert set(words) <= samples[name][label], (name, value)


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_has_its_paragraph(name: str) -> None:
    """An alert says how grave it is, what is wrong in words, and where the runbook says what to
    do; and the runbook has that heading.
    """
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["runbook_url"] == f"deploy/RUNBOOK.md#{name.lower()}"
    runbook = (ROOT / "deploy" / "RUNBOOK.md").read_text("utf-8")
    paragraph = runbook.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    assert len(paragraph.split()) > 20


def test_the_runbook_has_no_other_alerts() -> None:
    """What the runbook explains can be fired."""
    runbook = (ROOT / "deploy" / "RUNBOOK.md").read_text("utf-8")
    assert re.findall(r"^## (\w+)$", runbook, re.MULTILINE) == list(
        dict.fromkeys(re.findall(r"^## (\w+)$", runbook, re.MULTILINE))
    )
    assert set(re.findall(r"^## (\w+)$", runbook, re.MULTILINE)) == set(ALERTS)


@pytest.mark.parametrize(
    "expression", [rule["expr"] for group in RULES for rule in group["rules"]], ids=lambda _: ""
)
def test_rules_use_metrics_that_exist(expression: str) -> None:
    """A rule names metrics, labels and words that the bridge has: else it would never fire, and
    nobody would notice.
    """
    assert_exists(expression)


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_is_tried_both_ways(name: str) -> None:
    """The rule tests have each alert fire, and be silent while all is well."""
    tried = [one for case in CASES for one in case["alert_rule_test"] if one["alertname"] == name]
    assert {bool(one["exp_alerts"]) for one in tried} == {True, False}


@pytest.mark.promtool
def test_alerts_fire_when_they_must() -> None:
    """``promtool`` takes the rules, and each fires in the cases written down for it, and only
    there.
    """
    promtool = shutil.which("promtool")
    assert promtool is not None
    for arguments in (["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]):
        done = subprocess.run(
            [promtool, *arguments], cwd=PROMETHEUS, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_dashboard_shows_what_exists() -> None:
    """Every query of the dashboard names metrics, labels and words that the bridge has; its panels
    do not overlap, and the first row asks whether anybody waits.
    """
    for expression in queries(DASHBOARD):
        assert_exists(expression)
    panels = DASHBOARD["panels"]
    assert panels[0]["title"] == "Is anybody waiting?"
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(taken)) == len(taken)
    assert max(x for x, _ in taken) < 24
    variables = {one["name"] for one in DASHBOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(panels)))
    assert used <= variables | {"__rate_interval"}
