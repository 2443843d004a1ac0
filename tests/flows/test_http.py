"""The public listener as any HTTP client sees it: errors, authentication, slashes, methods, ids,
documents.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from bridge.sandbox import BridgeReply
from tests.flows.conftest import Bridge

INVITE = "/softgarden/invitations"
ORDER = {
    "testId": "engineer",
    "candidate": {
        "id": "a-1",
        "firstName": "Ada",
        "lastName": "Muster",
        "email": "ada.muster@example.org",
    },
    "callback": "http://127.0.0.1:9/x",
}
SECURED = [
    ("GET", "/softgarden/tests"),
    ("POST", INVITE),
    ("GET", "/softgarden/results/iv_0" + "A" * 24),
    ("DELETE", f"{INVITE}/iv_0" + "A" * 24),
]


def changed(path: str, value: object = ...) -> dict[str, Any]:
    """The order with one field changed; without a value, taken out."""
    order = json.loads(json.dumps(ORDER))
    *parents, name = path.split(".")
    inner = order
    for parent in parents:
        inner = inner[parent]
    inner.pop(name)
    if value is not ...:
        inner[name] = value
    return order


async def post(bridge: Bridge, body: object, **headers: str) -> BridgeReply:
    """An invite with any body; bytes are sent as they are."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {
        "Authorization": f"Bearer {bridge.acme.token}",
        "Content-Type": "application/json",
        **headers,
    }
    return await bridge.ask("POST", INVITE, data=data, headers=sent)


def problem(reply: BridgeReply, status: int, code: str) -> dict[str, Any]:
    """The problem in an answer, complete and as expected."""
    assert reply.headers["Content-Type"] == "application/problem+json"
    found: dict[str, Any] = reply.json
    assert (reply.status, found["status"], found["code"]) == (status, status, code)
    assert all(isinstance(found[name], str) and found[name] for name in ("type", "title", "detail"))
    fields = found.get("errors", {})
    assert ((status == 400), "" in fields) == (bool(fields), False)
    return found


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (changed("testId"), "testId"),
        (changed("testId", ""), "testId"),
        (changed("testId", 7.5), "testId"),
        (changed("testId", True), "testId"),
        (changed("testId", "x" * 201), "testId"),
        (changed("testId", "a\x00b"), "testId"),
        (changed("candidate"), "candidate"),
        (changed("candidate", None), "candidate"),
        (changed("candidate", []), "candidate"),
        (changed("candidate.id"), "candidate.id"),
        (changed("candidate.id", "   "), "candidate.id"),
        (changed("candidate.email"), "candidate.email"),
        (changed("candidate.email", "no address"), "candidate.email"),
        (changed("candidate.email", None), "candidate.email"),
        (changed("candidate.firstName", 1), "candidate.firstName"),
        (changed("candidate.lastName", "x" * 1001), "candidate.lastName"),
        (changed("callback"), "callback"),
        (changed("callback", ""), "callback"),
        (changed("callback", {}), "callback"),
    ],
)
async def test_wrong_field_is_named(bridge: Bridge, body: object, field: str) -> None:
    """A body with a wrong field is 400 that names the field, and nothing is made."""
    found = problem(await post(bridge, body), 400, "invalid_request")
    assert list(found["errors"]) == [field]
    assert all(isinstance(text, str) for text in found["errors"][field])
    assert bridge.equalture.calls("create") == []


async def test_every_wrong_field_is_named_at_once(bridge: Bridge) -> None:
    """Several wrong fields are all named in one answer."""
    found = problem(await post(bridge, {"candidate": {}}), 400, "invalid_request")
    assert sorted(found["errors"]) == ["callback", "candidate.email", "candidate.id", "testId"]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'"x"', b"null", b"1e999", b"\xff", b'{"testId": "\\ud800"}', b"[" * 5000],
    ids=repr,
)
async def test_no_json_object_is_400(bridge: Bridge, body: bytes) -> None:
    """A body that is no JSON object is 400 with a problem."""
    problem(await post(bridge, body), 400, "invalid_request")


async def test_wrong_media_type_is_400(bridge: Bridge) -> None:
    """A form instead of JSON is 400 that says what to send."""
    reply = await post(
        bridge, b"testId=engineer", **{"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert "Content-Type" in problem(reply, 400, "invalid_request")["errors"]


@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
async def test_large_body_is_413(bridge: Bridge, chunked: bool) -> None:
    """A body of more than 64 KiB is 413, whether its length is announced or not."""
    body = json.dumps(changed("testId", "x" * 70_000)).encode()

    async def parts() -> Any:
        for start in range(0, len(body), 8192):
            yield body[start : start + 8192]

    headers = {"Authorization": f"Bearer {bridge.acme.token}", "Content-Type": "application/json"}
    reply = await bridge.ask("POST", INVITE, data=parts() if chunked else body, headers=headers)
    problem(reply, 413, "body_too_large")


@pytest.mark.parametrize(("method", "path"), SECURED)
async def test_no_valid_token_is_401(bridge: Bridge, method: str, path: str) -> None:
    """Every endpoint of softgarden's answers 401 without exactly one valid bearer token."""
    good = bridge.acme.token
    bad = [
        "",
        "Bearer",
        "Bearer ",
        f"Bearer {good}x",
        f"Bearer {good[:-1]}",
        f"Basic {good}",
        good,
        f"Bearer {good} {good}",
    ]
    for value in bad:
        headers = {"Authorization": value} if value else {}
        found = problem(await bridge.ask(method, path, headers=headers), 401, "unauthorized")
        assert good not in json.dumps(found)
    reply = await bridge.ask(method, path)
    assert reply.headers["WWW-Authenticate"].startswith("Bearer")
    assert (
        await bridge.ask(method, path, headers={"Authorization": f"bearer   {good}"})
    ).status != 401


async def test_slashes_do_no_harm(bridge: Bridge) -> None:
    """A trailing slash, a doubled slash and an unknown query in a configured path do no harm."""
    headers = {"Authorization": f"Bearer {bridge.acme.token}"}
    for path in (
        "/softgarden/tests/",
        "//softgarden/tests",
        "/softgarden//tests//",
        "/softgarden/tests?tenant=1",
    ):
        assert (await bridge.ask("GET", path, headers=headers)).status == 200
    order = changed("callback", bridge.softgarden.callback_url("acme"))
    invited = await bridge.ask("POST", f"/{INVITE}/", json=order, headers=headers)
    assert invited.status == 200
    an_id = invited.json["invitationId"]
    for path in (
        f"/softgarden/results//{an_id}",
        f"/softgarden/results/{an_id}/",
        f"/softgarden/results/{an_id}?x=y",
    ):
        assert (await bridge.ask("GET", path, headers=headers)).status == 200
    callback = bridge.callback_of(bridge.created()).replace("/equalture/", "//equalture//") + "/"
    assert (await bridge.ask("PUT", callback, json={})).status == 200
    assert (await bridge.ask("DELETE", f"{INVITE}//{an_id}/", headers=headers)).status == 204


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/softgarden/tests", {"GET", "HEAD"}),
        ("GET", INVITE, {"POST"}),
        ("PUT", INVITE, {"POST"}),
        ("POST", "/softgarden/results/x", {"GET", "HEAD"}),
        ("GET", f"{INVITE}/x", {"DELETE"}),
        ("POST", "/equalture/callbacks/x/y", {"PUT"}),
        ("DELETE", "/start/x", {"GET", "HEAD", "POST"}),
        ("POST", "/livez", {"GET", "HEAD"}),
        ("PATCH", "/readyz", {"GET", "HEAD"}),
    ],
)
async def test_wrong_method_is_405(
    bridge: Bridge, method: str, path: str, allowed: set[str]
) -> None:
    """A wrong method is 405 with the right ones in Allow."""
    reply = await bridge.ask(method, path)
    problem(reply, 405, "method_not_allowed")
    assert {name.strip() for name in reply.headers["Allow"].split(",")} == allowed


async def test_unknown_path_is_404(bridge: Bridge) -> None:
    """A path that does not exist is 404 with a problem, and admin paths do not exist on the public
    listener.
    """
    for path in (
        "/",
        "/nonsense",
        "/softgarden",
        "/metrics",
        "/-/reload",
        "/softgarden/tests/x",
        "/%2e%2e/etc/passwd",
    ):
        problem(await bridge.ask("GET", path), 404, "not_found")


async def test_request_id(bridge: Bridge) -> None:
    """Every answer has X-Request-ID: the caller's when it is sane, else a fresh one; errors and
    pages too.
    """
    for path in ("/livez", "/softgarden/tests", "/nonsense", "/results/x", "/openapi.json"):
        assert (await bridge.ask("GET", path, headers={"X-Request-ID": "abc-123"})).headers[
            "X-Request-ID"
        ] == "abc-123"
    seen = set()
    for given in ("", "with blank", "x" * 129, "<script>", "ä"):
        reply = await bridge.ask("GET", "/livez", headers={"X-Request-ID": given})
        seen.add(reply.headers["X-Request-ID"])
        assert reply.headers["X-Request-ID"] != given
    assert len(seen) == 5


async def test_health(bridge: Bridge) -> None:
    """A bridge at work is alive and ready, on both listeners."""
    for base in (bridge.url, bridge.admin_url):
        for path in ("/livez", "/readyz"):
            reply = await bridge.ask("GET", base + path)
            assert (reply.status, reply.json) == (200, {"status": "ok"})
    bridge.runtime.state.draining = True
    found = problem(await bridge.ask("GET", "/readyz"), 503, "not_ready")
    page, _, anchor = found["type"].partition("#")
    assert f'id="{anchor}"' in (await bridge.ask("GET", page)).text


def references(value: object) -> list[str]:
    """Every ``$ref`` in a document."""
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [ref for inner in value.values() for ref in references(inner)]
    return [ref for inner in value for ref in references(inner)] if isinstance(value, list) else []


async def test_openapi_document(bridge: Bridge) -> None:
    """The OpenAPI document is whole: version 3.1, every reference resolves, every operation has
    answers and parameters.
    """
    reply = await bridge.ask("GET", "/openapi.json")
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json")
    document = reply.json
    assert document["openapi"].startswith("3.1")
    assert document["servers"] == [{"url": bridge.url}]
    assert {"title", "version"} <= set(document["info"])
    for reference in references(document):
        place: Any = document
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]
        assert isinstance(place, dict)
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert operation["responses"]
            assert all(answer["description"] for answer in operation["responses"].values())
            named = [one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"]
            assert sorted(named) == sorted(
                part[1:].partition("}")[0] for part in path.split("/") if part[:1] == "{"
            )
    promised = {
        "/softgarden/tests": {"get"},
        INVITE: {"post"},
        f"{INVITE}/{{invitation_id}}": {"delete"},
        "/softgarden/results/{invitation_id}": {"get"},
        "/equalture/callbacks/{invitation_id}/{secret}": {"put"},
        "/share/{token}": {"get"},
        "/start/{token}": {"get", "post"},
    }
    assert {path: set(document["paths"][path]) for path in promised} == promised


async def test_docs_page(bridge: Bridge) -> None:
    """The docs page is HTML, names every path of the document, and loads nothing from elsewhere."""
    page = await bridge.ask("GET", "/docs")
    assert (page.status, page.headers["Content-Type"].split(";")[0]) == (200, "text/html")
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    paths = (await bridge.ask("GET", "/openapi.json")).json["paths"]
    assert [path for path in paths if path not in page.text] == []
    assert "<script" not in page.text


async def test_pages_are_private(bridge: Bridge) -> None:
    """A page behind a secret link is neither cached nor indexed, leaks no referrer and cannot be
    framed.
    """
    invited = await bridge.globex.invite("job-3")
    view = await bridge.globex.read_results(invited.json["invitationId"])
    for url in (invited.json["testUrl"], view.json["result"]["resultUrl"]):
        headers = (await bridge.ask("GET", url)).headers
        assert headers["Cache-Control"] == "no-store"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "noindex" in headers["X-Robots-Tag"]
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


async def test_pages_speak_german(bridge: Bridge) -> None:
    """A page for a German browser is in German."""
    headers = {"Accept-Language": "de-AT,de;q=0.9,en;q=0.5"}
    page = await bridge.ask("GET", "/share/nonsense", headers=headers)
    assert (page.status, 'lang="de"' in page.text, "Hier ist nichts" in page.text) == (
        404,
        True,
        True,
    )
