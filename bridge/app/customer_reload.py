"""Reloads the customers' files while the daemon serves."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping

import structlog

from bridge.app.adapters import CONFIGURATION
from bridge.core.customers import CustomerDirectory
from bridge.errors import ConfigError, ConfigMistake
from bridge.process_state import CustomersInForce, ProcessState, ReloadResult
from bridge.settings.customer_files import FOLDER
from bridge.settings.daemon import DaemonSettings
from bridge.settings.loading import compute_fingerprint
from bridge.settings.watched_files import FilesSeen, take_files_snapshot

LOOK_EVERY_S = 0.5
"""How often the files are checked; a change is read once it has been stable for as long."""
_ATTEMPTS = 5
"""How often files that change while they are read are at once read again."""

log = structlog.get_logger()


class CustomerReload:
    """Reads the customers' files again: when asked to, and when they have changed.

    The new customers are built beside the old ones, in a thread, and replace them all at once, or
    not at all if anything is wrong with them. One reload runs at a time.
    """

    def __init__(
        self,
        settings: DaemonSettings,
        customers: CustomersInForce,
        state: ProcessState,
        environ: Mapping[str, str],
    ) -> None:
        self.elsewhere: Callable[[], None] = lambda: None
        """Has the other processes of this daemon reload, too."""
        self.began: Callable[[], None] = lambda: None
        """Is told that a reload begins, and *ended*, however it went, that it is over."""
        self.ended: Callable[[], None] = lambda: None
        self._settings = settings
        self._customers = customers
        self._state = state
        self._environ = environ
        self._seen = take_files_snapshot(settings.config_dir)
        self._bridge_yaml = compute_fingerprint(settings.config_dir)
        self._one_at_a_time = asyncio.Lock()
        self._signalled = asyncio.Event()

    def request_reload(self) -> None:
        """Reload soon; several signals before that count as one."""
        self._signalled.set()

    async def reload_all_processes(self) -> ReloadResult:
        """Reload this process and have the others do so; raises ConfigError if it is refused."""
        try:
            return await self.reload("request")
        finally:
            self.elsewhere()

    async def run(self) -> None:
        """Reload on signals and changes of the files, for as long as the daemon runs."""
        before: FilesSeen | None = None
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._signalled.wait()
            try:
                if self._signalled.is_set():
                    self._signalled.clear()
                    await self.reload("signal")
                    continue
                now = await asyncio.to_thread(take_files_snapshot, self._settings.config_dir)
                # A file that is written in pieces is complete once it has not changed between two
                # checks.
                if now == before and now != self._seen:
                    await self.reload("change")
                before = now
            except ConfigError:
                continue  # it has been told
            except Exception:
                log.exception("config.reload_failed")

    async def reload(self, trigger: str) -> ReloadResult:
        """Reload this process; raises ConfigError if the files are refused."""
        async with self._one_at_a_time, self._told():
            try:
                customers, warnings = await asyncio.to_thread(self._read)
            except ConfigError as error:
                self._customers.refuse(error.mistakes)
                log.error(
                    "config.reload_refused",
                    trigger=trigger,
                    complaints=[str(mistake) for mistake in error.mistakes],
                    text="the customers that were in force before stay in force",
                )
                raise
            finally:
                self._look_at_bridge_yaml()
            done = _compare(self._customers(), customers, warnings, self._state.restart_needed)
            self._customers.replace(customers)
            log.info(
                "config.reloaded",
                trigger=trigger,
                customers=done.customers,
                added=done.added,
                changed=done.changed,
                removed=done.removed,
                warnings=done.warnings,
            )
            return done

    @contextlib.asynccontextmanager
    async def _told(self) -> AsyncIterator[None]:
        self.began()
        try:
            yield
        finally:
            self.ended()

    def _read(self) -> tuple[CustomerDirectory, tuple[str, ...]]:
        """Read the files as they are at one instant, as far as possible."""
        for attempt in range(1, _ATTEMPTS + 1):
            self._seen = take_files_snapshot(self._settings.config_dir)
            error, found = None, None
            try:
                found = self._usable()
            except ConfigError as refused:
                error = refused
            if take_files_snapshot(self._settings.config_dir) == self._seen or attempt == _ATTEMPTS:
                break
        if found is None:
            raise error or ConfigError([])
        return found

    def _usable(self) -> tuple[CustomerDirectory, tuple[str, ...]]:
        """The customers after a reload, and warnings; raises ConfigError if anything is wrong."""
        customers, warnings = CONFIGURATION.load_customers(self._settings, self._environ)
        if not len(customers) and not customers.set_aside:
            # Probably a volume that is not mounted, or an unfinished sync: nobody removes all
            # customers on purpose.
            message = (
                "there is no customer's file; to serve nobody, the last one too, stop the daemon"
            )
            folder = str(self._settings.config_dir / FOLDER)
            raise ConfigError([ConfigMistake(folder, 0, 0, message)])
        if customers.set_aside:
            raise ConfigError(customers.list_mistakes())
        return customers, warnings

    def _look_at_bridge_yaml(self) -> None:
        changed = compute_fingerprint(self._settings.config_dir) != self._bridge_yaml
        if changed:
            log.warning(
                "config.needs_restart",
                text="bridge.yaml has changed; only the customers' files were read again",
            )
        self._state.restart_needed = changed


def _compare(
    before: CustomerDirectory,
    now: CustomerDirectory,
    warnings: tuple[str, ...],
    restart_needed: bool,
) -> ReloadResult:
    old, new = ({one.key for one in directory} for directory in (before, now))
    return ReloadResult(
        customers=len(now),
        added=sorted(new - old),
        changed=sorted(key for key in new & old if before.get(key) != now.get(key)),
        removed=sorted(old - new),
        warnings=list(warnings),
        restart_needed=restart_needed,
    )
