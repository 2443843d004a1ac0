"""softgarden as the one who is notified: it reads the result before it answers, or does not."""

from __future__ import annotations

import asyncio
import base64
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random

from bridge.sandbox import SoftgardenSandbox
from tests.simulation.memory_network import CALLER, HttpMessage
from tests.simulation.stage_settings import CUSTOMERS, SECRETS
from tests.simulation.tape import Tape, TapedCall
from tests.simulation.vendor_quirks import NO_QUIRKS, VendorQuirks
from tests.simulation.vendor_weather import (
    ANSWER_FAULTS,
    VendorWeather,
    answer_in_weather,
    build_answer,
)

READS = 0.7
"""How often softgarden reads the result before it answers a notification."""
DAWDLES = 0.05
"""How often it answers a notification only some time after it has taken it."""
LONGEST_DAWDLE_S = 2.5

ReadResult = Callable[[str, str], Awaitable[str]]
"""Reads an invitation's result for a customer; its status, or what came instead."""


@dataclass(slots=True)
class SoftgardenMachine:
    """Takes notifications; *told* gets what an accepted one was about, and what was read."""

    draws: Random
    tape: Tape
    read_result: ReadResult
    journey_of: Callable[[str], int]
    told: Callable[[str, str], None]
    quirks_of: Callable[[int], VendorQuirks]
    """What is odd about a journey."""
    weather: VendorWeather = field(default_factory=lambda: VendorWeather(faults=ANSWER_FAULTS))
    violations: list[str] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    """How often it was called for each invitation, whatever it answered."""
    called_at: dict[str, float] = field(default_factory=dict)
    """When it was last called for each."""
    accepted: Counter[str] = field(default_factory=Counter)
    """How often it took such a notification."""
    heard: Callable[[str], None] = lambda host: None
    """Is told which process has just called."""

    async def serve(self, message: HttpMessage) -> HttpMessage | None:
        """Answer a notification."""
        began = asyncio.get_running_loop().time()
        invitation_id = str(json.loads(message.body)["invitationId"])
        self.calls[invitation_id] += 1
        self.called_at[invitation_id] = began
        self.heard(message.headers[CALLER])
        client = base64.b64decode(
            message.headers.get("authorization", "").removeprefix("Basic ")
        ).decode()
        clients = {f"{SECRETS[name].public_client}:": name for name in CUSTOMERS}
        customer = clients.get(client, "")
        if not customer:
            self.violations.append(f"notified as {client}")
        journey = self.journey_of(invitation_id)
        quirks = self.quirks_of(journey) if journey >= 0 else NO_QUIRKS
        refusals = dict(enumerate(quirks.refusals, 1))
        status = refusals.get(self.calls[invitation_id], quirks.accepts_with)
        fault = self.weather.draw_fault(self.draws)
        if customer in self.weather.dead_accounts:
            fault = "no answer before it was done"

        async def perform() -> HttpMessage:
            seen = ""
            if not 200 <= status < 300:
                self.weather.count(f"a notification is answered {status}")
                return build_answer(status, {"error": "no"}, Location="https://x.example/")
            if self.draws.random() < READS:
                seen = await self.read_result(customer, invitation_id)
            self.accepted[invitation_id] += 1
            self.told(invitation_id, seen)
            if self.draws.random() < DAWDLES and customer not in self.weather.slow_accounts:
                await asyncio.sleep(self.draws.uniform(0.5, LONGEST_DAWDLE_S))
            return build_answer(status)

        await self.weather.keep_waiting(self.draws, customer)
        answer = await answer_in_weather(self.weather, self.draws, fault, perform)
        caller = message.headers[CALLER]
        call = TapedCall(began, caller, SoftgardenSandbox.name, message, answer, fault)
        self.tape.write_call(call, journey)
        return answer
