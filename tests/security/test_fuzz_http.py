"""The served OpenAPI document against the running bridge: generated requests, generated
journeys.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.config import GenerationConfig, SchemathesisConfig
from schemathesis.core.control import SkipTest
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.flows.conftest import Bridge, Config, Launch
from tests.security.conftest import WEBHOOK_SECRET, completed

CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]
QUIET = {
    "deadline": None,
    "database": None,
    "derandomize": True,
    "suppress_health_check": list(HealthCheck),
    "phases": (Phase.explicit, Phase.generate),
}


@pytest.fixture
async def fuzzed(config: Config, launch: Launch) -> AsyncIterator[Bridge]:
    """A bridge that takes everything that is documented, and an Equalture that forgives."""
    config.customers["acme"]["equalture"]["webhook_secret"] = WEBHOOK_SECRET
    bridge = await launch()
    # The fuzzer's own client notes its URLs in the log, and those may hold any word of ours.
    logging.getLogger("urllib3").setLevel(logging.WARNING)
    yield bridge
    bridge.equalture.violations.clear()
    bridge.softgarden.violations.clear()


def document(bridge: Bridge, modes: list[GenerationMode]) -> Any:
    """The document that the bridge serves, read by schemathesis."""
    configuration = SchemathesisConfig()
    schema = schemathesis.openapi.from_url(f"{bridge.url}/openapi.json", config=configuration)
    schema.config.generation = GenerationConfig(modes=modes)
    return schema


def judge(case: Any, response: Any) -> None:
    """Assert that the answer is documented, of the documented type and shape, and no crash."""
    assert response.status_code != 500
    case.validate_response(response, checks=CHECKS, excluded_checks=[not_a_server_error])


@pytest.mark.parametrize("mode", list(GenerationMode), ids=str)
async def test_every_operation_keeps_its_promise(fuzzed: Bridge, mode: GenerationMode) -> None:
    """Whatever is sent, right or wrong, the answer is one that the document names, in the shape
    that it names.
    """
    headers = {"Authorization": f"Bearer {fuzzed.acme.token}"}
    tried: dict[str, set[int]] = {}
    an_id, result = await completed(fuzzed)
    callback = urlsplit(fuzzed.callback_of(fuzzed.created())).path
    tokens = {
        "/share/{token}": result["shareUrl"],
        "/results/{token}": result["resultUrl"],
        "/reports/{token}.pdf": result["reportUrl"].removesuffix(".pdf"),
        "/start/{token}": (await fuzzed.globex.invite("job-3")).json["testUrl"],
    }

    def send(case: Any) -> None:
        response = case.call(headers=headers, timeout=5, allow_redirects=False)
        tried.setdefault(case.operation.label, set()).add(response.status_code)
        judge(case, response)

    def check(case: Any) -> None:
        """Send it as it is, and once more with what opens the door, so that the rest is looked
        at.
        """
        send(case)
        path = case.operation.path
        known = {"invitation_id": an_id, "secret": callback.rpartition("/")[2], "customer": "acme"}
        known["token"] = tokens.get(path, "").rpartition("/")[2]
        if case.path_parameters and case.operation.method.upper() != "DELETE":
            case.path_parameters = {name: known[name] for name in case.path_parameters}
        if (
            isinstance(case.body, dict)
            and path == "/softgarden/invitations"
            and "callback" in case.body
        ):
            case.body |= {"testId": "engineer", "callback": fuzzed.softgarden.callback_url("acme")}
        send(case)

    def run() -> None:
        schema = document(fuzzed, [mode])
        for found in schema.get_all_operations():
            operation = found.ok()
            fuzz = settings(max_examples=60, **QUIET)(
                given(case=operation.as_strategy(generation_mode=mode))(check)
            )
            with contextlib.suppress(
                SkipTest
            ):  # nothing can be wrong about a request without parameters
                fuzz()

    await asyncio.to_thread(run)
    assert len(tried) >= (14 if mode is GenerationMode.POSITIVE else 4)
    successes = {label for label, statuses in tried.items() if min(statuses) < 400}
    assert len(successes) >= (12 if mode is GenerationMode.POSITIVE else 2)


async def test_journeys(fuzzed: Bridge) -> None:
    """Orders that are answered lead to reads and deletions of the very invitation, in any order,
    without a surprise.
    """
    headers = {"Authorization": f"Bearer {fuzzed.acme.token}"}
    callback = fuzzed.softgarden.callback_url("acme")
    statuses: dict[str, list[int]] = {}

    def run() -> None:
        schema = document(fuzzed, [GenerationMode.POSITIVE]).include(path_regex="^/softgarden/")

        class Journey(schema.as_state_machine()):  # type: ignore[misc]
            """Orders a fit candidate's test and goes wherever the document's links lead."""

            def before_call(self, case: Any) -> None:
                if case.operation.label == "POST /softgarden/invitations":
                    case.body = {
                        "testId": "engineer",
                        "candidate": {
                            "id": f"a-{len(statuses)}",
                            "firstName": "A",
                            "lastName": "B",
                            "email": "a@b.example",
                        },
                        "callback": callback,
                    }

            def get_call_kwargs(self, case: Any) -> dict[str, Any]:
                return {"headers": headers, "timeout": 5}

            def validate_response(self, response: Any, case: Any, **_: Any) -> None:
                statuses.setdefault(case.operation.label, []).append(response.status_code)
                judge(case, response)

        Journey.run(settings=settings(max_examples=20, stateful_step_count=8, **QUIET))

    await asyncio.to_thread(run)
    assert 200 in statuses["POST /softgarden/invitations"]
    assert 200 in statuses["GET /softgarden/results/{invitation_id}"]
    assert 204 in statuses["DELETE /softgarden/invitations/{invitation_id}"]


async def test_completed_result_conforms(fuzzed: Bridge) -> None:
    """A completed result, which no generated request can bring about, has the documented shape as
    well.
    """
    an_id, _ = await completed(fuzzed)
    headers = {"Authorization": f"Bearer {fuzzed.acme.token}"}

    def run() -> None:
        schema = document(fuzzed, [GenerationMode.POSITIVE])
        operation = schema["/softgarden/results/{invitation_id}"]["GET"]
        case = operation.Case(path_parameters={"invitation_id": an_id})
        response = case.call(headers=headers, timeout=5)
        assert response.json()["status"] == "COMPLETED"
        judge(case, response)

    await asyncio.to_thread(run)
