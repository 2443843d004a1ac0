"""Administrators change a customer's secrets and settings while the bridge serves, in the order of
steps that its pages ask for: no call is refused for it, and no deadline that was given moves.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from random import Random
from typing import TYPE_CHECKING, Final

from bridge.sandbox import SoftgardenSandbox
from tests.simulation.closed_world import START
from tests.simulation.memory_network import HttpMessage
from tests.simulation.stage_settings import (
    HASTY,
    HASTY_LIFE_S,
    IN_DAYS,
    LINK_LIFE_S,
    LONG_LIFE_S,
    POLL_S,
    SECRETS,
)
from tests.simulation.tape import TapedCall

if TYPE_CHECKING:
    from tests.simulation.equalture_machine import EqualtureApplication
    from tests.simulation.incidents import Incident
    from tests.simulation.world import Simulation

TOKEN: Final = "a customer's token is changed"
SECRET: Final = "a customer's client secret is changed"
SECRET_AT_ONCE: Final = "a customer's client secret is replaced at once"
SETTINGS: Final = "a customer's settings are changed"
CHANGES: Final = (TOKEN, SECRET, SECRET_AT_ONCE, SETTINGS)
UNNOTICED: Final = (TOKEN, SECRET, SETTINGS)
"""What must delay nothing and refuse nobody."""
UNDER_WAY_S: Final = 16.0
"""How long what was begun with an old secret may still be under way."""


class CustomerChanges:
    """What both vendors send and take, and how administrators follow."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._sent = {name: one.token for name, one in SECRETS.items()}
        self._changing: set[tuple[str, str]] = set()
        """Which setting of which customer is being changed: one at a time."""

    def token_of(self, customer: str) -> str:
        """What softgarden sends now."""
        return self._sent[customer]

    def find_life(self, application: EqualtureApplication, deadline: str) -> float:
        """How long a link lives: what is nearest to the deadline, by Redis's clock of now."""
        if application.account != HASTY:
            return LINK_LIFE_S
        ends = (datetime.fromisoformat(deadline) - START).total_seconds()
        life_s = ends - self._simulation.redis_ahead_s - application.made_at
        return min((HASTY_LIFE_S, LONG_LIFE_S), key=lambda one: abs(one - life_s))

    async def perform(self, incident: Incident, draws: Random) -> str:
        """Change what this kind of incident is about."""
        customer = incident.customer
        what = SECRET if incident.kind == SECRET_AT_ONCE else incident.kind
        if (what, customer) in self._changing:
            return "(not now: that is being changed)"
        self._changing.add((what, customer))
        if what == TOKEN:
            await self._change_token(incident, draws)
        elif what == SETTINGS:
            await self._change_settings(incident, draws)
        else:
            await self._change_secret(incident, draws)
        self._changing.discard((what, customer))
        return f"({customer})"

    async def _change_token(self, incident: Incident, draws: Random) -> None:
        """The new digest beside the old one, then softgarden, then the old one is taken out."""
        administrators, customer = self._simulation.trouble.administrators, incident.customer
        before, after = self._sent[customer], f"{SECRETS[customer].token}-{incident.number}"
        await administrators.change_file(customer, draws, tokens=(before, after))
        await asyncio.sleep(incident.lasts_s)
        self._sent[customer] = after
        await asyncio.sleep(UNDER_WAY_S)
        await administrators.change_file(customer, draws, tokens=(after,))
        await self._try_token(customer, before, draws)

    async def _try_token(self, customer: str, token: str, draws: Random) -> None:
        """Whoever has the token of the past is nobody's softgarden."""
        network, tape = self._simulation.network, self._simulation.tape
        host, answer = draws.choice(network.list_listening() or ["nobody"]), None
        headers = {"Host": "bridge.example", "Authorization": f"Bearer {token}"}
        headers["X-Request-ID"] = f"old-token-of-{customer}"
        message = HttpMessage("GET /softgarden/tests HTTP/1.1", headers, b"")
        began = self._simulation.time.seconds
        try:
            async with asyncio.timeout(UNDER_WAY_S):
                answer = await network.call_bridge(host, message)
        except (ConnectionError, TimeoutError):
            pass
        tape.write_call(TapedCall(began, SoftgardenSandbox.name, host, message, answer))
        if answer is not None and answer.status not in (401, 503):
            how = f"the token of {customer} that was taken out is answered {answer.status}"
            self._simulation.complain("own", how)

    async def _change_secret(self, incident: Incident, draws: Random) -> None:
        """Equalture takes both for a while, or the new one only, before the file has it."""
        simulation, customer = self._simulation, incident.customer
        equalture, administrators = simulation.equalture, simulation.trouble.administrators
        before = administrators.files[customer].client_secret
        after = f"{SECRETS[customer].client_secret}-{incident.number}"
        with_tokens = draws.random() < 0.5
        if incident.kind == SECRET_AT_ONCE:
            equalture.secrets[customer] = (before, after)
            equalture.drop_secret(customer, before, with_tokens=with_tokens)
            await asyncio.sleep(incident.lasts_s)
            await administrators.change_file(customer, draws, client_secret=after)
            return
        equalture.secrets[customer] = (before, after)
        await administrators.change_file(customer, draws, client_secret=after)
        await asyncio.sleep(UNDER_WAY_S)
        equalture.drop_secret(customer, before, with_tokens=with_tokens)
        equalture.ended_secrets.add(before)

    async def _change_settings(self, incident: Incident, draws: Random) -> None:
        """Another life of links, or pause of polls; what was promised before stays as it was."""
        customer = incident.customer
        administrators = self._simulation.trouble.administrators
        usual = administrators.files[customer]
        if customer == HASTY and not IN_DAYS:
            await administrators.change_file(customer, draws, link_life_s=LONG_LIFE_S)
            await asyncio.sleep(incident.lasts_s)
            await administrators.change_file(customer, draws, link_life_s=usual.link_life_s)
        else:
            await administrators.change_file(customer, draws, poll_s=POLL_S / 2)
            await asyncio.sleep(incident.lasts_s)
            await administrators.change_file(customer, draws, poll_s=usual.poll_s)
