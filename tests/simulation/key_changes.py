"""Administrators change the daemon's keys, process by process, in the order of steps that
``bridge.yaml`` asks for: what was sealed can be read, and links that were handed out stay valid.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Final

from bridge.core import ids
from bridge.core.links import LinkPurpose
from bridge.errors import RecordUnreadable
from bridge.settings.daemon import DaemonSettings
from bridge.store.encryption import EncryptionKeyRing
from bridge.store.key_names import get_invitation_id
from bridge.store.record_codec import load_record, renew_sealed_part
from bridge.store.stored_texts import show_record
from tests.simulation import recruiter
from tests.simulation.damaged_entries import DAMAGES
from tests.simulation.forgotten_writes import KINDS as FORGETS
from tests.simulation.reencrypt_command import ReencryptCommand
from tests.simulation.stage_settings import load_settings

if TYPE_CHECKING:
    from tests.simulation.bridge_process import BridgeProcess
    from tests.simulation.incidents import Incident
    from tests.simulation.world import Simulation

ENCRYPTION: Final = "the encryption key is changed"
SIGNING: Final = "the signing key is changed"
KEY_CHANGES: Final = (ENCRYPTION, SIGNING)
KEY_BYTES: Final = 32
LOOK_S: Final = 0.5
ARRIVES_S: Final = 2.0
"""Within what time what a process of before has sent is in Redis, or never will be."""
TRIES: Final = 25
"""Of the administrators, until the command says that all is done."""
TAKEN_OFF: Final = 0.6
"""How often the old key is taken off the list, where that may be."""
LINKS: Final = 4
"""How many links are opened after each step."""
PURPOSES: Final = {
    "resultUrl": LinkPurpose.RESULTS,
    "shareUrl": LinkPurpose.SHARE,
    "reportUrl": LinkPurpose.REPORT,
    "testUrl": LinkPurpose.START,
}
PRIVATE: Final = ("token/link-", "dashboard.equalture.example")
"""Parts of what only keys may open."""
_NO_KEY: Final = "a key that is not in encryption_keys"


class KeyChanges:
    """The lists of keys as they stand in ``bridge.yaml``, and which process has read which."""

    def __init__(self, simulation: Simulation, encrypted: bool, draws: Random) -> None:
        self.encryption: tuple[bytes, ...] = (draws.randbytes(KEY_BYTES),) if encrypted else ()
        self.signing = load_settings().signing_keys
        self.sealed_since: float | None = 0.0 if encrypted else None
        """Since when all that is private is sealed with the newest key."""
        self._simulation = simulation
        self._ever = self.encryption
        """Every key that was listed, newest first."""
        self._read: dict[str, tuple[tuple[bytes, ...], tuple[bytes, ...]]] = {}
        """What each process has read, by host."""
        self._changing: set[str] = set()
        self._leaves: set[bytes] = set()
        """Signing keys that some processes may have no longer."""
        self._gone: set[bytes] = set()
        """Those that none has."""
        self._command = ReencryptCommand(simulation)

    @property
    def ring(self) -> EncryptionKeyRing | None:
        """What opens whatever was sealed in this world."""
        return EncryptionKeyRing(self._ever) if self._ever else None

    def configure(self, settings: DaemonSettings, process: BridgeProcess) -> DaemonSettings:
        """What a process reads that starts now."""
        self._read[process.host] = (self.encryption, self.signing)
        return self.apply(settings)

    def apply(self, settings: DaemonSettings) -> DaemonSettings:
        """The same with the keys that are listed now."""
        if settings.encryption_keys == self.encryption and settings.signing_keys == self.signing:
            return settings
        return replace(settings, encryption_keys=self.encryption, signing_keys=self.signing)

    async def perform(self, incident: Incident, draws: Random) -> str:
        """Change the key that this kind of incident is about."""
        if incident.kind in self._changing:
            return "(not now: it is being changed)"
        self._changing.add(incident.kind)
        change = self._change_encryption if incident.kind == ENCRYPTION else self._change_signing
        detail = await change(incident.lasts_s / 4, draws)
        self._changing.discard(incident.kind)
        return f"({detail})"

    # Encryption

    async def _change_encryption(self, step_s: float, draws: Random) -> str:
        """The new key behind the old one, then in front of it, then all is sealed anew, and the old
        one is taken off.
        """
        before, new = self.encryption, draws.randbytes(KEY_BYTES)
        self._ever = (new, *self._ever)
        self._simulation.watch.cipher = self.ring
        self.sealed_since = None
        at_once = draws.random() < 0.3
        if before and not at_once:
            await self._list(draws, step_s, encryption=(*before, new))
        if at_once:
            await self._restart_all_at_once(draws, encryption=(new, *before))
        else:
            await self._list(draws, step_s, encryption=(new, *before))
        await asyncio.sleep(ARRIVES_S)
        began, deploys = self._now(), self._simulation.trouble.deploys
        is_older = deploys.is_any_older()
        if not await self._reencrypt(draws):
            return "not all could be sealed anew"
        if not is_older and not deploys.is_any_older() and deploys.last_older_at < began:
            self.sealed_since = self._now()
            self._check_sealed(EncryptionKeyRing((new,)))
        if not before or draws.random() >= TAKEN_OFF or self._goes_back():
            return "the old one stays listed" if before else "there was none"
        await self._list(draws, step_s, encryption=(new,))
        return "and the old one is taken off"

    async def _reencrypt(self, draws: Random) -> bool:
        """Run the command until it says that all is done."""
        for _ in range(TRIES):
            counts = await self._command.run(self.apply(load_settings()), draws)
            if counts is not None:
                left = [why for count in counts.values() for why in count.left]
                for why in left:
                    if _NO_KEY in why:
                        self._simulation.complain("encrypted", why)
                if not left:
                    return True
            await asyncio.sleep(draws.uniform(0.5, 3.0))
        return False

    def _goes_back(self) -> bool:
        """Whether what was sealed with the old key may come back into Redis."""
        now, incidents = self._now(), self._simulation.trouble.incidents
        return any(one.kind in (*FORGETS, *DAMAGES) and one.end > now for one in incidents)

    def _check_sealed(self, newest: EncryptionKeyRing) -> None:
        """All that is private is sealed with the newest key."""
        redis = self._simulation.redis
        for key in redis.list_keys():
            value = redis.read_text(key.decode()) if b":iv:" in key else None
            if value is not None:
                invitation_id = get_invitation_id(key.decode())
                try:
                    record = value.split(b"|", 2)[2]
                    load_record(invitation_id, value, newest)
                    is_old = renew_sealed_part(record, newest, invitation_id) is not None
                except RecordUnreadable as error:
                    is_old = _NO_KEY in str(error)
                except IndexError:
                    continue  # somebody has just damaged it
                if is_old:
                    how = f"{invitation_id} is not sealed with the newest key"
                    self._simulation.complain("encrypted", how)

    async def check_end(self) -> None:
        """When all is settled: nothing is left that the newest key has not sealed, and what is
        private stands nowhere else.
        """
        trouble = self._simulation.trouble
        if not self._is_all_sealed():
            return
        if not trouble.damaged.done:
            self._check_sealed(EncryptionKeyRing(self.encryption[:1]))
        for process in self._simulation.processes.values():
            if process.lives and process.runtime is not None:
                for name, count in (await process.runtime.reencrypt()).items():
                    left = [why for why in count.left if _NO_KEY in why]
                    if left or (count.renewed and not trouble.damaged.done):
                        how = f"{count.renewed} {name} were not sealed with the newest key; {left}"
                        self._simulation.complain("encrypted", how)
                return

    def check_traces(self) -> None:
        """When all processes have ended: whoever steals what Redis holds sees no link and no
        result, and nobody met what none of its keys opens, unless keys were just introduced.
        """
        simulation = self._simulation
        if self._is_all_sealed() and not simulation.trouble.damaged.done:
            redis = simulation.redis
            keys = [key.decode() for key in redis.list_keys() if b":iv:" in key]
            shown = [
                show_record(get_invitation_id(key), redis.read_text(key) or b"") for key in keys
            ]
            for word in PRIVATE:
                if any(word in one for one in shown) or word.encode() in redis.dump():
                    simulation.complain("encrypted", f"{word} can be read in Redis")
        if simulation.script.encrypted and _NO_KEY in simulation.log.getvalue():
            simulation.complain("encrypted", f"{_NO_KEY} is in the log")

    def _is_all_sealed(self) -> bool:
        since, trouble = self.sealed_since, self._simulation.trouble
        return (
            since is not None
            and not trouble.forgotten.went_back(since)
            and not trouble.deploys.is_any_older()
            and trouble.deploys.last_older_at < since
        )

    # Signing

    async def _change_signing(self, step_s: float, draws: Random) -> str:
        """The new key behind the old one, then in front of it, and perhaps the old one is taken
        off: its links die.
        """
        before, new = self.signing, draws.randbytes(KEY_BYTES)
        await self._list(draws, step_s, signing=(*before, new))
        await self._open_links(draws)
        await self._list(draws, step_s, signing=(new, *before))
        await self._open_links(draws)
        if draws.random() >= TAKEN_OFF:
            return "the old one stays listed"
        self._leaves.update(before)
        await self._list(draws, step_s, signing=(new,))
        self._gone.update(before)
        await self._open_links(draws)
        return "and the old one is taken off"

    def may_be_dead(self, link: str, what: str) -> bool:
        """Whether a link's key may be listed no longer."""
        return self._is_signed(self._leaves, link, what)

    def is_dead(self, link: str, what: str) -> bool:
        """Whether no process lists its key any longer."""
        return self._is_signed(self._gone, link, what)

    @staticmethod
    def _is_signed(keys: set[bytes], link: str, what: str) -> bool:
        token = link.rpartition("/")[2].removesuffix(".pdf")
        return bool(keys) and ids.verify_link([*keys], PURPOSES[what], token) is not None

    async def _open_links(self, draws: Random) -> None:
        """Recruiters open some of the links that they have been given before."""
        known = [
            (journey, one)
            for journey in self._simulation.journeys
            for one in journey.rounds
            if one.links and journey.plan.deletion == "never" and one.set_back_at is None
        ]
        for journey, one in draws.sample(known, min(LINKS, len(known))):
            await recruiter.visit_pages(journey, one)

    # How

    async def _list(self, draws: Random, within_s: float, **lists: tuple[bytes, ...]) -> None:
        """Write other keys into ``bridge.yaml``, and restart one process after the other until all
        have read them.
        """
        self._write(**lists)
        processes = self._simulation.processes
        names = draws.sample([*processes], len(processes))
        for name in names:
            while self._is_behind(processes[name]):
                if processes[name].lives:
                    await processes[name].stop()
                    await self._simulation.start_process(name)
                else:
                    await asyncio.sleep(LOOK_S)
            await asyncio.sleep(within_s / len(names))

    async def _restart_all_at_once(self, draws: Random, **lists: tuple[bytes, ...]) -> None:
        """End every process before the first one starts again."""
        self._write(**lists)
        processes = self._simulation.processes
        living = [one for one in processes.values() if one.lives]
        await asyncio.gather(*(one.stop() for one in living))
        for process in living:
            await self._simulation.start_process(process.name)
        await self._list(draws, 0.0)

    def _write(
        self, *, encryption: tuple[bytes, ...] = (), signing: tuple[bytes, ...] = ()
    ) -> None:
        self.encryption = encryption or self.encryption
        self.signing = signing or self.signing

    def _is_behind(self, process: BridgeProcess) -> bool:
        return self._read[process.host] != (self.encryption, self.signing)

    def _now(self) -> float:
        return self._simulation.time.seconds
