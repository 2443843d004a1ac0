"""Logging: one JSON (or console) line per event, for our own and for the libraries' records, on
standard error.

Nothing here can print a local variable or a request's path: tracebacks come without locals and
without the messages of libraries' exceptions (``KeyError('Ada')``), and aiohttp's access log is off
in favour of ``request.handled``, which names the route and not the URL.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TextIO

import orjson
import structlog
from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger

from bridge.errors import BridgeError
from bridge.line_writer import DescriptorLines, LineOutput, StreamLines
from bridge.log_context import get_log_fields
from bridge.tracing import get_current_activity

ProblemListener = Callable[[str, Mapping[str, Any]], None]
_LEVELS: Final = {
    logging.DEBUG: "debug",
    logging.INFO: "info",
    logging.WARNING: "warning",
    logging.ERROR: "error",
    logging.CRITICAL: "critical",
}
_GRAVE: Final = frozenset({"warning", "error", "critical"})
_JSON: Final = orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z
_LISTENERS: Final[list[ProblemListener]] = []


def configure_logging(
    level: str, form: str, stream: TextIO | None = None, *, lasting: bool = False
) -> None:
    """Set up structlog and the root handler, on *stream* or standard error.

    *form* is ``json``, ``console`` or ``auto``: console on a terminal, else json. *lasting* is for
    a process that never sets them up again: its loggers keep what they find at their first line,
    which makes each line a little cheaper.
    """
    target = stream or sys.stderr
    rendering: list[Processor]
    if form == "console" or (form == "auto" and target.isatty()):
        rendering = [
            _write_time_of_day if target.isatty() else _write_time,
            _printable,
            structlog.dev.ConsoleRenderer(
                colors=target.isatty(), exception_formatter=_plain_traceback, sort_keys=False
            ),
            _encode,
        ]
    else:
        rendering = [_render_json]
    root = logging.getLogger()
    for before in root.handlers:
        if isinstance(before, _LibraryLines):
            before.close()
    output = _open_output(target, rendering)
    root.handlers[:] = [_LibraryLines(output, [_complete, *rendering])]
    root.setLevel(level.upper())
    # aiohttp's own server log repeats request lines, secrets included, when parsing fails.
    logging.getLogger("aiohttp.server").addFilter(_without_request)
    # aiocache names its keys, which are digests of credentials.
    logging.getLogger("aiocache").setLevel(logging.WARNING)
    # asyncio repeats the representation of the future that failed, whose exception may hold
    # anything.
    logging.getLogger("asyncio").addFilter(_first_line)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    logger = _OwnLines(output)
    structlog.configure(
        processors=[_complete, _tell_listeners, *rendering],
        wrapper_class=_create_logger_class(level),
        context_class=dict,
        logger_factory=lambda *_: logger,
        cache_logger_on_first_use=lasting,
    )


@contextlib.contextmanager
def listen_to_problems(listener: ProblemListener) -> Iterator[None]:
    """Until the end *listener* is told of every line that is a warning or worse: its level and its
    fields, of which the libraries' lines have no more than whose they are.
    """
    _LISTENERS.append(listener)
    try:
        yield
    finally:
        _LISTENERS.remove(listener)


class _EventLogger(structlog.BoundLoggerBase):
    """What ``structlog.get_logger()`` stands for. structlog's own loggers copy an event's fields
    three times, which costs as much as all processors together.
    """

    _lowest: int

    def debug(self, event: str, **fields: Any) -> None:
        self._write("debug", event, fields)

    def info(self, event: str, **fields: Any) -> None:
        self._write("info", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        self._write("warning", event, fields)

    def error(self, event: str, **fields: Any) -> None:
        self._write("error", event, fields)

    def critical(self, event: str, **fields: Any) -> None:
        self._write("critical", event, fields)

    def exception(self, event: str, **fields: Any) -> None:
        self._write("error", event, {"exc_info": True, **fields})

    def log(self, level: int, event: str, **fields: Any) -> None:
        if level >= self._lowest:
            self._write(_LEVELS[level], event, fields)

    def _write(self, level: str, event: str, fields: dict[str, Any]) -> None:
        line: Any = {**self._context, **fields} if self._context else fields
        line["event"] = event
        try:
            for process in self._processors:
                line = process(None, level, line)
        except structlog.DropEvent:
            return
        getattr(self._logger, level)(line)


def _create_logger_class(level: str) -> type[_EventLogger]:
    """Loggers that do nothing below this level."""

    def ignore(_: _EventLogger, event: str, **fields: Any) -> None:
        pass

    lowest = next(number for number, name in _LEVELS.items() if name == level)
    below = {name: ignore for number, name in _LEVELS.items() if number < lowest}
    return type("_LevelLogger", (_EventLogger,), {"_lowest": lowest, **below})


class _OwnLines:
    """What structlog hands our lines to, by their level."""

    def __init__(self, output: LineOutput) -> None:
        self.debug = self.info = self.warning = output.add
        self.error = self.critical = output.add_at_once


class _LibraryLines(logging.Handler):
    """Makes the libraries' records lines like ours."""

    def __init__(self, output: LineOutput, processors: Sequence[Processor]) -> None:
        super().__init__()
        self._output = output
        self._processors = processors

    def emit(self, record: logging.LogRecord) -> None:
        try:
            event: Any = {
                "event": record.getMessage(),
                "exc_info": record.exc_info or None,
                "stack_info": record.stack_info,
            }
            level = record.levelname.lower()
            for process in self._processors:
                event = process(None, level, event)
            grave = record.levelno >= logging.ERROR
            (self._output.add_at_once if grave else self._output.add)(event)
            whose = {"event": f"a line of {record.name}", "timestamp": datetime.now(UTC)}
            _tell_listeners(None, level, whose)
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        self._output.close()
        super().close()


def _open_output(target: TextIO, rendering: Sequence[Processor]) -> LineOutput:
    def describe_loss(count: int) -> bytes:
        line: Any = {"event": "log.lines_lost", "count": count, "level": "error"}
        line["timestamp"] = datetime.now(UTC)
        for process in rendering:
            line = process(None, "error", line)
        return bytes(line)

    try:
        return DescriptorLines(target.fileno(), describe_loss)
    except (AttributeError, OSError):  # it stands for no file
        return StreamLines(target)


def _complete(_: WrappedLogger, level: str, event: EventDict) -> EventDict:
    """What each line has: the fields of what is under way, its level and the time; no None."""
    for name, value in tuple(get_log_fields().items()):  # another thread may bind meanwhile
        event.setdefault(name, value)
    activity = get_current_activity()
    if activity is not None and activity.begun_trace_id:
        event.setdefault("trace_id", activity.begun_trace_id)
    line = {name: value for name, value in event.items() if value is not None}
    line["level"] = level
    line["timestamp"] = datetime.now(UTC)
    return line


def _tell_listeners(_: WrappedLogger, level: str, event: EventDict) -> EventDict:
    if level in _GRAVE:
        for listener in _LISTENERS:
            listener(level, event)
    return event


def _render_json(_: WrappedLogger, level: str, event: EventDict) -> bytes:
    if "exc_info" in event:
        event = _EXCEPTION_RENDERER(None, level, event)
    try:
        line = orjson.dumps(event, default=str, option=_JSON)
    except TypeError:  # half a character, a number of more than 64 bits
        line = json.dumps(_escaped(event)).encode() + b"\n"
    # orjson does not escape U+009B and others that some terminals interpret.
    if line.isascii() and b"\x7f" not in line:
        return line
    text = line[:-1].decode()
    return line if text.isprintable() else "".join(map(_escaped_in_json, text)).encode() + b"\n"


def _escaped_in_json(one: str) -> str:
    return one if one.isprintable() else json.dumps(one)[1:-1]


def _encode(_: WrappedLogger, __: str, text: Any) -> bytes:
    return f"{text}\n".encode(errors="backslashreplace")


def _write_time(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    return {**event, "timestamp": event["timestamp"].isoformat().replace("+00:00", "Z")}


def _write_time_of_day(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Who looks on knows the day, and microseconds push what matters off the terminal."""
    return {**event, "timestamp": format(event["timestamp"], "%H:%M:%S")}


def _printable(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Escape control characters and line breaks; for JSON ``_render_json`` does that."""
    return {key: value if key == "exc_info" else _escaped(value) for key, value in event.items()}


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.isprintable() else "".join(map(_letter, value))
    if isinstance(value, Mapping):
        return {_escaped(str(key)): _escaped(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_escaped(one) for one in value]
    return value if isinstance(value, int | float) else _escaped(str(value))


def _letter(one: str) -> str:
    return one if one.isprintable() else one.encode("unicode_escape").decode("ascii")


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


_EXCEPTION_RENDERER: Final = structlog.processors.ExceptionRenderer(_traceback)


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
