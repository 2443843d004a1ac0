"""Logging: one JSON (or console) line per event, for our own and for the libraries' records, on
standard error.

Nothing here can print a local variable or a request's path: tracebacks come without locals and
without the messages of libraries' exceptions (``KeyError('Ada')``), and aiohttp's access log is off
in favour of ``request.handled``, which names the route and not the URL.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Mapping
from typing import Any, TextIO

import orjson
import structlog
from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger

from bridge.errors import BridgeError
from bridge.tracing import get_current_activity


def configure_logging(level: str, form: str, stream: TextIO | None = None) -> None:
    """Set up structlog and the root handler, on *stream* or standard error.

    *form* is ``json``, ``console`` or ``auto``: console on a terminal, else json.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        _with_trace,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _leave_out_none,
    ]
    target = stream or sys.stderr
    renderers: list[Processor]
    if form == "console" or (form == "auto" and target.isatty()):
        renderers = [
            _printable,
            *([_time_of_day] if target.isatty() else []),
            structlog.dev.ConsoleRenderer(
                colors=target.isatty(), exception_formatter=_plain_traceback, sort_keys=False
            ),
        ]
    else:
        renderers = [
            structlog.processors.ExceptionRenderer(_traceback),
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
    # aiocache names its keys, which are digests of credentials.
    logging.getLogger("aiocache").setLevel(logging.WARNING)
    # asyncio repeats the representation of the future that failed, whose exception may hold
    # anything.
    logging.getLogger("asyncio").addFilter(_first_line)
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


def _with_trace(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    activity = get_current_activity()
    if activity is not None and activity.begun_trace_id:
        event.setdefault("trace_id", activity.begun_trace_id)
    return event


def _leave_out_none(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    return {key: value for key, value in event.items() if value is not None}


def _time_of_day(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Who looks on knows the day, and microseconds push what matters off the terminal."""
    return {**event, "timestamp": str(event["timestamp"])[11:19]}


def _printable(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Escape control characters and line breaks; for JSON ``_dumps`` does that."""
    return {key: value if key == "exc_info" else _escaped(value) for key, value in event.items()}


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.isprintable() else "".join(map(_letter, value))
    if isinstance(value, Mapping):
        return {_escaped(key): _escaped(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_escaped(one) for one in value]
    return value if isinstance(value, int | float) else _escaped(str(value))


def _letter(one: str) -> str:
    return one if one.isprintable() else one.encode("unicode_escape").decode("ascii")


def _dumps(event: object, **_: object) -> str:
    text = orjson.dumps(event, default=str).decode()
    # orjson does not escape U+009B and others that some terminals interpret.
    return (
        text
        if text.isprintable()
        else "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in text)
    )


def _chain(error: BaseException | None) -> list[BaseException]:
    """The exceptions that led to *error* or are grouped in it, oldest first, itself at the end."""
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        if isinstance(error, BaseExceptionGroup):
            chain += [one for inner in error.exceptions for one in _chain(inner)[::-1]]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return chain[::-1]


def _safe_message(error: BaseException) -> str:
    """The message of *error*, if it is the bridge's own: those contain nothing private."""
    return str(error) if isinstance(error, BridgeError) else ""


def _traceback(exc_info: ExcInfo) -> list[dict[str, object]]:
    return [
        {
            "exc_type": type(error).__name__,
            "exc_value": _safe_message(error),
            "frames": [
                {"filename": frame.filename, "lineno": frame.lineno, "name": frame.name}
                for frame in traceback.extract_tb(error.__traceback__)
            ],
        }
        for error in _chain(exc_info[1])
    ]


def _plain_traceback(stream: TextIO, exc_info: ExcInfo) -> None:
    for error in _chain(exc_info[1]):
        stream.writelines(traceback.format_tb(error.__traceback__))
        stream.write(f"{type(error).__name__}: {_escaped(_safe_message(error))}\n")


def _first_line(record: logging.LogRecord) -> bool:
    record.msg, record.args = record.getMessage().partition("\n")[0], ()
    return True


def _without_request(record: logging.LogRecord) -> bool:
    record.msg, record.args = "a request that is not HTTP", ()
    record.exc_info = None
    return True
