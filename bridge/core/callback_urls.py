"""Which callback URLs are allowed: the bridge sends credentials there, so the list is short and
exact.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from bridge.errors import CallbackNotAllowed

MAX_LENGTH = 2000
_NOT_PLAIN = re.compile(r'[\x00-\x20\\"<>^`{|}\x7f]')
_NAME = re.compile(r"([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class CallbackUrlPolicy:
    """*hosts* and their sub-domains over https; *allow_insecure* lets http and IP addresses
    through, never another host.
    """

    hosts: Sequence[str]
    allow_insecure: bool = False
    setting: str = "callback_hosts"
    """What the administrator has to change to allow another host."""

    def check(self, url: str) -> None:
        """Raise ``CallbackNotAllowed``, naming the field and what to do, unless *url* may be
        notified.
        """
        problem = self._problem(url)
        if problem is not None:
            detail = "The callback is not a URL that this bridge may notify."
            raise CallbackNotAllowed(detail, {"callback": [problem]})

    def _problem(self, url: str) -> str | None:
        if len(url) > MAX_LENGTH or not url.isascii() or _NOT_PLAIN.search(url) is not None:
            return "Not a plain absolute URL."
        try:
            parts = urlsplit(url)
            host = (parts.hostname or "").removesuffix(".")
            port = parts.port
        except ValueError:
            return "Not a valid URL."
        schemes = ("https", "http") if self.allow_insecure else ("https",)
        checks = (
            (bool(parts.scheme), "Not a valid URL: it is not absolute."),
            (parts.scheme in schemes, "The scheme must be https."),
            (bool(host) and port != 0, "Not a valid URL: the host is missing."),
            ("@" not in parts.netloc, "User name and password are not allowed in the URL."),
            (
                self._listed(host),
                f"This host is not allowed; the administrator lists hosts in {self.setting}.",
            ),
            (self.allow_insecure or not _is_address(host), "An IP address is not allowed as host."),
        )
        return next((message for fine, message in checks if not fine), None)

    def _listed(self, host: str) -> bool:
        # Only plain names have sub-domains: in "evil.com%2f.example.io" a client may see another
        # host than we do.
        plain = _NAME.fullmatch(host) is not None
        return any(
            host == listed or (plain and host.endswith(f".{listed}")) for listed in self.hosts
        )


def _is_address(host: str) -> bool:
    if _NAME.fullmatch(host) is not None:  # its last label begins with a letter
        return False
    try:
        ip_address(host)
    except ValueError:
        # Short, octal, decimal and hexadecimal spellings: if every label is a number, a resolver
        # may
        # take the whole as an IP address.
        return all(label.isdigit() or label.startswith("0x") for label in host.split("."))
    return True
