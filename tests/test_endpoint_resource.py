"""Which endpoint answers a path: as if by a pattern that accepts doubled and trailing slashes."""

from __future__ import annotations

import contextlib
import re

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from aiohttp.typedefs import Handler
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from bridge.web.endpoint_resource import EndpointResource

TEMPLATES = (
    "/",
    "/tests",
    "/results/{token}",
    "/results/{token}.pdf",
    "/results/latest",
    "/callbacks/{invitation_id}/{secret}",
    "/-/calls",
)
WORDS = ("", "/", "tests", "results", "callbacks", "latest", ".pdf", "a.pdf", "-", "calls", "x%2Fy")


async def handle(request: web.Request) -> web.Response:
    """Answers nothing in particular."""
    return web.Response()


def resource() -> EndpointResource:
    """GET at every template, and PUT at callbacks."""
    made = EndpointResource()
    for template in TEMPLATES:
        made.add("GET", template, handle)
    made.add("PUT", "/callbacks/{invitation_id}/{secret}", handle)
    return made


def expected(path: str) -> list[dict[str, str]]:
    """The variables of every template that *path* fits, by patterns."""
    found = []
    for template in TEMPLATES:
        segments = [
            re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(segment))
            for segment in template.strip("/").split("/")
        ]
        if match := re.fullmatch("/+" + "/+".join(segments) + "/*", path):
            named = match.groupdict().items()
            found.append(
                {name: text.replace("%2F", "/").replace("%25", "%") for name, text in named}
            )
    return found


@given(st.lists(st.sampled_from(WORDS) | st.text("ab./%{}é", max_size=3), max_size=6))
async def test_path_fits_its_template(words: list[str]) -> None:
    """Slashes more or less change nothing, and of several templates the first one answers."""
    path = "/" + "/".join(words)
    request = make_mocked_request("GET", "/").clone(rel_url=URL.build(path=path))
    found, _ = await resource().resolve(request)
    fitting = expected(request.rel_url.path_safe)
    assert (found.handler is handle) == bool(fitting)
    assert dict(found) == (fitting[0] if fitting else {})


async def refusal(method: str, path: str) -> web.HTTPException:
    """What an application raises where nothing answers."""
    request = make_mocked_request(method, path)
    found, _ = await resource().resolve(request)
    with pytest.raises(web.HTTPException) as caught:
        await found.handler(request)
    return caught.value


async def test_other_method_is_told_what_is_allowed() -> None:
    """A path that is known by other methods only is 405 and names those; an unknown one is 404."""
    refused = await refusal("POST", "/callbacks//a/b/")
    assert isinstance(refused, web.HTTPMethodNotAllowed)
    assert refused.allowed_methods == {"GET", "PUT"}
    for method, path in (("GET", "/nothing"), ("POST", "/callbacks/a"), ("OPTIONS", "*")):
        assert isinstance(await refusal(method, path), web.HTTPNotFound)


async def test_what_is_around_all_is_around_refusals() -> None:
    """What is put around the endpoints is also around the answers 404 and 405."""
    around: list[str] = []

    def nest(handler: Handler) -> Handler:
        async def noted(request: web.Request) -> web.StreamResponse:
            around.append(request.path)
            return await handler(request)

        return noted

    nested = EndpointResource(nest)
    nested.add("GET", "/tests", handle)
    for path in ("/tests", "/nothing"):
        request = make_mocked_request("GET", path)
        found, _ = await nested.resolve(request)
        with contextlib.suppress(web.HTTPNotFound):
            await found.handler(request)
    assert around == ["/tests", "/nothing"]


async def test_what_cannot_be_looked_up_is_refused() -> None:
    """A template must begin with a word, and have one variable in a segment."""
    for template in ("/{customer}/tests", "/a/{one}{other}", "/a/{one"):
        with pytest.raises(ValueError, match="template"):
            resource().add("GET", template, handle)


async def test_all_routes_are_listed() -> None:
    """An application can list its routes; links are not made of templates."""
    made = resource()
    assert len(made) == len(list(made)) == len(TEMPLATES) + 1
    assert made.raw_match("/results/{token}")
    assert "/tests" in made.get_info()["paths"]
    with pytest.raises(NotImplementedError):
        made.url_for()
    with pytest.raises(NotImplementedError):
        made.add_prefix("/x")
