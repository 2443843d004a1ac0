"""Rules for single values: each takes text and returns the value, or raises ValueError with the
reason.

Reasons are for the administrator and never repeat the value, which may contain a password.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from bridge.redis_url import parse_redis_url

_VISIBLE = re.compile(r"[\x21-\x7e]+")
_HOST = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})(?:\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*"
)
_ADDRESS = re.compile(r"(?:\[(?P<six>[^\[\]]+)\]|(?P<host>[^:\[\]]+)):(?P<port>[0-9]{1,5})")
_KEY = re.compile(r"[A-Za-z0-9_-]{43}=?")
_WEBHOOK_SECRET_BYTES = range(24, 65)


def is_loopback(host: str) -> bool:
    """Whether a host can only be this machine: ``localhost``, 127.0.0.0/8 and ::1."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def parse_basic_auth_user(text: str) -> str:
    """A client id; a colon would end it within HTTP Basic authentication."""
    if not _VISIBLE.fullmatch(text) or ":" in text:
        raise ValueError("expected a client id: letters, digits and signs, no blanks and no colon")
    return text


def parse_header_token(text: str) -> str:
    """A secret that travels in an HTTP header."""
    if not _VISIBLE.fullmatch(text):
        raise ValueError("expected a secret of ASCII letters, digits and signs, without blanks")
    return text


def parse_webhook_secret(text: str) -> str:
    """A Standard Webhooks secret: ``whsec_`` and the base64 of 24 to 64 bytes."""
    try:
        raw = base64.b64decode(text.removeprefix("whsec_").encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raw = b""
    if not text.startswith("whsec_") or len(raw) not in _WEBHOOK_SECRET_BYTES:
        raise ValueError(
            "expected whsec_ and then base64 of 24 to 64 bytes, as it is shown where the webhook is"
            " made"
        )
    return text


def get_host(url: str) -> str:
    """The host of a URL that *parse_web_url* let through."""
    return urlsplit(url).hostname or ""


def parse_web_url(text: str) -> str:
    """An absolute https URL, or http on loopback; without query, fragment and user; returned
    without trailing slash.
    """
    parts = _split(text)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ValueError("expected a URL such as https://bridge.example.com")
    if "?" in text or "#" in text or "\\" in text:
        raise ValueError("expected a URL without query (?) and fragment (#)")
    _refuse_user_and_plain_http(parts)
    return f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")


def parse_alert_url(text: str) -> str:
    """An absolute https URL, or http on loopback; with its query, without fragment and user."""
    parts = _split(text)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ValueError("expected a URL such as https://hooks.example.com/T0/B0/...")
    if "#" in text or "\\" in text:
        raise ValueError("expected a URL without fragment (#)")
    _refuse_user_and_plain_http(parts)
    return text


def _refuse_user_and_plain_http(parts: SplitResult) -> None:
    if "@" in parts.netloc:
        raise ValueError("expected a URL without user name and password")
    host = parse_host_name(parts.hostname or "")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError(
            "expected https://; http:// is for this machine only (localhost, 127.0.0.1, [::1])"
        )


def _split(text: str) -> SplitResult:
    if not _VISIBLE.fullmatch(text):  # urlsplit drops line ends silently
        raise ValueError("expected a URL without blanks and special characters")
    try:
        parts = urlsplit(text)
        _ = parts.port  # is checked on access
    except ValueError:
        raise ValueError("expected a URL; this one has a wrong host or port") from None
    return parts


def validate_redis_url(text: str) -> str:
    """A Redis URL: redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://."""
    parse_redis_url(text)
    return text


def parse_proxy_url(text: str) -> str:
    """The URL of an HTTP proxy, perhaps with user and password."""
    parts = _split(text)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError(
            "expected the URL of an HTTP proxy, such as http://proxy.example.com:3128; what is"
            " sent to the vendors through it is encrypted all the same"
        )
    if parts.path.strip("/") or "?" in text or "#" in text:
        raise ValueError(
            "expected the URL of an HTTP proxy without path, query (?) and fragment (#)"
        )
    parse_host_name(parts.hostname)
    return text.rstrip("/")


def parse_url_path(text: str) -> str:
    """The path part of a URL; doubled slashes become single."""
    if not _VISIBLE.fullmatch(text) or not text.startswith("/") or set("?#\\") & set(text):
        raise ValueError("expected a path that begins with /, without query (?) and fragment (#)")
    return re.sub("/{2,}", "/", text)


def parse_host_name(text: str) -> str:
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


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Where a listener listens; *host* is a name or an address without brackets, port 0 lets the
    system choose.
    """

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> ListenAddress:
    """``HOST:PORT``, an IPv6 host in brackets; port 0 lets the system choose."""
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match["port"]) > 65_535:
        raise ValueError('expected HOST:PORT, such as 127.0.0.1:8080 or "[::]:8080"')
    if match["six"]:
        try:
            return ListenAddress(str(ipaddress.IPv6Address(match["six"])), int(match["port"]))
        except ValueError:
            raise ValueError("expected an IPv6 address between the brackets") from None
    return ListenAddress(parse_host_name(match["host"]), int(match["port"]))


def parse_secret_key(text: str) -> bytes:
    """32 bytes in URL-safe base64, with or without padding."""
    if not _KEY.fullmatch(text):
        raise ValueError(
            "expected 32 bytes in URL-safe base64 (43 characters, - and _ instead of + and /);"
            " make one with `assessment-bridge key new`"
        )
    return base64.urlsafe_b64decode(text.rstrip("=") + "=")
