"""Webhooks of the Equalture fake: signed by Standard Webhooks 1.0.0."""

from __future__ import annotations

import json

import pytest

from bridge.sandbox import EqualtureSandbox, webhooks
from tests.sandbox.conftest import Bearer, Peer

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


def test_signs_as_the_vector_says() -> None:
    """The signature is the one of the test vector in Standard Webhooks 1.0.0."""
    body = (
        b'{"data":{"reference_id":"ef955117-1ef3-4b08-b658-65da99f8a1b8"},'
        b'"id":"c4b26ab9-1d6f-4142-bace-d4263cccd951","type":"assessment_finished"}'
    )
    assert webhooks.compute_webhook_signature(SECRET, "msg_test_0001", 1739793491, body) == (
        "v1,YstBD1VnZiLf5e7iftCVlCY1uFCEi/nWwVUnriOnxUU="
    )


@pytest.mark.parametrize("secret", ["MDEy", "whsec_!!!", "whsec_MDEy", "whsec_"])
def test_refuses_a_bad_secret(secret: str) -> None:
    """A secret without prefix, of junk, or too short raises."""
    with pytest.raises(ValueError):  # noqa: PT011
        webhooks.compute_webhook_signature(secret, "m", 1, b"")


async def test_events_follow_the_candidate(
    equalture: EqualtureSandbox, call: Bearer, peer: Peer
) -> None:
    """With a webhook registered, started and finished are delivered once each, signed over the
    bytes sent.
    """
    account = equalture.accounts["acme"]
    account.webhook_url, account.webhook_secret = f"{peer.url}/hook", SECRET
    _, answer = await call.create()
    await equalture.start_test(answer["reference_id"])
    for _ in range(2):
        await equalture.complete(answer["reference_id"], send_callback=False)
    events = [json.loads(seen[3]) for seen in peer.seen]
    assert [event["type"] for event in events] == ["assessment_started", "assessment_finished"]
    assert sorted(events[0]["data"]) == ["application_start_date", "reference_id"]
    assert events[1]["data"] == {"reference_id": answer["reference_id"]}
    _, _, headers, body = peer.seen[1]
    expected = webhooks.compute_webhook_signature(
        SECRET, headers["webhook-id"], int(headers["webhook-timestamp"]), body
    )
    assert headers["webhook-signature"] == expected


async def test_a_webhook_can_be_sent_at_will(equalture: EqualtureSandbox, peer: Peer) -> None:
    """Any type, reference, message id and time can be sent, and the answer's status comes back."""
    peer.status = 202
    status = await equalture.send_webhook(
        f"{peer.url}/hook",
        SECRET,
        "application_finished",
        "ref-1",
        message_id="msg_1",
        timestamp=1739793491,
    )
    assert status == 202
    assert peer.seen[0][2]["webhook-timestamp"] == "1739793491"
    assert equalture.calls("webhook")[0].reference_id == "ref-1"
