"""What operators' machines read at ``/metrics``."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bridge import __version__
from bridge.core.customers import CustomerDirectory, UnusableCustomer
from bridge.errors import ConfigMistake
from bridge.sandbox.sample_results import choose_sample_scores
from tests.flows.conftest import Bridge, Config, Launch, eventually
from tests.redis_servers import RedisServer, binaries

Labels = Mapping[str, str]


class Numbers:
    """One answer of ``/metrics``."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.types: dict[str, str] = {}
        self.samples: list[tuple[str, Labels, float]] = []
        for family in text_string_to_metric_families(text):
            self.types[family.name] = family.type
            self.samples += [(one.name, one.labels, one.value) for one in family.samples]

    def __call__(self, name: str, **labels: str) -> float:
        """The only sample of this name with these labels."""
        (value,) = self.all(name, **labels)
        return value

    def all(self, name: str, **labels: str) -> list[float]:
        """The samples of this name with these labels."""
        return [
            value
            for sample, found, value in self.samples
            if sample == f"bridge_{name}" and labels.items() <= found.items()
        ]


async def scrape(bridge: Bridge) -> Numbers:
    """What ``/metrics`` says now."""
    reply = await bridge.ask("GET", bridge.admin_url + "/metrics")
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    return Numbers(reply.text)


async def test_every_metric_is_documented(bridge: Bridge) -> None:
    """The table for operators names every metric."""
    table = Path(__file__).parents[2].joinpath("deploy", "README.md").read_text("utf-8")
    named = set(re.findall(r"`(\w+)[`{]", table))
    found = {sample.removeprefix("bridge_") for sample, _, _ in (await scrape(bridge)).samples}
    assert {re.sub(r"_(bucket|sum|count)$", "", name) for name in found} - named == set()


async def test_everything_is_there_from_the_start(bridge: Bridge) -> None:
    """Whatever can be known to come is there before it has come, as 0: an alert on an increase
    sees the first one.
    """
    numbers = await scrape(bridge)
    for customer in ("acme", "globex", "initech"):
        for outcome in ("created", "repeated", "completed", "upstream_refused", "busy"):
            assert numbers("invitations_total", customer=customer, outcome=outcome) == 0
        assert numbers("callbacks_total", customer=customer, outcome="accepted") == 0
        for outcome in ("delivered", "rejected", "unauthorized", "http_5xx"):
            assert numbers("notifications_total", customer=customer, outcome=outcome) == 0
        assert numbers("notify_seconds_count", customer=customer) == 0
    for operation in ("token", "jobs", "create", "status", "results", "public_link", "anonymise"):
        called = {"vendor": "equalture", "operation": operation}
        assert numbers("upstream_requests_total", **called, outcome="unauthorized") == 0
        assert numbers("upstream_request_seconds_count", **called) == 0
    notified = {"vendor": "softgarden", "operation": "notify"}
    assert numbers("upstream_requests_total", **notified, outcome="ok") == 0
    for status in ("200", "400", "401", "502", "503", "504"):
        invite = {"route": "/softgarden/invitations", "method": "POST", "status": status}
        assert numbers("http_requests_total", **invite) == 0
    assert [numbers("tasks_due", kind=kind) for kind in ("check", "notify", "anonymise")] == [0] * 3
    for name in ("oldest_due_task_seconds", "dead_letters", "quarantined", "customers_set_aside"):
        assert numbers(name) == 0
    assert numbers("partitions_missing") == 0
    assert numbers("config_last_reload_successful") == 1
    assert numbers("config_last_reload_timestamp_seconds") > 1.6e9
    assert numbers("build_info", version=__version__) == 1
    assert numbers.all("config_hash_info") == [1]
    assert set(numbers.types.values()) == {"counter", "histogram", "gauge"}


async def test_a_journey_is_counted(bridge: Bridge) -> None:
    """An order, its repeat, the callback, the calls and the notification each count once, by
    customer; and how long the ATS waited for the result.
    """
    invitation = await bridge.acme.invite("engineer", candidate_id="app-1")
    await bridge.acme.invite("engineer", candidate_id="app-1")
    await bridge.equalture.complete(bridge.created())
    await bridge.result(bridge.acme, invitation.json["invitationId"], "COMPLETED")
    await eventually(lambda: bridge.notified() != [])
    await bridge.idle()
    numbers = await scrape(bridge)
    assert numbers("invitations_total", customer="acme", outcome="created") == 1
    assert numbers("invitations_total", customer="acme", outcome="repeated") == 1
    assert numbers("invitations_total", customer="acme", outcome="completed") == 1
    assert numbers("callbacks_total", customer="acme", outcome="accepted") == 1
    assert numbers("notifications_total", customer="acme", outcome="delivered") == 1
    assert numbers("notify_seconds_count", customer="acme") == 1
    assert 0 <= numbers("notify_seconds_sum", customer="acme") < 5
    created = {"vendor": "equalture", "operation": "create"}
    assert numbers("upstream_requests_total", **created, outcome="ok") == 1
    assert numbers("upstream_request_seconds_count", **created) == 1
    assert numbers("upstream_requests_total", vendor="softgarden", outcome="ok") == 1
    invite = {"route": "/softgarden/invitations", "method": "POST"}
    assert numbers("http_requests_total", **invite, status="200") == 2
    assert numbers("http_request_seconds_count", route="/softgarden/invitations") == 2
    assert sum(numbers.all("invitations_total", customer="globex")) == 0


async def test_the_time_to_a_notification_has_its_outage_in_it(bridge: Bridge) -> None:
    """A result that softgarden took after its third attempt waited for all of that time; one that
    is corrected later counts from its correction.
    """
    bridge.softgarden.fault("notify", status=500, times=2)
    invitation = (await bridge.acme.invite("engineer")).json["invitationId"]
    await bridge.equalture.complete(bridge.created())
    await bridge.result(bridge.acme, invitation, "COMPLETED")
    for attempt, delay in ((1, 6), (2, 40)):
        await bridge.softgarden.wait_calls("notify", attempt)
        await bridge.advance(timedelta(seconds=delay))
    await bridge.softgarden.wait_calls("notify", 3)
    await bridge.idle()
    numbers = await scrape(bridge)
    assert numbers("notifications_total", customer="acme", outcome="http_5xx") == 2
    assert numbers("notify_seconds_count", customer="acme") == 1
    waited = numbers("notify_seconds_sum", customer="acme")
    assert 46 <= waited < 60
    await bridge.advance(timedelta(days=1))
    application = bridge.equalture.applications[bridge.created()]
    application.fit, application.scores = "low", choose_sample_scores("low", None)
    await bridge.runtime.services.refreshing.refresh(invitation)
    await bridge.softgarden.wait_calls("notify", 4)
    await bridge.idle()
    numbers = await scrape(bridge)
    assert numbers("notify_seconds_count", customer="acme") == 2
    assert numbers("notify_seconds_sum", customer="acme") < waited + 10


async def test_what_goes_wrong_has_its_outcome(bridge: Bridge) -> None:
    """A refused order, a stranger's callback, an unreadable one and a rejected notification are
    told apart.
    """
    bridge.equalture.fault("token", status=401)
    assert (await bridge.globex.invite("job-3")).status == 502
    bridge.equalture.faults.heal()
    invitation = await bridge.acme.invite("engineer")
    url = bridge.callback_of(bridge.created())
    assert (await bridge.ask("PUT", url + "x", data=b"{}")).status == 404
    assert (await bridge.ask("PUT", url, data=b"no JSON")).status == 400
    bridge.softgarden.fault("notify", status=400)
    await bridge.equalture.complete(bridge.created())
    await bridge.result(bridge.acme, invitation.json["invitationId"], "COMPLETED")
    await eventually(bridge.dead_letters)
    numbers = await scrape(bridge)
    refused = {"vendor": "equalture", "operation": "token", "outcome": "unauthorized"}
    assert numbers("upstream_requests_total", **refused) >= 1
    assert numbers("invitations_total", customer="globex", outcome="upstream_refused") == 1
    strangers = {"customer": "unknown", "outcome": "unknown_invitation"}
    assert numbers("callbacks_total", **strangers) == 1
    assert numbers("callbacks_total", customer="acme", outcome="unreadable") == 1
    assert numbers("notifications_total", customer="acme", outcome="rejected") == 1
    assert numbers("notify_seconds_count", customer="acme") == 0
    assert numbers("dead_letters") == 1


async def test_work_that_waits_is_seen(bridge: Bridge) -> None:
    """What is due and not performed is counted by kind, with the time that the longest has waited:
    also that of a customer who is set aside. The work of one who was removed is nobody's.
    """
    await bridge.acme.invite("engineer")
    await bridge.idle()
    bridge.runtime.customers.replace(CustomerDirectory((), [UnusableCustomer("acme", ())]))
    bridge.clock.advance(timedelta(hours=2))
    numbers = await scrape(bridge)
    assert numbers("tasks_due", kind="check") == 1
    assert numbers("tasks_due", kind="notify") == 0
    assert 3600 < numbers("oldest_due_task_seconds") < 2 * 3600
    bridge.runtime.customers.replace(CustomerDirectory(()))
    numbers = await scrape(bridge)
    assert numbers("tasks_due", kind="check") == 0
    assert numbers("oldest_due_task_seconds") == 0


async def test_no_label_is_an_id_or_a_url(bridge: Bridge) -> None:
    """Nothing that a stranger sends, and nobody's id, becomes a label."""
    invited = await bridge.acme.invite("engineer", candidate_id="app-4711")
    invitation = invited.json["invitationId"]
    await bridge.acme.read_results(invitation)
    await bridge.ask("MKCALENDAR", "/softgarden/tests")
    await bridge.ask("GET", "/nowhere/4711")
    await bridge.ask("GET", f"/results/{invitation}.x")
    await bridge.ask("PUT", f"/equalture/callbacks/{invitation}/secret-4711", data=b"{}")
    numbers = await scrape(bridge)
    for word in (invitation, "4711", "MKCALENDAR", "nowhere", "http://", bridge.created()):
        assert word not in re.sub(r"(?m)^# .*$", "", numbers.text)
    assert numbers("http_requests_total", route="unmatched", method="other", status="405") == 1
    assert numbers("http_requests_total", route="unmatched", method="GET", status="404") == 1


async def test_a_refused_reload_shows(bridge: Bridge) -> None:
    """A reload that is refused is seen at once, and when it is mended; what is in force has another
    digest then.
    """
    before = await scrape(bridge)
    bridge.runtime.customers.refuse((ConfigMistake("customers/acme.yaml", 1, 1, "no"),))
    refused = await scrape(bridge)
    assert refused("config_last_reload_successful") == 0
    since = "config_last_reload_timestamp_seconds"
    assert refused(since) == before(since)
    aside = UnusableCustomer("globex", ())
    served = [one for one in bridge.runtime.customers() if one.key == "acme"]
    bridge.runtime.customers.replace(CustomerDirectory(served, [aside]))
    after = await scrape(bridge)
    assert after("config_last_reload_successful") == 1
    assert after(since) > before(since)
    assert after("customers_set_aside") == 1
    digests = [
        labels["hash"]
        for numbers in (before, refused, after)
        for name, labels, _ in numbers.samples
        if name == "bridge_config_hash_info"
    ]
    assert digests[0] == digests[1] != digests[2]
    assert all(re.fullmatch(r"[0-9a-f]{12}", digest) for digest in digests)


@pytest.mark.redis
async def test_without_redis_the_rest_is_answered(config: Config, launch: Launch) -> None:
    """Where Redis is away, what this process has counted is given all the same, and soon; what only
    Redis knows is left out rather than made up.
    """
    server = RedisServer(next(iter(binaries().values())))
    config.daemon["redis"]["url"] = server.start().url
    try:
        bridge = await launch()
        await bridge.acme.invite("engineer")
        server.freeze()
        begun = time.monotonic()
        numbers = await scrape(bridge)
        assert time.monotonic() - begun < 3
        assert numbers("invitations_total", customer="acme", outcome="created") == 1
        assert numbers("build_info") == 1
        assert numbers("partitions_missing") == 16
        for name in ("tasks_due", "dead_letters", "quarantined", "oldest_due_task_seconds"):
            assert numbers.all(name) == []
        server.thaw()
        await eventually(lambda: answered(bridge), within_s=10)
    finally:
        server.close()


async def answered(bridge: Bridge) -> bool:
    """Whether Redis' own numbers are there."""
    return (await scrape(bridge)).all("dead_letters") == [0]
