"""What single values must look like: each rule takes text, gives the value, or raises ValueError
with the reason.

Reasons are for the administrator and never repeat the value, which may hold a password.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
import string
from collections.abc import Callable
from difflib import get_close_matches
from urllib.parse import SplitResult, urlsplit

SCORE_FIELDS = ("fit", "fit_label", "in_range", "traits", "match_percent", "average")
REDIS_SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "redis+cluster")
WEBHOOK_SECRET_BYTES = range(24, 65)
LONGEST_TEXT = 10_000
SAMPLE_SECRET = "replace-me"  # noqa: S105 - what nobody must go on using

_VISIBLE = re.compile(r"[\x21-\x7e]+")
_HOST = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})(?:\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*"
)
_ADDRESS = re.compile(r"(?:\[(?P<six>[^\[\]]+)\]|(?P<host>[^:\[\]]+)):(?P<port>[0-9]{1,5})")
_KEY = re.compile(r"[A-Za-z0-9_-]{43}=?")
_DIGEST = re.compile(r"[0-9a-fA-F]{64}")


def suggest(word: str, known: tuple[str, ...] | list[str]) -> str:
    """``; did you mean 'x'?`` where something known is near, else an empty string."""
    near = get_close_matches(word, known, n=1) or [
        one for one in known if one.lower() == word.lower()
    ]
    return f"; did you mean {near[0]!r}?" if near else ""


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only be this machine: ``localhost``, 127.0.0.0/8 and ::1."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def matching(pattern: str, expected: str) -> Callable[[str], str]:
    """A rule for text that must match a regular expression as a whole."""
    compiled = re.compile(pattern, re.ASCII)

    def rule(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError(f"expected {expected}")
        return text

    rule.__doc__ = expected
    return rule


def line(text: str) -> str:
    """Text of one line that is not only blanks."""
    if not text.strip() or not text.isprintable() or len(text) > LONGEST_TEXT:
        raise ValueError("expected text of one line that is not empty")
    return text


def basic_auth_user(text: str) -> str:
    """A client id; a colon would end it within HTTP Basic authentication."""
    if not _VISIBLE.fullmatch(text) or ":" in text:
        raise ValueError("expected a client id: letters, digits and signs, no blanks and no colon")
    return text


def header_token(text: str) -> str:
    """A secret that travels in an HTTP header."""
    if not _VISIBLE.fullmatch(text):
        raise ValueError("expected a secret of ASCII letters, digits and signs, without blanks")
    return text


def host_of(url: str) -> str:
    """The host of a URL that *web_url* let through."""
    return urlsplit(url).hostname or ""


def web_url(text: str) -> str:
    """An absolute https URL, or http on loopback; without query, fragment and user; gives it
    without trailing slash.
    """
    parts = _split(text)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ValueError("expected a URL such as https://bridge.example.com")
    if "?" in text or "#" in text or "\\" in text:
        raise ValueError("expected a URL without query (?) and fragment (#)")
    if "@" in parts.netloc:
        raise ValueError("expected a URL without user name and password")
    host_name(parts.hostname)
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError(
            "expected https://; http:// is for this machine only (localhost, 127.0.0.1, [::1])"
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")


def _split(text: str) -> SplitResult:
    if not _VISIBLE.fullmatch(text):  # urlsplit drops line ends silently
        raise ValueError("expected a URL without blanks and special characters")
    try:
        parts = urlsplit(text)
        _ = parts.port  # is checked on access
    except ValueError:
        raise ValueError("expected a URL; this one has a wrong host or port") from None
    return parts


def redis_url(text: str) -> str:
    """A Redis URL: redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://; the store
    reads the rest of it.
    """
    scheme, found, rest = text.partition("://")
    if scheme not in REDIS_SCHEMES or not found:
        raise ValueError(
            f"expected a Redis URL that begins with {', '.join(f'{one}://' for one in REDIS_SCHEMES)}"
        )
    if not _VISIBLE.fullmatch(rest) or (not rest.startswith("/")) is (scheme == "unix"):
        raise ValueError(
            "expected a Redis URL with a host, such as redis://localhost:6379/0, or a path, such as unix:///run/redis.sock"
        )
    if scheme == "redis+sentinel" and not rest.partition("?")[0].partition("/")[2].strip("/"):
        raise ValueError(
            "expected the name of Sentinel's service, such as redis+sentinel://host:26379/mymaster/0"
        )
    return text


def proxy_url(text: str) -> str:
    """The URL of an HTTP proxy, perhaps with user and password."""
    parts = _split(text)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError(
            "expected the URL of an HTTP proxy, such as http://proxy.example.com:3128; what is sent to the vendors"
            " through it is encrypted all the same"
        )
    if parts.path.strip("/") or "?" in text or "#" in text:
        raise ValueError(
            "expected the URL of an HTTP proxy without path, query (?) and fragment (#)"
        )
    host_name(parts.hostname)
    return text.rstrip("/")


def url_path(text: str) -> str:
    """The path part of a URL; doubled slashes are made single."""
    if not _VISIBLE.fullmatch(text) or not text.startswith("/") or set("?#\\") & set(text):
        raise ValueError("expected a path that begins with /, without query (?) and fragment (#)")
    return re.sub("/{2,}", "/", text)


def host_name(text: str) -> str:
    """A host name or an IP address, in lower case and without a final dot."""
    name = text.lower().removesuffix(".")
    if name.startswith("*."):
        raise ValueError("expected a host name without '*.': sub-domains are included")
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        if not _HOST.fullmatch(name):
            raise ValueError("expected a host name, without scheme, port and path") from None
    return name


def address(text: str) -> tuple[str, int]:
    """``HOST:PORT``, an IPv6 host in brackets; port 0 lets the system choose."""
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match["port"]) > 65_535:
        raise ValueError('expected HOST:PORT, such as 127.0.0.1:8080 or "[::]:8080"')
    if match["six"]:
        try:
            return str(ipaddress.IPv6Address(match["six"])), int(match["port"])
        except ValueError:
            raise ValueError("expected an IPv6 address between the brackets") from None
    return host_name(match["host"]), int(match["port"])


def key(text: str) -> bytes:
    """32 bytes in URL-safe base64, with or without padding."""
    if not _KEY.fullmatch(text):
        raise ValueError(
            "expected 32 bytes in URL-safe base64 (43 characters, - and _ instead of + and /);"
            " make one with `assessment-bridge key new`"
        )
    return base64.urlsafe_b64decode(text.rstrip("=") + "=")


def client_secret(text: str) -> str:
    """Text of one line, but not what the sample holds in its place."""
    if text == SAMPLE_SECRET:
        raise ValueError(
            "this is the sample's placeholder; put the secret here that Equalture gave this customer"
        )
    return line(text)


def token_digest(text: str) -> str:
    """A hexadecimal SHA-256, in lower case; not what the sample holds in its place."""
    if not _DIGEST.fullmatch(text):
        raise ValueError(
            "expected the SHA-256 of a token (64 hexadecimal digits), not the token itself;"
            " make both with `assessment-bridge token new`"
        )
    if not text.strip("0"):
        raise ValueError(
            "this is the sample's placeholder; make a token with `assessment-bridge token new`"
        )
    return text.lower()


def webhook_secret(text: str) -> str:
    """A Standard Webhooks secret: ``whsec_`` and the base64 of 24 to 64 bytes."""
    try:
        raw = base64.b64decode(text.removeprefix("whsec_").encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raw = b""
    if not text.startswith("whsec_") or len(raw) not in WEBHOOK_SECRET_BYTES:
        raise ValueError(
            "expected whsec_ and then base64 of 24 to 64 bytes, as Equalture shows it for the webhook"
        )
    return text


def score_pattern(text: str) -> str:
    """A format string of plain SCORE_FIELDS: no attributes, indexes, conversions or format specs."""
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError:
        raise ValueError(
            "expected a pattern such as '{fit} ({in_range}/{traits})': its braces do not match"
        ) from None
    for _, name, spec, conversion in parts:
        if name is None:
            continue
        if name not in SCORE_FIELDS:
            raise ValueError(
                f"the pattern uses {{{name}}}, but its fields are {', '.join(SCORE_FIELDS)}{suggest(name, SCORE_FIELDS)}"
            )
        if spec or conversion:
            raise ValueError(
                f"the pattern must use {{{name}}} as it is, without anything after the name"
            )
    return text
