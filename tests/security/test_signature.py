"""Standard Webhooks signatures: the vector, and everything that somebody may send instead."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge import webhook_signature as signature
from bridge.errors import BadSignature

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
BODY = (
    b'{"data":{"reference_id":"ef955117-1ef3-4b08-b658-65da99f8a1b8"},'
    b'"id":"c4b26ab9-1d6f-4142-bace-d4263cccd951","type":"assessment_finished"}'
)
STAMP = 1739793491
NOW = datetime.fromtimestamp(STAMP, UTC)
GOOD = {
    "webhook-id": "msg_test_0001",
    "webhook-timestamp": str(STAMP),
    "webhook-signature": "v1,YstBD1VnZiLf5e7iftCVlCY1uFCEi/nWwVUnriOnxUU=",
}
VALUES = st.text(st.characters(codec="utf-8"), max_size=60) | st.text(
    st.sampled_from("v1a, =+/0123456789.-e\udc80\u0660"), max_size=60
)


def verify(raw: bytes, headers: dict[str, str], secret: str, now: datetime) -> str:
    """Both halves: what the headers say, and that the body fits."""
    return signature.verify_signature(raw, signature.read_signature_headers(headers, now), secret)


def signed(stamp: str, message_id: str = "msg_1", raw: bytes = BODY) -> dict[str, str]:
    """Headers with a genuine signature over anything."""
    value = signature.compute_signature(raw, message_id, stamp, SECRET)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{value}",
    }


def test_vector() -> None:
    """The vector that the reference library confirms is genuine, with and without the secret's
    prefix.
    """
    for secret in (SECRET, SECRET.removeprefix("whsec_")):
        assert verify(BODY, GOOD, secret, NOW) == "msg_test_0001"


@pytest.mark.parametrize(
    "entries",
    [
        "{} {}",
        "v1,AAAA {}",
        "v1 {}",
        "v1, {}",
        ", {}",
        "v1a,{} {}",
        "v9,zzz v1,@@@@ nonsense {}",
        "v1,\u00e4 {}",
        "v1,\udc80 {}",
        "{}\t",
    ],
)
def test_one_good_entry_is_enough(entries: str) -> None:
    """Beside a good signature, older ones, unknown versions and malformed entries do no harm."""
    good = GOOD["webhook-signature"]
    assert verify(BODY, GOOD | {"webhook-signature": entries.format(good, good)}, SECRET, NOW)


@pytest.mark.parametrize("seconds", [-300, -1, 0, 1, 300])
def test_fresh(seconds: int) -> None:
    """Five minutes either way are tolerated."""
    assert verify(BODY, GOOD, SECRET, NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize("seconds", [-86_400, -301, 301, 86_400])
def test_stale_or_early(seconds: int) -> None:
    """Beyond that it is refused, and the message says by how much the clocks differ."""
    with pytest.raises(BadSignature, match=re.escape(f"is {seconds:+d} s off")):
        verify(BODY, GOOD, SECRET, NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize("stamp", ["0", "1", "99999999999", "999999999999", "000000000000"])
def test_any_number_is_only_stale(stamp: str) -> None:
    """A genuine signature over a time that no calendar has is stale, not a crash."""
    with pytest.raises(BadSignature, match="off the bridge's time"):
        verify(BODY, signed(stamp), SECRET, NOW)


@pytest.mark.parametrize("name", list(GOOD))
@pytest.mark.parametrize(
    "value", [None, "", " ", "x" * 5_000, "\u00e4", "-1", "1e9", "\u0661\u0662", "v1"]
)
def test_wrong_header(name: str, value: str | None) -> None:
    """Each header that is missing or nonsense makes it a forgery."""
    headers = {key: text for key, text in GOOD.items() if key != name} | (
        {name: value} if value is not None else {}
    )
    with pytest.raises(BadSignature):
        verify(BODY, headers, SECRET, NOW)


def test_everything_is_signed() -> None:
    """Another body, id or time under the same signature is a forgery, and so is any other
    secret.
    """
    other = "whsec_" + base64.b64encode(b"x" * 32).decode()
    for raw, headers, secret in (
        (BODY + b" ", GOOD, SECRET),
        (b"", GOOD, SECRET),
        (BODY, GOOD | {"webhook-id": "msg_test_0002"}, SECRET),
        (BODY, GOOD | {"webhook-timestamp": str(STAMP + 1)}, SECRET),
        (BODY, GOOD, other),
    ):
        with pytest.raises(BadSignature, match="fits no known secret"):
            verify(raw, headers, secret, NOW)


def test_time_is_judged_before_the_body() -> None:
    """A stale time is refused by the headers alone; it tells no more of the clock than the Date of
    every answer.
    """
    headers = GOOD | {"webhook-signature": "v1," + "A" * 43 + "=", "webhook-timestamp": "1"}
    with pytest.raises(BadSignature, match="off the bridge's time"):
        signature.read_signature_headers(headers, NOW)


@given(raw=st.binary(max_size=200), names=VALUES, stamp=VALUES, entries=VALUES)
@example(raw=b"", names="\udc80", stamp="9" * 12, entries="v1,\udcff v1 , v1a,")
def test_anything_is_a_forgery(raw: bytes, names: str, stamp: str, entries: str) -> None:
    """Whatever the headers and the body hold, the only outcome is ``BadSignature``."""
    headers = {"webhook-id": names, "webhook-timestamp": stamp, "webhook-signature": entries}
    with pytest.raises(BadSignature):
        verify(raw, headers, SECRET, NOW)


@given(raw=st.binary(max_size=200), stamp=st.integers(0, 999_999_999_999))
def test_genuine_is_accepted_or_stale(raw: bytes, stamp: int) -> None:
    """A genuine delivery of any bytes is taken if it is fresh, and stale otherwise."""
    headers = signed(str(stamp), raw=raw)
    if abs(STAMP - stamp) <= 300:
        assert verify(raw, headers, SECRET, NOW) == "msg_1"
        return
    with pytest.raises(BadSignature):
        verify(raw, headers, SECRET, NOW)


def test_what_is_sent_is_what_is_accepted() -> None:
    """The headers of a delivery of ours are those of the specification, and its receiver accepts
    them.
    """
    headers = signature.build_signed_headers(BODY, "msg_test_0001", NOW, SECRET)
    assert headers == GOOD
    assert verify(BODY, headers, SECRET, NOW) == "msg_test_0001"
