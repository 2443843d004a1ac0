from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.callback_urls import MAX_LENGTH, CallbackUrlPolicy
from bridge.errors import CallbackNotAllowed

RULE = CallbackUrlPolicy(("softgarden.io", "softgarden.de"), setting="softgarden.callback_hosts")
SANDBOX = CallbackUrlPolicy(("softgarden.io", "localhost", "127.0.0.1", "::1"), allow_insecure=True)

ALLOWED = [
    "https://softgarden.io",
    "https://softgarden.io/",
    "https://softgarden.de/path?query=1&more=%20#fragment",
    "https://acme.softgarden.io/notify",
    "https://a.b-c.d_e.softgarden.io/notify",
    "https://ACME.SoftGarden.IO/Notify",
    "HTTPS://softgarden.io/",
    "https://softgarden.io./",
    "https://acme.softgarden.io.:443/",
    "https://softgarden.io:8443/notify",
    "https://softgarden.io:/notify",
    "https://softgarden.io/@user:password",
    "https://softgarden.io/?next=https://evil.com",
    "https://xn--mller-kva.softgarden.io/",
]
OTHER_HOSTS = [
    "https://evil.com/",
    "https://evilsoftgarden.io/",
    "https://softgarden.io.evil.com/",
    "https://softgarden.iox/",
    "https://softgarden.i/",
    "https://softgarden.io..",
    "https://softgarden.io.evil.com./",
    "https://softgarden-io.evil.com/",
    "https://.softgarden.io/",
    "https://a..softgarden.io/",
    "https://-a.softgarden.io/",
    "https://evil.com#.softgarden.io/",
    "https://evil.com?.softgarden.io/",
    "https://evil.com/.softgarden.io/",
    "https://evil.com;.softgarden.io/",
    "https://evil.com,.softgarden.io/",
    "https://evil.com&.softgarden.io/",
    "https://evil.com%2f.softgarden.io/",
    "https://evil.com%23.softgarden.io/",
    "https://evil.com%00.softgarden.io/",
    "https://softgarden%2eio/",
    "https://*.softgarden.io/",
    f"https://{'a' * 64}.softgarden.io/",
]
ADDRESSES = [
    "https://127.0.0.1/",
    "https://127.0.0.1./",
    "https://127.1/",
    "https://0/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0.0.0x1/",
    "https://0177.0.0.1/",
    "https://169.254.169.254/latest/meta-data",
    "https://10.0.0.1:443/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[fe80::1%25eth0]/",
    "https://[2001:db8::1]:8443/",
    "https://127.0.0.1.softgarden.io.evil.com/",
]
USERS = [
    "https://user@softgarden.io/",
    "https://user:password@softgarden.io/",
    "https://:password@softgarden.io/",
    "https://@softgarden.io/",
    "https://softgarden.io@evil.com/",
    "https://evil.com@softgarden.io/",
    "https://softgarden.io:443@evil.com/",
    "https://evil.com%40softgarden.io@softgarden.io/",
]
OTHER_SCHEMES = [
    "http://softgarden.io/",
    "ftp://softgarden.io/",
    "file://softgarden.io/etc/passwd",
    "javascript://softgarden.io/%0aalert(1)",
    "redis://softgarden.io/",
]
RELATIVE = ["//softgarden.io/", "softgarden.io/", "/notify", "", "https"]
BROKEN = [
    "https:",
    "https://",
    "https:///softgarden.io/",
    "https:softgarden.io",
    "https:/softgarden.io",
    "https://:443/",
    "https://./",
    "https://softgarden.io:0/",
    "https://softgarden.io:65536/",
    "https://softgarden.io:-1/",
    "https://softgarden.io:port/",
    "https://softgarden.io:443:443/",
    "https://[softgarden.io]/",
    "https://[::1/",
    "https://::1/",
    "https://softgarden.io]/",
]
NOT_PLAIN = [
    " https://softgarden.io/",
    "https://softgarden.io/ ",
    "https://softgarden.io/a b",
    "https://soft\tgarden.io/",
    "https://softgarden.io/\r\nHost: evil.com",
    "https://evil.com\n.softgarden.io/",
    "https://softgarden.io/\0",
    "https://softgarden.io/\x7f",
    "https://evil.com\\@softgarden.io/",
    "https://softgarden.io\\.evil.com/",
    "https://evil.com\\.softgarden.io/",
    "https://softgarden.io/<script>",
    'https://softgarden.io/"',
    "https://softgarden.io/`id`",
    "https://softgarden.io/{x}",
    "https://softgarden.io/a|b",
    "https://softgarden.io/^",
    "https://softgärden.io/",
    "https://evil.com／.softgarden.io/",  # noqa: RUF001
    "https://evil。softgarden.io/",
    "https://ⓢoftgarden.io/",
    "https://softgarden.io/ü",
    "https://softgarden.io/\ud800",
    "https://softgarden.io/" + "a" * MAX_LENGTH,
]


def problem(rule: CallbackUrlPolicy, url: str) -> str:
    """What the rule says about the field of a URL that it refuses."""
    with pytest.raises(CallbackNotAllowed) as caught:
        rule.check(url)
    [message] = caught.value.errors["callback"]
    return message


@pytest.mark.parametrize("rule", [RULE, SANDBOX], ids=["strict", "sandbox"])
@pytest.mark.parametrize("url", [url for url in ALLOWED if ".de" not in url])
def test_listed_host_is_allowed(url: str, rule: CallbackUrlPolicy) -> None:
    """Listed hosts and their sub-domains may be notified, whatever case, port, path or final dot
    they are written with.
    """
    rule.check(url)


def test_every_listed_host_is_allowed() -> None:
    """All entries of the list count, not only the first."""
    RULE.check("https://softgarden.de/path?query=1&more=%20#fragment")


@pytest.mark.parametrize("rule", [RULE, SANDBOX], ids=["strict", "sandbox"])
@pytest.mark.parametrize("url", OTHER_HOSTS)
def test_other_host_is_refused(url: str, rule: CallbackUrlPolicy) -> None:
    """No trick with suffixes, escapes or empty labels makes another host look like a listed one."""
    assert problem(rule, url).startswith("This host is not allowed")


@pytest.mark.parametrize("url", ADDRESSES)
def test_address_is_refused(url: str) -> None:
    """No spelling of an IP address may be notified."""
    assert problem(RULE, url).startswith("This host is not allowed")


@pytest.mark.parametrize("url", ADDRESSES)
def test_unlisted_address_is_refused_in_a_sandbox_too(url: str) -> None:
    """``allow_insecure`` lets listed addresses through in exactly the listed spelling, and no
    others.
    """
    if url in ("https://127.0.0.1/", "https://127.0.0.1./", "https://[::1]/"):
        SANDBOX.check(url)
    else:
        assert problem(SANDBOX, url).startswith("This host is not allowed")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "2130706433", "0x7f000001", "127.1", "0177.0.0.1", "::1"]
)
def test_listed_address_is_refused_without_allow_insecure(host: str) -> None:
    """An address is refused even if somebody listed it, unless this is a sandbox."""
    literal = f"[{host}]" if ":" in host else host
    assert (
        problem(CallbackUrlPolicy((host,)), f"https://{literal}/")
        == "An IP address is not allowed as host."
    )
    assert problem(
        CallbackUrlPolicy((host,)),
        f"https://{literal}./" if ":" not in host else f"https://{literal}/",
    )
    CallbackUrlPolicy((host,), allow_insecure=True).check(f"http://{literal}:8080/")


def test_address_has_no_sub_domains() -> None:
    """A listed address stands for itself only."""
    rule = CallbackUrlPolicy(("0.0.1", "1"), allow_insecure=True)
    assert problem(rule, "http://127.0.0.1/").startswith("This host is not allowed")


@pytest.mark.parametrize("rule", [RULE, SANDBOX], ids=["strict", "sandbox"])
@pytest.mark.parametrize("url", USERS)
def test_user_information_is_refused(url: str, rule: CallbackUrlPolicy) -> None:
    """A URL with a user name or password is never notified, whoever its host is."""
    assert problem(rule, url) == "User name and password are not allowed in the URL."


@pytest.mark.parametrize("url", OTHER_SCHEMES)
def test_other_scheme_is_refused(url: str) -> None:
    """Only https may be notified."""
    assert problem(RULE, url) == "The scheme must be https."


@pytest.mark.parametrize(
    "url", ["http://localhost:8090/callback", "http://softgarden.io/", "http://sub.localhost/"]
)
def test_sandbox_allows_http(url: str) -> None:
    """``allow_insecure`` lets http through to listed hosts."""
    SANDBOX.check(url)


@pytest.mark.parametrize("url", [url for url in OTHER_SCHEMES if not url.startswith("http:")])
def test_sandbox_allows_no_other_scheme(url: str) -> None:
    """``allow_insecure`` is about http, not about every scheme."""
    assert problem(SANDBOX, url) == "The scheme must be https."


@pytest.mark.parametrize("rule", [RULE, SANDBOX], ids=["strict", "sandbox"])
@pytest.mark.parametrize("url", RELATIVE)
def test_relative_url_is_refused(url: str, rule: CallbackUrlPolicy) -> None:
    """A URL without a scheme is told to be relative, and is not blamed for the wrong scheme."""
    assert problem(rule, url) == "Not a valid URL: it is not absolute."


@pytest.mark.parametrize("rule", [RULE, SANDBOX], ids=["strict", "sandbox"])
@pytest.mark.parametrize("url", BROKEN)
def test_broken_url_is_refused(url: str, rule: CallbackUrlPolicy) -> None:
    """A URL without a host, or with something that is no port or host, is refused and never raises
    anything else.
    """
    assert problem(rule, url).startswith(("Not a valid URL", "This host is not allowed"))


@pytest.mark.parametrize("rule", [RULE, SANDBOX], ids=["strict", "sandbox"])
@pytest.mark.parametrize("url", NOT_PLAIN, ids=range(len(NOT_PLAIN)))
def test_url_that_is_not_plain_is_refused(url: str, rule: CallbackUrlPolicy) -> None:
    """Control characters, blanks, backslashes, non-ASCII and endless URLs are refused before
    anybody parses them.
    """
    assert problem(rule, url) == "Not a plain absolute URL."


def test_longest_url_is_allowed() -> None:
    """A URL of exactly the greatest length may be notified."""
    RULE.check("https://softgarden.io/".ljust(MAX_LENGTH, "a"))


def test_refusal_does_not_repeat_the_url() -> None:
    """The error names the field and the setting, not the URL, which may hold secrets."""
    with pytest.raises(CallbackNotAllowed) as caught:
        RULE.check("https://evil.com/?token=sesame")
    told = f"{caught.value} {caught.value.errors}"
    assert "softgarden.callback_hosts" in told
    assert "sesame" not in told


@given(st.text(alphabet=st.sampled_from("htps:/@[]?#%.\\ 0x1softgarden.ioevil-\n\u2024")))
def test_any_text_is_allowed_or_refused(tail: str) -> None:
    """Whatever the text, the rule raises nothing but its own error."""
    for url in (
        tail,
        f"https://{tail}",
        f"https://softgarden.io{tail}",
        f"https://{tail}softgarden.io",
    ):
        try:
            RULE.check(url)
        except CallbackNotAllowed:
            continue
        host = (
            url.lower()
            .removeprefix("https://")
            .split("/")[0]
            .split("?")[0]
            .split("#")[0]
            .split(":")[0]
        )
        assert f".{host.removesuffix('.')}".endswith((".softgarden.io", ".softgarden.de"))
