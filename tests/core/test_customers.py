from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError, replace

import pytest

from bridge.core import ids
from bridge.core.customers import (
    CustomerDirectory,
    Secret,
    UnusableCustomer,
)
from bridge.equalture.settings import EqualtureAccount
from bridge.errors import ConfigMistake, CustomerSetAside
from bridge.softgarden.settings import SoftgardenAccount
from tests.core.build import customer

SESAME = "open-sesame"


def test_secret_never_shows_itself() -> None:
    """No way to print a secret shows it."""
    secret = Secret(SESAME)
    shown = [
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret!r}",
        "%s" % secret,  # noqa: UP031
        "{}".format(secret),  # noqa: UP032
        str([secret]),
    ]
    assert ["***"] * 6 + ["[***]"] == shown


def test_secret_does_not_show_in_what_holds_it() -> None:
    """Configuration can be logged without its secrets."""
    access = EqualtureAccount(
        base_url="https://e.example",
        client_id="id",
        client_secret=Secret(SESAME),
        callback_token=Secret(SESAME),
    )
    assert SESAME not in repr(customer(provider=access))


def test_secret_is_revealed_on_purpose_only() -> None:
    """``reveal`` gives the value, and nothing else about a secret does."""
    secret = Secret(SESAME)
    assert SESAME == secret.reveal()
    assert not hasattr(secret, "__dict__")


def test_secret_has_no_format() -> None:
    """A format spec does not bring a secret to light."""
    with pytest.raises(TypeError):
        format(Secret(SESAME), ">20")


@pytest.mark.parametrize(("value", "expected"), [("", False), ("x", True)])
def test_secret_is_false_when_empty(value: str, expected: bool) -> None:
    """An empty secret counts as none."""
    assert expected is bool(Secret(value))


def test_secrets_are_compared_by_value() -> None:
    """Equal secrets are equal and have the same hash; a secret is never equal to its text."""
    assert Secret("ä") == Secret("ä")
    assert hash(Secret("ä")) == hash(Secret("ä"))
    assert Secret("ä") != Secret("a")
    assert Secret("a") != "a"


def test_customer_cannot_be_changed() -> None:
    """Customers are values: a reload makes new ones."""
    with pytest.raises(FrozenInstanceError):
        customer().key = "other"  # type: ignore[misc]


def test_defaults_are_those_of_the_interface() -> None:
    """A customer without policies shows results as the interface says, and hires nobody."""
    plain = customer()
    assert (("{fit_label} ({in_range}/{traits})", "{average}"), "report", True, True, "new") == (
        plain.results.score,
        plain.results.result_url,
        plain.results.share,
        plain.results.report,
        plain.results.after_completed,
    )
    assert (True, False, "direct") == (
        plain.tests.publish_unmapped,
        plain.hire.enabled,
        plain.test_url,
    )


def test_directory_finds_customers_by_key() -> None:
    """A customer is found under the name of its file, and nobody else is."""
    acme, other = customer(), customer(key="other")
    directory = CustomerDirectory([acme, other])
    assert (acme, other, None) == (
        directory.get("acme"),
        directory.get("other"),
        directory.get("ACME"),
    )
    assert ([acme, other], 2) == (list(directory), len(directory))


def test_directory_finds_customers_by_any_of_their_tokens() -> None:
    """Each of a customer's tokens leads to it, so that tokens can be changed without a gap."""
    access = SoftgardenAccount((ids.hash_secret("old"), ids.hash_secret("new ä")), "client")
    acme, other = customer(ats=access), customer(key="other")
    directory = CustomerDirectory([acme, other])
    assert [acme, acme] == [directory.by_token("old"), directory.by_token("new ä")]


@pytest.mark.parametrize("token", ["", "OLD", "old ", ids.hash_secret("old"), "\ud800"])
def test_directory_knows_no_other_token(token: str) -> None:
    """A token that is nobody's leads to nobody, not even a digest itself or text that is no
    Unicode.
    """
    directory = CustomerDirectory(
        [customer(ats=SoftgardenAccount((ids.hash_secret("old"),), "client"))]
    )
    assert directory.by_token(token) is None


def test_customers_that_are_set_aside() -> None:
    """A customer whose file cannot be used is known but not served: by key and by token it is told
    from one that is not there.
    """
    wrong = ConfigMistake("customers/broken.yaml", 3, 1, "unknown key")
    aside = UnusableCustomer("broken", (wrong,), frozenset({ids.hash_secret("theirs")}))
    directory = CustomerDirectory([customer()], [aside])
    assert (directory.get("broken"), directory.find("nobody"), directory.by_token("nobody's")) == (
        None,
        None,
        None,
    )
    assert directory.find("acme") == directory.get("acme") == customer()
    for ask in (lambda: directory.find("broken"), lambda: directory.by_token("theirs")):
        with pytest.raises(CustomerSetAside) as caught:
            ask()
        assert (caught.value.customer, "broken" in str(caught.value)) == ("broken", False)
    configured = [directory.is_configured(key) for key in ("broken", "acme", "removed")]
    assert configured == [True, True, False]
    assert (len(directory), directory.list_mistakes(), directory.set_aside["broken"]) == (
        1,
        [wrong],
        aside,
    )


def test_digest_of_a_served_customer_in_a_broken_file() -> None:
    """A broken file that shows the digest of a served customer, such as a half-edited copy, does
    not keep that one from us.
    """
    mine = customer(ats=SoftgardenAccount((ids.hash_secret(SESAME),), "10"))
    aside = UnusableCustomer(
        "copy", (), frozenset({ids.hash_secret(SESAME), ids.hash_secret("theirs")})
    )
    directory = CustomerDirectory([mine], [aside])
    assert directory.by_token(SESAME) == mine
    with pytest.raises(CustomerSetAside):
        directory.by_token("theirs")


def test_empty_directory() -> None:
    """A configuration without customers is fine and knows nobody."""
    directory = CustomerDirectory([])
    assert (0, [], None, None) == (
        len(directory),
        list(directory),
        directory.get("acme"),
        directory.by_token("x"),
    )


def test_directory_is_of_its_own() -> None:
    """A directory keeps its customers when the list that it was made of changes."""
    customers = [customer()]
    directory = CustomerDirectory(customers)
    customers.clear()
    assert len(directory) == 1


def test_customer_can_be_replaced() -> None:
    """A changed customer is another value."""
    assert replace(customer(), test_url="landing") != customer()
    assert pickle.dumps(customer().tests)
