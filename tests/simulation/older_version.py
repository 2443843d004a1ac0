"""A process of the version before, as far as Redis can tell: it writes records of format 1 (2 with
encryption), and refuses to read newer ones.

Its rules and scripts are today's; scripts know no more of a record than its head, which is the
same. What it leaves behind is read by the newer processes, whose records it must leave alone.
"""

from __future__ import annotations

import asyncio
import base64
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any, Final

import orjson
from cryptography.fernet import Fernet

from bridge.store import lua_scripts
from bridge.store.encryption import Cipher, EncryptionKeyRing
from bridge.store.lua_scripts import Command
from bridge.store.record_codec import FORMAT, load_invitation
from bridge.store.redis_client import RedisClient
from bridge.store.sealed_parts import seal_private_part
from tests.store.named_records import build_named_document

if TYPE_CHECKING:
    from tests.simulation.incidents import Incident
    from tests.simulation.world import Simulation

DEPLOY: Final = "a newer version is deployed"
ROLL_BACK: Final = "a deploy is taken back"
SEALED: Final = ("callback", "url", "hint", "result")
"""What the version before kept in the sealed part."""
LOOK_S: Final = 0.5
PATIENCE: Final = 60
_RECORD: Final = 7
"""The argument of a commit that is the record."""
_OURS = b'{"f":%d,' % FORMAT
_TOO_NEW = b'{"f":%d,' % (FORMAT + 1)


class OlderKeyRing(EncryptionKeyRing):
    """Seals as versions did that named no owner; opens everything."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        super().__init__(keys)
        self._older = Fernet(base64.urlsafe_b64encode(keys[0]))

    def encrypt(self, plain: bytes, owner: str) -> str:
        """Seal with the newest key; *owner* is not asked."""
        return self._older.encrypt(b"z" + zlib.compress(plain)).decode("ascii")


@dataclass(slots=True)
class OlderClient:
    """``RedisClient`` of such a process."""

    client: RedisClient
    cipher: Cipher | None
    refused: int = 0
    """Records that it was given and could not read."""

    async def send(
        self, commands: Sequence[Command], *, wait_for_failover: bool = True
    ) -> list[Any]:
        """Send commands as it would."""
        older = [self._write(one) for one in commands]
        answers = await self.client.send(older, wait_for_failover=wait_for_failover)
        return [self._read(answer) for answer in answers]

    async def send_followed(self, command: Command, follower: Command) -> tuple[Any, Any]:
        """Send both together."""
        return await self.client.send_followed(self._write(command), follower)

    async def primaries(self) -> list[Any]:
        """The servers."""
        return await self.client.primaries()

    async def ping(self) -> None:
        """Return if one answers."""
        await self.client.ping()

    def _write(self, command: Command) -> Command:
        commit = lua_scripts.COMMIT
        if len(command) < 2 or command[1] not in (commit.sha, commit.text):
            return command
        first = 3 + int(command[2])
        record, invitation_id = command[first + _RECORD], str(command[first + 1])
        assert isinstance(record, bytes)
        invitation = load_invitation(invitation_id, 0, record, self.cipher)
        document = build_named_document(invitation)
        private = {name: document.pop(name) for name in SEALED if name in document}
        if private and self.cipher is not None:
            sealed = seal_private_part(orjson.dumps(private), self.cipher, invitation_id)
            document |= {"f": 2, "sealed": sealed}
        else:
            document |= private
        changed = list(command)
        changed[first + _RECORD] = orjson.dumps(document)
        return tuple(changed)

    def _read(self, answer: Any) -> Any:
        """A record of today's format is one of a format that it does not know."""
        if isinstance(answer, list):
            return [self._read(one) for one in answer]
        if isinstance(answer, bytes) and _OURS in answer[:100]:
            self.refused += 1
            return answer.replace(_OURS, _TOO_NEW, 1)
        return answer


class Deploys:
    """Which processes are of the version before, and how that changes."""

    def __init__(self, simulation: Simulation, older: bool) -> None:
        self.starts_older = older
        """Of what version a process is that starts now."""
        self.last_older_at = -1.0
        """When one of the version before started last."""
        self._older: set[str] = set()
        self._simulation = simulation

    def wrap(self, host: str, client: RedisClient, keys: Sequence[bytes]) -> RedisClient:
        """The client of a process that starts now, with these keys of what is encrypted."""
        if not self.starts_older:
            return client
        self._older.add(host)
        self.last_older_at = self._simulation.time.seconds
        return OlderClient(client, OlderKeyRing(keys) if keys else None)

    def is_any_older(self) -> bool:
        """Whether a process of the version before may still write."""
        return any(one.host in self._older for one in self._simulation.processes.values())

    async def deploy(self, incident: Incident, draws: Random) -> str:
        """End one process after the other in good order, and start it with the newer version."""
        self.starts_older = False
        await self._roll(incident.lasts_s, draws)
        return ""

    async def roll_back(self, incident: Incident, draws: Random) -> str:
        """Some of the processes go back to the version before, and are deployed again."""
        self.starts_older = True
        await self._roll(incident.lasts_s / 2, draws)
        self.starts_older = False
        await self._roll(incident.lasts_s / 2, draws)
        return ""

    async def _roll(self, lasts_s: float, draws: Random) -> None:
        processes = self._simulation.processes
        names = draws.sample([*processes], len(processes))
        for name in names:
            await self._wait_for(name)
            if processes[name].lives:
                await processes[name].stop()
                await self._simulation.start_process(name)
            await asyncio.sleep(lasts_s / len(names))

    async def _wait_for(self, name: str) -> None:
        """Until a process that was killed, or is being restarted, is there again."""
        for _ in range(PATIENCE):
            if self._simulation.processes[name].lives:
                return
            await asyncio.sleep(LOOK_S)
