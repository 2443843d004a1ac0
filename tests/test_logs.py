"""How the log looks to people."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest
import structlog

from bridge import logs


class Terminal(io.StringIO):
    """What a terminal would show."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def loggers() -> Iterator[None]:
    """Leave logging as it was."""
    root, server = logging.getLogger(), logging.getLogger("aiohttp.server")
    kept = root.handlers[:], root.level, server.filters[:]
    yield
    root.handlers[:], server.filters[:] = kept[0], kept[2]
    root.setLevel(kept[1])
    structlog.reset_defaults()


def test_on_a_terminal() -> None:
    """``auto`` is the console's form there: the time of day, and the fields in their order."""
    terminal = Terminal()
    logs.configure_logging("info", "auto", terminal)
    structlog.get_logger().info("request.handled", route="/x", code="busy")
    text = terminal.getvalue()
    assert not text.startswith("{")
    assert "T" not in text.partition("request")[0]
    assert text.index("route") < text.index("code")


def test_in_a_pipe() -> None:
    """Elsewhere ``auto`` is JSON, with the whole time; ``console`` has the whole time, too."""
    for form, start in (("auto", '{"status":200'), ("console", "20")):
        pipe = io.StringIO()
        logs.configure_logging("info", form, pipe)
        structlog.get_logger().info("request.handled", status=200)
        assert pipe.getvalue().startswith(start)
        assert "T" in pipe.getvalue()
        assert "\x1b" not in pipe.getvalue()
