"""FLOOR: the barest sensible daemon for the four paths, on the framework that the bridge uses.

uvloop, orjson, hiredis, redis-py's pool with MULTI, a pooled ``ClientSession``. It validates
nothing, logs nothing, retries nothing, and takes a token by comparing texts; it makes the calls and
the durable writes that the bridge makes. ``python -m tests.bench.floor PORT REDIS_URL VENDOR_URL``.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
import time
from typing import Any

import aiohttp
import orjson
import uvloop
from aiohttp import web
from redis.asyncio import ConnectionPool, Redis

from tests.bench.sample_calls import JOB_ID, TESTS

TOKEN = "floor-token-0123456789"
SECRET = "s3cr3t-of-every-callback"
_BEARER = f"Bearer {TOKEN}"
_KEPT_S = 365 * 24 * 3600
_JSON = "application/json"


class Floor:
    """The four handlers."""

    def __init__(
        self, redis: Redis, session: aiohttp.ClientSession, own_url: str, vendor_url: str
    ) -> None:
        self._redis = redis
        self._session = session
        self._own_url = own_url
        self._applications = f"{vendor_url}/connect_ats/applications"
        self._at_vendor = {"Authorization": "Bearer SFMyNTY.c2FtcGxl.b3ducw"}
        self._tests = [
            {"testId": f"job-{number}", "id": f"job-{number}", "name": f"Role {number}"}
            for number in range(TESTS)
        ]
        self._work: set[asyncio.Task[None]] = set()

    async def ready(self, request: web.Request) -> web.Response:
        """It serves, so it is."""
        return web.Response(body=b"{}", content_type=_JSON)

    async def tests(self, request: web.Request) -> web.Response:
        """The list, kept in memory."""
        if request.headers.get("Authorization") != _BEARER:
            return web.Response(status=401)
        return web.Response(body=orjson.dumps(self._tests), content_type=_JSON)

    async def invite(self, request: web.Request) -> web.Response:
        """Claim, create, keep."""
        if request.headers.get("Authorization") != _BEARER:
            return web.Response(status=401)
        order = orjson.loads(await request.read())
        candidate = order["candidate"]
        invitation_id = secrets.token_hex(13)
        key = f"invitation:{invitation_id}"
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.set(f"order:{candidate['id']}:{order['testId']}", invitation_id, nx=True)
            pipe.hset(
                key, mapping={"state": "CREATING", "test": JOB_ID, "callback": order["callback"]}
            )
            await pipe.execute()
        body = {
            "job_id": order["testId"],
            "invitation_type": "one_time_link",
            "callback_url": f"{self._own_url}/equalture/callbacks/{invitation_id}/{SECRET}",
            "applicant_details": {
                "first_name": candidate["firstName"],
                "last_name": candidate["lastName"],
                "email": candidate["email"],
            },
        }
        async with self._session.post(
            self._applications, data=orjson.dumps(body), headers=self._at_vendor
        ) as response:
            created = orjson.loads(await response.read())
        link = created["assessment_url"]
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(
                key,
                mapping={"state": "INVITED", "ref": created["reference_id"], "link": link},
            )
            pipe.expire(key, _KEPT_S)
            await pipe.execute()
        answer = {
            "invitationId": invitation_id,
            "testUrl": link,
            "deadline": "2030-01-01T00:00:00Z",
        }
        return web.Response(body=orjson.dumps(answer), content_type=_JSON)

    async def callback(self, request: web.Request) -> web.Response:
        """Keep the report, answer, and do the rest afterwards."""
        if request.match_info["secret"] != SECRET:
            return web.Response(status=404)
        invitation_id = request.match_info["invitation_id"]
        key = f"invitation:{invitation_id}"
        report = await request.read()
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(key, mapping={"report": report})
            pipe.hmget(key, "ref", "callback")
            _, (reference_id, callback) = await pipe.execute()
        task = asyncio.create_task(
            self._complete(invitation_id, reference_id.decode(), callback.decode())
        )
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        return web.Response(body=b'{"status":"ok"}', content_type=_JSON)

    async def results(self, request: web.Request) -> web.Response:
        """One read, and a rendered answer."""
        if request.headers.get("Authorization") != _BEARER:
            return web.Response(status=401)
        invitation_id = request.match_info["invitation_id"]
        state, completed, url, fit = await self._redis.hmget(
            f"invitation:{invitation_id}", "state", "completed", "url", "fit"
        )
        if state is None:
            return web.Response(status=404)
        answer: dict[str, Any] = {"status": state.decode(), "result": {"resultUrl": url.decode()}}
        if completed is not None:
            answer["completionTime"] = completed.decode()
            answer["result"]["score"] = fit.decode()
        return web.Response(body=orjson.dumps(answer), content_type=_JSON)

    async def _complete(self, invitation_id: str, reference_id: str, callback: str) -> None:
        key, application = f"invitation:{invitation_id}", f"{self._applications}/{reference_id}"
        async with self._session.get(f"{application}/status", headers=self._at_vendor) as response:
            status = orjson.loads(await response.read())
        if status["status"] != "completed":
            return
        async with self._session.get(
            f"{application}/results?locale=en", headers=self._at_vendor
        ) as response:
            raw = await response.read()
        result = orjson.loads(raw)
        completed = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(
                key,
                mapping={
                    "state": "COMPLETED",
                    "completed": completed,
                    "result": raw,
                    "fit": result["fit"],
                    "url": result["results_url"],
                },
            )
            pipe.hdel(key, "report")
            await pipe.execute()
        headers = {"Authorization": "Basic MTA6", "Content-Type": _JSON}
        body = orjson.dumps({"invitationId": invitation_id})
        async with self._session.post(callback, data=body, headers=headers) as response:
            if response.status == 200:
                await self._redis.hset(key, "notified", completed)  # type: ignore[misc]


async def serve(port: int, redis_url: str, vendor_url: str) -> None:
    """Serve until the process is ended."""
    pool = ConnectionPool.from_url(redis_url, max_connections=1000)
    async with (
        Redis.from_pool(pool) as redis,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=256)) as session,
    ):
        floor = Floor(redis, session, f"http://127.0.0.1:{port}", vendor_url)
        application = web.Application()
        application.router.add_get("/readyz", floor.ready)
        application.router.add_get("/softgarden/tests", floor.tests)
        application.router.add_post("/softgarden/invitations", floor.invite)
        application.router.add_get("/softgarden/results/{invitation_id}", floor.results)
        application.router.add_put("/equalture/callbacks/{invitation_id}/{secret}", floor.callback)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as floor_runner:
        floor_runner.run(serve(int(sys.argv[1]), sys.argv[2], sys.argv[3]))
