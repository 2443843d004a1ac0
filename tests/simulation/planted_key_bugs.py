"""Bugs about changed keys; see ``planted_bugs.py``."""

from __future__ import annotations

from typing import Final

from tests.simulation.planting import build_bug

KEY_BUGS: Final = (
    build_bug(
        "links are read with the newest key only",
        (
            "core/ids.py",
            "for key in keys)\n        else None",
            "for key in keys[:1])\n        else None",
        ),
    ),
    build_bug(
        "what is sealed is opened with the newest key only",
        ("store/encryption.py", "MultiFernet(rings)", "MultiFernet(rings[:1])"),
    ),
    build_bug(
        "reencrypt takes what any key opens for sealed with the newest",
        (
            "store/encryption.py",
            "return self._newest.decrypt(sealed)[:1] not in",
            "return self._all.decrypt(sealed)[:1] not in",
        ),
    ),
    build_bug(
        "reencrypt overwrites what was written meanwhile",
        ("store/replace_encrypted.lua", "if value == ARGV[1] then", "if value then"),
    ),
    build_bug(
        "what is sealed stands beside it, too",
        ("store/record_layout.py", "private if apart is None else [],", "private,"),
    ),
)
