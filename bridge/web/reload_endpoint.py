"""``POST /-/reload``: the customers' files are to be read again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict

from aiohttp import web

from bridge.errors import ConfigError, ConfigMistake
from bridge.process_state import ReloadResult
from bridge.web import problem_details
from bridge.web.json_answer import json_response
from bridge.web.routing import Endpoint

PATH = "/-/reload"


def create_reload_endpoint(reload: Callable[[], Awaitable[ReloadResult]]) -> Endpoint:
    """The endpoint that answers what *reload* has changed, or why it was refused."""

    async def handle(request: web.Request) -> web.Response:
        try:
            done = await reload()
        except ConfigError as error:
            return problem_details.build_problem_response(
                422,
                "reload_refused",
                "The customers' files cannot be used",
                "Those who were served before are served on. Correct what errors says, and repeat.",
                fields=_by_file(error.mistakes),
            )
        return json_response({"status": "reloaded", **asdict(done)})

    return Endpoint(
        "POST",
        PATH,
        handle,
        "Read the customers' files again: all of them, or none where one is wrong.",
        {200: ("What has changed.", "application/json"), 422: "One is wrong: nothing has changed."},
        tag="operators",
    )


def _by_file(mistakes: Iterable[ConfigMistake]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in mistakes:
        where = f"line {one.line}, column {one.column}: " if one.line else ""
        found.setdefault(one.file, []).append(where + one.message)
    return found
