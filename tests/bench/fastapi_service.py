"""The same service as most teams would write it: FastAPI, pydantic, httpx and redis.asyncio.

Ordinary good style: models for what comes and goes, dependencies for who calls, one pooled client
for each neighbour, background tasks, uvicorn with uvloop and httptools. It makes the
calls and the durable writes that FLOOR and the bridge make. ``python -m
tests.bench.fastapi_service PORT REDIS_URL VENDOR_URL``, with ``deploy/requirements/bench.txt``.
"""

from __future__ import annotations

import hmac
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import httpx
import uvicorn
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field, HttpUrl
from redis.asyncio import Redis

from tests.bench.sample_calls import TESTS

TOKEN = "fastapi-token-0123456789"
SECRET = "s3cr3t-of-every-callback"
KEPT = timedelta(days=365)
VENDOR_TOKEN = {"Authorization": "Bearer SFMyNTY.c2FtcGxl.b3ducw"}


class Candidate(BaseModel):
    """Who is invited."""

    id: str = Field(min_length=1, max_length=200)
    firstName: str = ""  # noqa: N815
    lastName: str = ""  # noqa: N815
    email: str = Field(pattern=r"[^@\s]+@[^@\s]+$", max_length=320)


class Order(BaseModel):
    """An order of an assessment."""

    testId: str = Field(min_length=1, max_length=200)  # noqa: N815
    candidate: Candidate
    callback: HttpUrl


class Invitation(BaseModel):
    """The answer to an order."""

    invitationId: str  # noqa: N815
    testUrl: str  # noqa: N815
    deadline: datetime


class OfferedAssessment(BaseModel):
    """An entry of the list of tests."""

    testId: str  # noqa: N815
    id: str
    name: str


class CreatedApplication(BaseModel):
    """The provider's answer to a create."""

    reference_id: str
    assessment_url: str


class CompetencyProfile(BaseModel):
    """What is wanted of a trait."""

    priority: str | None = None
    range: list[int] = []


class Trait(BaseModel):
    """One trait of a report."""

    trait_code: str
    trait_name: str
    trait_bucket_score: int
    trait_bucket_description: str = ""
    competency_profile: CompetencyProfile | None = None


class Report(BaseModel):
    """A result, as the provider reports it and as it answers it."""

    fit: str | None = None
    results_url: str
    scores: dict[str, str] = {}
    detailed_scores: list[Trait] = []


class ResultLinks(BaseModel):
    """Where a result can be seen."""

    resultUrl: str  # noqa: N815
    score: str | None = None


class ReadResult(BaseModel):
    """The answer to a read."""

    status: str
    completionTime: datetime | None = None  # noqa: N815
    result: ResultLinks


@asynccontextmanager
async def open_clients(app: FastAPI) -> AsyncIterator[None]:
    """One client for Redis and one for both vendors, while the service runs."""
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=100)
    async with (
        Redis.from_url(app.state.redis_url, max_connections=1000, decode_responses=True) as redis,
        httpx.AsyncClient(timeout=8.0, limits=limits) as client,
    ):
        app.state.redis, app.state.client = redis, client
        yield


def get_redis(request: Request) -> Redis:
    """The client for Redis."""
    return request.app.state.redis


def get_client(request: Request) -> httpx.AsyncClient:
    """The client for the vendors."""
    return request.app.state.client


bearer = HTTPBearer()


def require_token(given: Annotated[HTTPAuthorizationCredentials, Depends(bearer)]) -> None:
    """401 for everybody else."""
    if not hmac.compare_digest(given.credentials, TOKEN):
        raise HTTPException(401, "wrong token")


Store = Annotated[Redis, Depends(get_redis)]
Client = Annotated[httpx.AsyncClient, Depends(get_client)]
app = FastAPI(lifespan=open_clients)
tests_on_offer = [
    OfferedAssessment(testId=f"job-{number}", id=f"job-{number}", name=f"Role {number}")
    for number in range(TESTS)
]


@app.get("/readyz")
async def ready() -> dict[str, str]:
    """It serves, so it is."""
    return {"status": "ok"}


@app.get("/softgarden/tests", dependencies=[Depends(require_token)])
async def list_tests() -> list[OfferedAssessment]:
    """The list, kept in memory."""
    return tests_on_offer


@app.post("/softgarden/invitations", dependencies=[Depends(require_token)])
async def invite(order: Order, request: Request, redis: Store, client: Client) -> Invitation:
    """Claim, create, keep."""
    invitation_id = secrets.token_hex(13)
    key = f"invitation:{invitation_id}"
    async with redis.pipeline(transaction=True) as pipe:
        pipe.set(f"order:{order.candidate.id}:{order.testId}", invitation_id, nx=True)
        pipe.hset(
            key,
            mapping={"state": "CREATING", "test": order.testId, "callback": str(order.callback)},
        )
        await pipe.execute()
    response = await client.post(
        f"{request.app.state.vendor_url}/connect_ats/applications",
        json={
            "job_id": order.testId,
            "invitation_type": "one_time_link",
            "callback_url": str(
                request.url_for("receive_result", invitation_id=invitation_id, secret=SECRET)
            ),
            "applicant_details": {
                "first_name": order.candidate.firstName,
                "last_name": order.candidate.lastName,
                "email": order.candidate.email,
            },
        },
        headers=VENDOR_TOKEN,
    )
    response.raise_for_status()
    created = CreatedApplication.model_validate_json(response.content)
    async with redis.pipeline(transaction=True) as pipe:
        pipe.hset(
            key,
            mapping={
                "state": "INVITED",
                "reference": created.reference_id,
                "link": created.assessment_url,
            },
        )
        pipe.expire(key, KEPT)
        await pipe.execute()
    return Invitation(
        invitationId=invitation_id,
        testUrl=created.assessment_url,
        deadline=datetime.now(UTC) + timedelta(days=7),
    )


@app.put("/equalture/callbacks/{invitation_id}/{secret}")
async def receive_result(
    invitation_id: str,
    secret: str,
    report: Report,
    request: Request,
    background: BackgroundTasks,
    redis: Store,
    client: Client,
) -> dict[str, str]:
    """Keep the report, answer, and do the rest afterwards."""
    if not hmac.compare_digest(secret, SECRET):
        raise HTTPException(404)
    key = f"invitation:{invitation_id}"
    async with redis.pipeline(transaction=True) as pipe:
        pipe.hset(key, "report", report.model_dump_json())
        pipe.hmget(key, "reference", "callback")
        _, (reference_id, callback) = await pipe.execute()
    if reference_id is None:
        raise HTTPException(404)
    application = f"{request.app.state.vendor_url}/connect_ats/applications/{reference_id}"
    background.add_task(complete, redis, client, invitation_id, application, callback)
    return {"status": "ok"}


async def complete(
    redis: Redis, client: httpx.AsyncClient, invitation_id: str, application: str, callback: str
) -> None:
    """Confirm the result, keep it, notify."""
    key = f"invitation:{invitation_id}"
    response = await client.get(f"{application}/status", headers=VENDOR_TOKEN)
    response.raise_for_status()
    if response.json()["status"] != "completed":
        return
    response = await client.get(
        f"{application}/results", params={"locale": "en"}, headers=VENDOR_TOKEN
    )
    response.raise_for_status()
    result = Report.model_validate_json(response.content)
    completed = datetime.now(UTC).isoformat()
    async with redis.pipeline(transaction=True) as pipe:
        pipe.hset(
            key,
            mapping={
                "state": "COMPLETED",
                "completed": completed,
                "result": result.model_dump_json(),
            },
        )
        pipe.hdel(key, "report")
        await pipe.execute()
    response = await client.post(callback, json={"invitationId": invitation_id}, auth=("10", ""))
    response.raise_for_status()
    await redis.hset(key, "notified", completed)


@app.get("/softgarden/results/{invitation_id}", dependencies=[Depends(require_token)])
async def read_result(invitation_id: str, redis: Store) -> ReadResult:
    """The state, and the result once there is one."""
    state, completed, raw = await redis.hmget(
        f"invitation:{invitation_id}", "state", "completed", "result"
    )
    if state is None:
        raise HTTPException(404)
    links: dict[str, Any] = {"resultUrl": f"https://bridge.example/results/{invitation_id}"}
    if raw is not None:
        result = Report.model_validate_json(raw)
        links = {"resultUrl": result.results_url, "score": result.fit}
    return ReadResult(status=state, completionTime=completed, result=ResultLinks(**links))


if __name__ == "__main__":
    app.state.redis_url, app.state.vendor_url = sys.argv[2:]
    uvicorn.run(
        app,
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        # Callers that are silent for longer than the usual 5 s must not meet a closed connection.
        timeout_keep_alive=120,
    )
