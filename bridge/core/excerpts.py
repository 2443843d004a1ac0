"""What may be kept of a vendor's words: enough to see what went wrong, nothing that could be a person.

A vendor's error text may name the candidate, whom the bridge does not know by name and so cannot look for. So what looks
like a name is masked, whatever it is: every word with a capital letter or a digit in it, but for a few technical ones.
"""

from __future__ import annotations

import re

LIMIT = 2048
MASK = "***"

_WORD = re.compile(r"[^\W_][\w'\u2019-]*")
_PLAIN_NUMBER = re.compile(r"[0-9]{1,4}")
_TECHNICAL_WORDS = (
    "Accept Allowed API Authentication Authorization Bad Bearer Basic Conflict Content Content-Type Created "
    "Entity Error Exception Expired Failed Forbidden Found Gateway Gone HTTP HTTPS ID Internal Invalid JSON Large "
    "Length Limit Maintenance Method Missing Moved No Not OK Payload Permanently Please Rate Request Required "
    "Requests Server Service Temporarily The Timeout Token Too Many Unauthorized Unavailable Unknown "
    "Unprocessable URL UTF-8 UUID Validation"
)
_TECHNICAL = frozenset(_TECHNICAL_WORDS.split(" "))


def without_names(text: str) -> str:
    """*text* with everything masked that could be a name, cut to 2 kB."""
    return _WORD.sub(_masked, text)[:LIMIT]


def _masked(match: re.Match[str]) -> str:
    word = match[0]
    harmless = word in _TECHNICAL or (word.islower() and not any(c.isdigit() for c in word))
    return word if harmless or _PLAIN_NUMBER.fullmatch(word) else MASK
