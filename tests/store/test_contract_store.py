"""What was seen of the vendors' contracts, in Redis and in the fake that other tests use."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta

import pytest

from bridge.ports import ContractStore
from bridge.store.contract_store import RedisContractStore
from bridge.store.redis_access import RedisAccess
from tests.service.fakes import MemoryContract

NOW = datetime(2026, 1, 6, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ONE = frozenset({"200", "200 $.status = finished"})


class ContractPromises:
    """What every ``ContractStore`` promises."""

    async def test_nothing_yet(self, contract: ContractStore) -> None:
        """Nothing is kept before something was seen."""
        assert await contract.facts() == ()
        assert await contract.add("equalture", "status", frozenset(), NOW) == frozenset()

    async def test_first_and_last(self, contract: ContractStore) -> None:
        """The first time stays, the last one moves, and only what is new is given back."""
        assert await contract.add("equalture", "status", ONE, NOW) == ONE
        assert await contract.add("equalture", "status", ONE | {"422"}, NOW + HOUR) == {"422"}
        assert await contract.add("equalture", "results", frozenset({"200"}), NOW) == {"200"}
        facts = sorted(await contract.facts())
        assert [(one.operation, one.text) for one in facts] == [
            ("results", "200"),
            ("status", "200"),
            ("status", "200 $.status = finished"),
            ("status", "422"),
        ]
        assert [one.last_at - one.first_at for one in facts] == [HOUR * 0, HOUR, HOUR, HOUR * 0]
        assert facts[1].first_at == NOW


class TestMemoryContract(ContractPromises):
    """The fake."""

    @pytest.fixture
    def contract(self) -> ContractStore:
        return MemoryContract()


@pytest.mark.redis
class TestRedisContract(ContractPromises):
    """The adapter."""

    @pytest.fixture
    def prefix(self) -> str:
        return f"contract-{secrets.token_hex(4)}"

    @pytest.fixture
    def contract(self, real_commands: RedisAccess, prefix: str) -> ContractStore:
        return RedisContractStore(real_commands, prefix=prefix, life=HOUR)

    async def test_garbage_and_life(
        self, contract: ContractStore, real_commands: RedisAccess, prefix: str
    ) -> None:
        """What cannot be read is left out, and what nobody sees any more goes."""
        await real_commands.run(("HSET", f"{prefix}:contract:first", b"\xff", b"x", "a/b c", "x"))
        await contract.add("equalture", "status", ONE, NOW)
        assert {one.text for one in await contract.facts()} == ONE
        for name in ("first", "last"):
            left = await real_commands.run(("PTTL", f"{prefix}:contract:{name}"))
            assert 0 < left <= HOUR / timedelta(milliseconds=1)
