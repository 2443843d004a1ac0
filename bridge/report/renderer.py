"""Makes PDFs in a process of its own, which may fail, hang or die without harm to the daemon."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path

import orjson
import structlog

from bridge.errors import BridgeError, ProcessOverloaded
from bridge.single_flight import SingleFlight

TYPESETTING = (sys.executable, "-P", str(Path(__file__).with_name("typesetting.py")))
"""The command of the process."""
PATIENCE_S = 10.0
"""How long a report may take: the longest one takes 0.3 s, and the process as long to start."""
MOST_WAITING = 20
"""Reports that are wanted at a time; more are refused at once."""
MOST_OF_ONE = 10
"""How many of these may be one customer's."""
KEPT_S = 600.0
"""How long a report is kept, for those who open it again."""
KEPT_BYTES = 8 * 1024 * 1024
"""How much is kept."""
AVOIDED_S = 60.0
"""How long a text is not tried again that could not be made into a report."""
_QUOTED = re.compile(r"[\"'`\u201c].*", re.DOTALL)
"""From where on the typesetter's complaint might repeat a part of the result."""

log = structlog.get_logger()


class ReportFailed(BridgeError):
    """The report could not be made; trying again may help if the reason is not its text."""

    code = "report_failed"


class ReportRenderer:
    """Makes reports one after the other, keeps the last ones, and starts its process when the first
    one is wanted. The *command* is told texts and answers as ``typesetting.py`` does.
    """

    def __init__(
        self, command: Sequence[str] = TYPESETTING, *, patience_s: float = PATIENCE_S
    ) -> None:
        self._command = command
        self._patience_s = patience_s
        self._process: Process | None = None
        self._turn = asyncio.Lock()
        self._flights: SingleFlight[bytes, bytes] = SingleFlight()
        self._wanted_of: dict[bytes, str] = {}
        self._kept: OrderedDict[bytes, bytes] = OrderedDict()
        self._avoided: set[bytes] = set()

    async def render(self, text: Mapping[str, object], customer: str = "") -> bytes:
        """The PDF of a text as ``write_report`` gives it: the same bytes for the same text.

        Raises ``ReportFailed``, or ``ProcessOverloaded`` where too many wait, of all or of this
        *customer*.
        """
        request = orjson.dumps(text)
        key = hashlib.sha256(request).digest()
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        if key in self._avoided:
            raise ReportFailed("This report failed a moment ago.")
        if not self._flights.is_under_way(key):
            of_one = sum(other == customer for other in self._wanted_of.values())
            if len(self._flights) >= MOST_WAITING or of_one >= MOST_OF_ONE:
                raise ProcessOverloaded("Too many reports are wanted at once.")
            self._wanted_of[key] = customer
        return await self._flights.run(key, lambda: self._make(key, request))

    async def close(self) -> None:
        """End the process."""
        for flight in self._flights:
            flight.cancel()
        await self._end()

    async def _make(self, key: bytes, request: bytes) -> bytes:
        try:
            return await self._make_in_turn(key, request)
        finally:
            self._wanted_of.pop(key, None)

    async def _make_in_turn(self, key: bytes, request: bytes) -> bytes:
        try:
            async with asyncio.timeout(self._patience_s):
                await self._turn.acquire()
        except TimeoutError:
            raise ProcessOverloaded("Other reports took too long.") from None
        try:
            made = await self._typeset(request)
        except ReportFailed as error:
            log.error("report.failed", reason=str(error))
            self._avoided.add(key)
            asyncio.get_running_loop().call_later(AVOIDED_S, self._avoided.discard, key)
            raise
        finally:
            self._turn.release()
        self._keep(key, made)
        return made

    async def _typeset(self, request: bytes) -> bytes:
        try:
            async with asyncio.timeout(self._patience_s):
                well, answer = await self._ask(request)
        except BaseException as error:
            # Whatever else comes from this process would be the answer to this request.
            await self._end()
            match error:
                case TimeoutError():
                    raise ReportFailed("The typesetter did not answer in time.") from None
                case OSError() | asyncio.IncompleteReadError():
                    raise ReportFailed("The typesetter died, or cannot be started.") from None
            raise
        if not well:
            complaint = _QUOTED.sub("...", answer.decode("utf-8", "replace"))
            raise ReportFailed(f"The typesetter refused: {complaint[:200]}")
        return answer

    async def _ask(self, request: bytes) -> tuple[bool, bytes]:
        if self._process is None or self._process.returncode is not None:
            # A session of its own: signals of a terminal are for the daemon, which ends it.
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,
                env={},
                start_new_session=True,
            )
        incoming, outgoing = self._process.stdout, self._process.stdin
        if incoming is None or outgoing is None:
            raise BrokenPipeError
        outgoing.write(len(request).to_bytes(4) + request)
        await outgoing.drain()
        head = await incoming.readexactly(5)
        return head[0] == 1, await incoming.readexactly(int.from_bytes(head[1:]))

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def _keep(self, key: bytes, made: bytes) -> None:
        self._kept[key] = made
        while len(self._kept) > 1 and sum(map(len, self._kept.values())) > KEPT_BYTES:
            self._kept.popitem(last=False)
        asyncio.get_running_loop().call_later(KEPT_S, self._kept.pop, key, None)
