"""What an administrator should know about the configuration of Redis."""

from __future__ import annotations

from collections.abc import Sequence

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from bridge.store.redis_access import RedisAccess

_Settings = dict[str | None, str | None]


async def find_durability_risks(commands: RedisAccess) -> list[str]:
    """The reasons why this Redis could lose data in a power cut; empty: it could not."""
    nodes = await _settings(commands, "appendonly", "appendfsync", "maxmemory-policy")
    risks: dict[str, None] = {}
    if await commands.lacks_waitaof():
        risks[
            "redis.wait.local_fsync is true, but this Redis has no WAITAOF (it came with 7.2):"
            " commits wait for replicas only"
        ] = None
    if await _has_replicas(commands):
        risks[
            "this Redis is a replica and takes no writes: name the primary, or Sentinel,"
            " in redis.url"
        ] = None
    if not nodes or not all(nodes):
        return [*risks, "durability could not be checked: Redis does not permit CONFIG GET"]
    for node in nodes:
        risks |= dict.fromkeys(_risks(node))
    return list(risks)


async def find_isolation_risk(commands: RedisAccess) -> str | None:
    """Why one missing part of a cluster would stop all others; None: it would not."""
    names = ("cluster-enabled", "cluster-require-full-coverage")
    for node in await _settings(commands, *names) or ():
        if all(node.get(name) == "yes" for name in names):
            return (
                "cluster-require-full-coverage is yes: one missing primary stops the whole cluster;"
                " set it to no"
            )
    return None


def _risks(node: _Settings) -> list[str]:
    risks = []
    if node.get("appendonly") != "yes":
        risks.append("Redis keeps no append-only file (appendonly no): a restart may lose results")
    elif (fsync := node.get("appendfsync")) != "always":
        risks.append(f"appendfsync is {fsync}, not always: a power cut may lose results")
    if (policy := node.get("maxmemory-policy")) != "noeviction":
        risks.append(f"maxmemory-policy is {policy}: Redis may evict invitations")
    return risks


async def _settings(commands: RedisAccess, *names: str) -> list[_Settings] | None:
    """These settings of all nodes that answer; None: a node does not permit CONFIG GET.

    Raises as ``run_on_primaries``.
    """
    try:
        return await commands.run_on_primaries(lambda node: _settings_of(node, names))
    except ResponseError:
        return None


async def _settings_of(node: Redis, names: Sequence[str]) -> _Settings:
    found: _Settings = {}
    for name in names:  # one by one: Redis 6 accepts only one name
        found |= await node.config_get(name)
    return found


async def _has_replicas(commands: RedisAccess) -> bool:
    """Whether a node that the bridge writes to is a replica, which takes no writes."""
    try:
        infos = await commands.run_on_primaries(lambda node: node.info("replication"))
    except ResponseError:
        return False
    return any(info.get("role") in ("slave", "replica") for info in infos)
