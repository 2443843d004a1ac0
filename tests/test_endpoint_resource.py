"""Which endpoint answers a path: as if by a pattern that accepts doubled and trailing slashes."""

from __future__ import annotations

import re

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
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
    """Never called."""
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
            found.append(
                {name: text.replace("%2F", "/") for name, text in match.groupdict().items()}
            )
    return found


@given(st.lists(st.sampled_from(WORDS) | st.text("ab./%{}é", max_size=3), max_size=6))
async def test_path_fits_its_template(words: list[str]) -> None:
    """Slashes more or less change nothing, and of several templates the first one answers."""
    path = "/" + "/".join(words)
    request = make_mocked_request("GET", "/").clone(rel_url=URL.build(path=path))
    found, allowed = await resource().resolve(request)
    fitting = expected(request.rel_url.path_safe)
    assert (found is not None) == bool(fitting)
    if found is not None:
        assert dict(found) == fitting[0]
        assert allowed == set()


async def test_other_method_is_told_what_is_allowed() -> None:
    """A path that is known by other methods only names those."""
    found, allowed = await resource().resolve(make_mocked_request("POST", "/callbacks//a/b/"))
    assert found is None
    assert allowed == {"GET", "PUT"}
    assert await resource().resolve(make_mocked_request("GET", "/nothing")) == (None, set())
    assert await resource().resolve(make_mocked_request("OPTIONS", "*")) == (None, set())


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
