"""What one journey calls, what may be answered, and what it complains of."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from bridge.sandbox import EqualtureSandbox, SoftgardenSandbox
from tests.simulation.journey_plan import JourneyPlan
from tests.simulation.journey_world import World
from tests.simulation.memory_network import HttpMessage
from tests.simulation.stage_settings import SECRETS
from tests.simulation.tape import TapedCall


class JourneyCalls:
    """Calls the bridge in the name of softgarden, Equalture and the candidate of one journey."""

    def __init__(self, world: World, plan: JourneyPlan) -> None:
        self.plan = plan
        self._world = world
        self._draws = world.draws_of(f"journey/{plan.number}")
        self._acknowledged = 0
        self._calls = 0
        self._customer = SECRETS[plan.customer]

    async def _ask(self, method: str, path: str, document: Any = None) -> HttpMessage | None:
        headers = {"Authorization": f"Bearer {self._world.token_of(self._customer.name)}"}
        return await self.call(method, path, document, headers)

    async def call(
        self, method: str, path: str, document: Any, headers: dict[str, str]
    ) -> HttpMessage | None:
        """Ask any process that listens; None: no answer."""
        network = self._world.network
        listening = network.list_listening()
        body = document if isinstance(document, bytes) else b""
        if not body and document is not None:
            body = json.dumps(document).encode()
        if body:
            headers = {**headers, "Content-Type": "application/json"}
        # Its own id: those of the bridge come from a store that outlives worlds.
        self._calls += 1
        own = {"Host": "bridge.example", "X-Request-ID": f"journey{self.plan.number}-{self._calls}"}
        message = HttpMessage(f"{method} {path} HTTP/1.1", {**own, **headers}, body)
        reply: HttpMessage | None = None
        host = self._draws.choice(listening) if listening else "nobody"
        began = self._now()
        try:
            async with asyncio.timeout(self.plan.quirks.patience_s):
                if listening:
                    reply = await network.call_bridge(host, message)
        except (ConnectionError, TimeoutError):
            pass
        if reply is not None:
            is_problem = reply.status == 503 and reply.body.startswith(b"{")
            code = json.loads(reply.body)["code"] if is_problem else ""
            # Which invitation a webhook concerns is written outside of its partition.
            if not path.startswith("/equalture/webhooks"):
                self._world.judge(self.plan.number, method, self._now() - began, code)
        if self._world.went_back(began):
            reply = None  # what was answered meanwhile may be forgotten: it gets lost, too
        acknowledges = method != "GET" and not path.startswith("/start")
        if reply is not None and reply.status in (200, 204) and acknowledges:
            self._acknowledged += 1
            if self._acknowledged == self.plan.killed_at:
                self._world.kill(host, self._draws.uniform(0.5, 4.0))
        by_equalture = path.startswith("/equalture")
        caller = EqualtureSandbox.name if by_equalture else SoftgardenSandbox.name
        call = TapedCall(began, caller, host, message, reply)
        self._world.tape.write_call(call, self.plan.number)
        return reply

    def is_removed(self) -> bool:
        """Whether its customer may not be served now."""
        return self._world.may_be_unknown(self.plan.customer)

    def expect(self, reply: HttpMessage | None, what: str, *statuses: int) -> None:
        """An answer has one of these statuses, if there is one."""
        if self.is_removed():  # its token is unknown then, and what Equalture reports nobody's
            statuses = (*statuses, 401, 404)
        if reply is not None and reply.status not in statuses:
            self.complain("status", f"{what}: {reply.status} {reply.body[:200]!r}")

    async def pause(self, least: float, most: float) -> None:
        """Let some time pass."""
        await asyncio.sleep(self._draws.uniform(least, most))

    def complain(self, promise: str, how: str) -> None:
        """A promise is broken in this journey."""
        self._world.complain(promise, how, self.plan.number)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
