from __future__ import annotations

import re
from collections import Counter

import pytest

from bridge.core import ids

ID = "iv_7" + "aB3" * 8
OLD, NEW = b"old key", b"new key"


def test_partition_is_stable() -> None:
    """The partition of an application never changes: stored records depend on it."""
    assert [5, 15, 9] == [
        ids.compute_partition("acme", f"application-{number}") for number in (1, 2, 3)
    ]


def test_partitions_are_all_used() -> None:
    """Applications spread over all 16 partitions."""
    used = Counter(ids.compute_partition("acme", f"application-{number}") for number in range(2000))
    assert set(range(ids.PARTITIONS)) == set(used)
    assert min(used.values()) > 60


def test_partition_tells_customer_and_application_apart() -> None:
    """Parts are separated, so moving a letter from one to the other gives something else."""
    assert ids.compute_order_key("ab", "c", "d") != ids.compute_order_key("a", "bc", "d")
    assert ids.compute_order_key("a", "b", "cd") != ids.compute_order_key("a", "bc", "d")


def test_order_key_says_nothing() -> None:
    """An order's key is 40 hexadecimal characters, the same for the same order."""
    key = ids.compute_order_key("acme", "application-1", "test-1")
    assert re.fullmatch(r"[0-9a-f]{40}", key)
    assert key == ids.compute_order_key("acme", "application-1", "test-1")


def test_application_key_says_nothing() -> None:
    """An application's key is 40 hexadecimal characters, and nobody else's."""
    key = ids.compute_application_key("acme", "application-1")
    assert re.fullmatch(r"[0-9a-f]{40}", key)
    assert key not in (
        ids.compute_application_key("acm", "eapplication-1"),
        ids.hash_secret("application-1"),
    )


@pytest.mark.parametrize("partition", range(16))
def test_partition_can_be_read_off_an_id(partition: int) -> None:
    """An id carries its partition."""
    assert partition == ids.read_partition(ids.compose_invitation_id(partition, "x" * 24))


def test_invitation_id_uses_letters_and_digits_only() -> None:
    """Characters that are awkward in URLs are left out of the randomness."""
    assert "iv_f" + "ab" * 12 == ids.compose_invitation_id(15, "a-b_" * 20)


@pytest.mark.parametrize("random", ["", "a" * 23, "-" * 100])
def test_too_little_randomness_is_refused(random: str) -> None:
    """An id that could be guessed is never made."""
    with pytest.raises(ValueError, match="randomness"):
        ids.compose_invitation_id(0, random)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "iv_",
        ID[:-1],
        ID + "a",
        ID + "\n",
        ID.upper(),
        "IV" + ID[2:],
        "iv_g" + ID[4:],
        "iv_A" + ID[4:],
        ID[:-1] + "-",
        ID[:-1] + "é",
        ID[:-1] + "٣",
        " " + ID,
        ID[:10] + "\0" + ID[11:],
        "iv_7" + "\ud800" * 24,
    ],
)
def test_what_is_not_an_id_has_no_partition(text: str) -> None:
    """Anything but an exact id is recognised as none."""
    assert ids.read_partition(text) is None


def test_digest_is_plain_sha256() -> None:
    """The digest is what ``sha256sum`` says, so that administrators can make it themselves."""
    assert "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b" == ids.hash_secret(
        "secret"
    )


def test_digest_takes_any_text() -> None:
    """Even text that is no Unicode has a digest, and it is not that of other text."""
    assert ids.hash_secret("\ud800") != ids.hash_secret("\ud801")


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [("a", "a", True), ("a", "b", False), ("é", "é", True), ("\ud800", "a", False)],
)
def test_same(one: str, other: str, expected: bool) -> None:
    """Digests are compared in constant time, and any text may be compared."""
    assert expected is ids.compare_digests(one, other)


def test_link_is_the_same_every_time() -> None:
    """A link's token depends on key, purpose and id only."""
    assert ids.sign_link([NEW], "share", ID) == ids.sign_link([NEW, OLD], "share", ID)


def test_link_of_any_listed_key_is_honoured() -> None:
    """After a change of keys old links work for as long as their key is listed."""
    token = ids.sign_link([OLD], "share", ID)
    assert ID == ids.verify_link([NEW, OLD], "share", token)
    assert ids.verify_link([NEW], "share", token) is None
    assert ids.verify_link([], "share", token) is None


def test_link_is_bound_to_its_purpose_and_its_id() -> None:
    """A token neither serves another purpose nor another invitation."""
    token = ids.sign_link([NEW], "share", ID)
    assert ids.verify_link([NEW], "report", token) is None
    assert ids.verify_link([NEW], "share", token.replace(ID, "iv_8" + ID[4:])) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda t: "",
        lambda t: ID,
        lambda t: ID + ".",
        lambda t: t + "A",
        lambda t: t[:-1],
        lambda t: t + "=",
        lambda t: t + "\ud800",
        lambda t: "." + t,
        lambda t: t.replace(".", ".."),
    ],
)
def test_changed_token_is_worthless(change: object) -> None:
    """Every change to a token makes it invalid."""
    token = ids.sign_link([NEW], "share", ID)
    assert ids.verify_link([NEW], "share", change(token)) is None  # type: ignore[operator]


def test_token_has_128_bits() -> None:
    """A token's signature has 22 characters of URL-safe base64."""
    assert re.fullmatch(re.escape(ID) + r"\.[A-Za-z0-9_-]{22}", ids.sign_link([NEW], "share", ID))
