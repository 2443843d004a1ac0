"""Finds the endpoint of a path by its segments, in one step however many endpoints there are:
aiohttp would try one pattern after the other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from aiohttp import web
from aiohttp.typedefs import Handler

_SEGMENT = re.compile(r"([^{}]*)(?:\{(\w+)\}([^{}]*))?")


class EndpointResource(web.AbstractResource):
    """All endpoints of a listener.

    Doubled and trailing slashes do no harm: not every ATS may follow a redirect. A wrong method is
    405 with the right ``Allow``. Of two templates that a path fits the first one is taken. *nest*
    puts around a handler what is around all of them, also around what answers 404 and 405.
    """

    def __init__(self, nest: Callable[[Handler], Handler] = lambda handler: handler) -> None:
        super().__init__()
        self._nest = nest
        self._templates: dict[str, _PathTemplate] = {}
        self._alike: dict[tuple[int, str], list[_PathTemplate]] = {}
        """By the number of segments and the beginning of the first one."""
        self._plain: dict[str, list[_Match]] = {}
        """What is found for paths without variables, as they are mostly written."""

    def add(self, method: str, path: str, handler: Handler) -> None:
        """*handler* answers *method* at paths like *path*, such as ``/results/{token}``.

        A segment has one variable at most, and the first one has none.
        """
        template = self._templates.get(path)
        if template is None:
            template = self._templates[path] = _PathTemplate(path)
            self._alike.setdefault(template.alike, []).append(template)
            self._plain = {}
            self._plain = {one: self._find(one) for one in self._templates if "{" not in one}
        template.routes[method] = self._route(method, handler)

    async def resolve(self, request: web.Request) -> tuple[web.UrlMappingMatchInfo, set[str]]:
        """The endpoint for *request*; where there is none, what refuses it."""
        path = request.rel_url.path_safe
        allowed: set[str] = set()
        for template, variables in self._plain.get(path) or self._find(path):
            route = template.routes.get(request.method)
            if route is not None:
                return web.UrlMappingMatchInfo(variables, route), allowed
            allowed |= template.routes.keys()

        async def refuse(request: web.Request) -> NoReturn:
            if allowed:
                raise web.HTTPMethodNotAllowed(request.method, allowed)
            raise web.HTTPNotFound

        return web.UrlMappingMatchInfo({}, self._route("*", refuse)), allowed

    def _route(self, method: str, handler: Handler) -> web.ResourceRoute:
        return web.ResourceRoute(method, self._nest(handler), self)

    def _find(self, path: str) -> list[_Match]:
        if not path.startswith("/"):
            return []
        segments = _split(path)
        found = []
        for template in self._alike.get((len(segments), segments[0] if segments else ""), ()):
            variables = template.match(segments)
            if variables is not None:
                found.append((template, variables))
        return found

    @property
    def canonical(self) -> str:
        """It answers at every path for which it has an endpoint."""
        return "/"

    def get_info(self) -> Any:
        """The templates."""
        return {"paths": list(self._templates)}

    def raw_match(self, path: str) -> bool:
        """Whether *path* is one of the templates."""
        return path in self._templates

    def url_for(self, **kwargs: str) -> NoReturn:
        """Links are made elsewhere."""
        raise NotImplementedError

    def add_prefix(self, prefix: str) -> NoReturn:
        """A listener is no part of another application."""
        raise NotImplementedError

    def __len__(self) -> int:
        return sum(len(template.routes) for template in self._templates.values())

    def __iter__(self) -> Iterator[web.AbstractRoute]:
        return (
            route for template in self._templates.values() for route in template.routes.values()
        )


class _PathTemplate:
    """Segments, each with its beginning, its variable if it has one, and its end."""

    def __init__(self, path: str) -> None:
        matches = [_SEGMENT.fullmatch(segment) for segment in _split(path)]
        segments = [
            (match[1], match[2] or "", match[3] or "") for match in matches if match is not None
        ]
        if None in matches or (segments and segments[0][1]):
            msg = f"not a template that can be looked up: {path}"
            raise ValueError(msg)
        self.alike = (len(segments), segments[0][0] if segments else "")
        numbered = list(enumerate(segments))
        self._words = [(place, word) for place, (word, name, _) in numbered if place and not name]
        self._variables = [(place, parts) for place, parts in numbered if parts[1]]
        self.routes: dict[str, web.ResourceRoute] = {}

    def match(self, segments: list[str]) -> dict[str, str] | None:
        """The variables in *segments*, which are ``alike``; None: they do not fit."""
        for place, word in self._words:
            if segments[place] != word:
                return None
        variables = {}
        for place, (begin, name, end) in self._variables:
            value = segments[place]
            if begin or end:
                if not (value.startswith(begin) and value.endswith(end)):
                    return None
                value = value[len(begin) : len(value) - len(end)]
                if not value:
                    return None
            if "%" in value:
                # aiohttp leaves these two encoded, so that a slash in a value divides nothing.
                value = value.replace("%2F", "/").replace("%25", "%")
            variables[name] = value
        return variables


_Match = tuple[_PathTemplate, dict[str, str]]


def _split(path: str) -> list[str]:
    segments = path.split("/")
    return [segment for segment in segments if segment] if "" in segments[1:] else segments[1:]
