"""Finds the primary that Sentinel names, also while some Sentinels are dead or out of date."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.sentinel import MasterNotFoundError, Sentinel, SentinelManagedConnection
from redis.exceptions import ConnectionError, ReadOnlyError, ResponseError

from bridge.store.quorum import ask_majority
from bridge.store.tls import SharedContextMixin

TOPOLOGY_TIMEOUT_S: Final = 0.4
"""How long a Sentinel may take to name the primary; all are asked at once."""


class SentinelClient(Sentinel):
    """Asks all Sentinels at once. redis-py asks one after the other: if one hangs, no operation
    would find the primary in time.

    *probes* are the clients of the Sentinels.
    """

    def __init__(self, probes: Sequence[Redis]) -> None:
        super().__init__([], sentinel_kwargs={})  # type: ignore[no-untyped-call]
        self.sentinels = list(probes)

    async def discover_master(self, service_name: str) -> tuple[str, int]:
        """The primary's address, by the newest answer among those of most Sentinels."""
        answers = await ask_majority(
            [self._state(one, service_name) for one in self.sentinels], TOPOLOGY_TIMEOUT_S
        )
        states = [
            state for state in answers if state and self.check_master_state(state, service_name)
        ]
        if not states:
            raise MasterNotFoundError(f"no Sentinel knows a primary of {service_name!r} that is up")
        newest = max(states, key=lambda state: state["config-epoch"])
        return newest["ip"], newest["port"]

    async def _state(self, sentinel: Redis, service_name: str) -> dict[str, Any] | None:
        masters: Any = await sentinel.sentinel_masters()
        state: dict[str, Any] | None = masters.get(service_name)
        return state


def find_demotion(error: Exception) -> ConnectionError | None:
    """The reason to leave a primary that became a replica, also if a script reports it (Redis
    6).
    """
    if isinstance(error, ReadOnlyError) or "READONLY" in str(error):
        return ConnectionError("the previous primary is now a replica")
    return None


class _Demoted:
    """Disconnects from a primary that became a replica."""

    async def read_response(self, *args: Any, **kwargs: Any) -> Any:
        """Overrides redis-py's method of this name."""
        try:
            return await super().read_response(*args, **kwargs)  # type: ignore[misc]
        except ResponseError as error:
            demotion = find_demotion(error)
            if demotion is None:
                raise
            await self.disconnect()  # type: ignore[attr-defined]
            raise demotion from None


class PrimaryConnection(_Demoted, SentinelManagedConnection):
    """A connection to the current primary."""


class PrimaryTLSConnection(SharedContextMixin, PrimaryConnection):
    """The same over TLS."""
