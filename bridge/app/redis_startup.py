"""Opening Redis as it is configured, with errors that name the setting."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from bridge.errors import ConfigError, ConfigMistake, NoStoredData, RedisSetupError
from bridge.settings.daemon import RedisSettings, ReplicaWaitSettings
from bridge.store import embedded, stored_texts
from bridge.store.connect import open_client
from bridge.store.redis_access import RedisAccess, ReplicaWait

_NO_DATA = (
    "there is no data at {} (redis.data_dir, of the embedded server): start this where the daemon"
    " is started, or write the whole path into bridge.yaml"
)


@contextlib.contextmanager
def _redis_setup() -> Iterator[None]:
    """Raise a ``ConfigError`` that names the setting if Redis cannot be used as configured."""
    try:
        yield
    except RedisSetupError as error:
        raise ConfigError([ConfigMistake(f"redis.{error.setting}", 0, 0, str(error))]) from None


@contextlib.asynccontextmanager
async def run_embedded_redis(data_dir: Path) -> AsyncIterator[str]:
    """An embedded Redis that keeps its data in *data_dir*; yields its URL."""
    with _redis_setup():
        async with embedded.run_redis_server(data_dir) as url:
            yield url


async def read_stored_texts(url: str) -> AsyncIterator[str]:
    """Everything that the Redis at *url* holds, a text for each key; see ``stored_texts``."""
    async with open_client(url) as commands:
        async for text in stored_texts.read_stored_texts(commands):
            yield text


@contextlib.asynccontextmanager
async def open_redis(settings: RedisSettings, *, fresh: bool) -> AsyncIterator[RedisAccess]:
    """The configured Redis, or an embedded one if none is configured.

    Without *fresh* an embedded one is opened only if it has kept data before; else ``NoStoredData``
    is raised.
    """
    async with contextlib.AsyncExitStack() as stack:
        url = settings.url.reveal() if settings.url else None
        if url is None:
            if not fresh and not embedded.holds_data(settings.data_dir):
                raise NoStoredData(_NO_DATA.format(settings.data_dir.absolute()))
            url = await stack.enter_async_context(run_embedded_redis(settings.data_dir))
        with _redis_setup():
            opened = open_client(url, wait=_wait(settings.wait))
            commands = await stack.enter_async_context(opened)
        yield commands


def _wait(settings: ReplicaWaitSettings) -> ReplicaWait | None:
    waits = settings.replicas > 0 or settings.local_fsync
    return (
        ReplicaWait(settings.replicas, settings.timeout.total_seconds(), settings.local_fsync)
        if waits
        else None
    )
