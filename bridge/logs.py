"""Logging: one JSON (or console) line per event, for our own and for the libraries' records, on standard error.

Nothing here can print a local variable or a request's path: tracebacks come without locals, and aiohttp's access log is off in
favour of ``request.handled``, which names the route and not the URL.
"""

from __future__ import annotations

import logging
import sys
from typing import TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger


def configure(level: str, form: str, stream: TextIO | None = None) -> None:
    """Set up structlog and the root handler; *form* is ``json`` or ``console``, *stream* standard error."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _leave_out_none,
    ]
    target = stream or sys.stderr
    renderers: list[Processor]
    if form == "console":
        plain = structlog.dev.plain_traceback
        renderers = [structlog.dev.ConsoleRenderer(colors=target.isatty(), exception_formatter=plain)]
    else:
        transformer = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        renderers = [
            structlog.processors.ExceptionRenderer(transformer),
            structlog.processors.JSONRenderer(serializer=_dumps),
        ]
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # aiohttp's own server log repeats request lines, secrets included, when parsing fails.
    logging.getLogger("aiohttp.server").addFilter(_without_request)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def _leave_out_none(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    return {key: value for key, value in event.items() if value is not None}


def _dumps(event: object, **_: object) -> str:
    return orjson.dumps(event, default=str).decode()


def _without_request(record: logging.LogRecord) -> bool:
    record.msg, record.args = "a request that is not HTTP", ()
    record.exc_info = None
    return True
