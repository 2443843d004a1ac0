"""However a secret is mistyped, and wherever it was put: what is wrong is said without repeating a
piece of it.
"""

from __future__ import annotations

import base64
import re
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cli.test_commands import Said, run

PIECE = "CaNaRy"
"""Every piece of every secret holds this, so that a single one that is repeated shows."""
SIGNS = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ \t\né²\u2028"

pieces = st.integers(0, 9).map(lambda number: f"{PIECE}{number}")
signs = st.text(SIGNS, max_size=3)
secrets = st.lists(st.tuples(signs, pieces), min_size=1, max_size=4).flatmap(
    lambda parts: signs.map(lambda end: "".join(sign + piece for sign, piece in parts) + end)
)
schemes = st.sampled_from(
    [
        *("redis", "rediss", "unix", "redis+sentinel", "redis+cluster", "http", "Redis", ""),
        *("redis:", "redis:/"),
    ]
)
urls = st.one_of(
    st.builds("{}://user:{}@host:6379/0".format, schemes, secrets),
    st.builds("{}://:{}@host".format, schemes, secrets),
    st.builds("{}://{}@host1:1,host2:2/main/0?tls=true".format, schemes, secrets),
    st.builds("{}://host/main?sentinel_password={}".format, schemes, secrets),
    st.builds("{}://host:{}/0".format, schemes, secrets),
    st.builds("{}://[{}]/0".format, schemes, secrets),
    st.builds("{}://{}".format, schemes, secrets),
    secrets,
)
STYLES = (
    "{}",
    '"{}"',
    "'{}'",
    "[{}]",
    "{{{}}}",
    "|\n    {}",
    ">-\n    {}",
    "!{}",
    "&{}",
    "*{}",
    "\n    {}",
    "? {}",
)


BRIDGE = (
    'public_url: http://127.0.0.1:8080\nlisten: 127.0.0.1:0\nadmin_listen: "127.0.0.1:0"\n'
    "signing_keys: {signing_keys}\n{encryption_keys}redis: {redis}\n"
    "equalture: {{base_url: http://127.0.0.1:1}}\n"
)
ACME = (
    'softgarden: {{tokens_sha256: {tokens}, client_id: "10"}}\n'
    "equalture:\n  client_id: acme\n  {client_secret}\n  {callback_token}\n  {webhook_secret}\n"
)
FLOW = "softgarden: {{tokens_sha256: {tokens}, client_id: '10'}}\n{flow}"
USUAL = {
    "signing_keys": f"[{'A' * 43}]",
    "encryption_keys": "",
    "redis": "{url: redis://127.0.0.1:1/0}",
    "tokens": f"[{'a' * 64}]",
    "client_secret": "client_secret: hush",
    "callback_token": "callback_token: null",
    "webhook_secret": "webhook_secret: null",
    "flow": "",
}
HOLES = {
    "signing_keys": ("[{}]", "{}"),
    "encryption_keys": (
        "encryption_keys: [{}]\n",
        "encryption_keys: {}\n",
        "encryption_keys_file: {}\n",
    ),
    "redis": ("{{url: {}}}", "\n  url: {}\n", "{{url_file: {}}}", "{}"),
    "tokens": ("[{}]", "{}"),
    "client_secret": ("client_secret: {}", "client_secret_file: {}", "client_secert: {}", "{}"),
    "callback_token": ("callback_token: {}", "callback_token_file: {}"),
    "webhook_secret": ("webhook_secret: {}", "webhook_secret: whsec_{}"),
    "flow": ("equalture: {{client_id: acme, client_secret: {}, locale: de}}\n",),
}
"""Where a secret may stand, and how it may be put there."""


def write(folder: Path, hole: str, how: str, written: str) -> None:
    """A configuration that is right but for what is *written* in one place."""
    values = USUAL | {hole: how.format(written)}
    customer = FLOW if hole == "flow" else ACME
    (folder / "customers").mkdir(parents=True, exist_ok=True)
    (folder / "bridge.yaml").write_text(BRIDGE.format(**values), "utf-8")
    (folder / "customers" / "acme.yaml").write_text(customer.format(**values), "utf-8")


holes = st.sampled_from([(hole, how) for hole, ways in HOLES.items() for how in ways])


def commands(folder: Path) -> list[Said]:
    """What an administrator tries.

    (``serve`` is refused by a wrong configuration as ``check`` is; see below.)
    """
    known = {"VALUE": "x"}
    return [
        run("check", "--config", folder, **known),
        run("config", "show", "--config", folder, **known),
        run("config", "show", "--json", "--config", folder, **known),
        run("healthcheck", "--config", folder, **known),
        run("tests", "acne", "--config", folder, **known),
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mistyped")


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(hole=holes, value=secrets | urls, style=st.sampled_from(STYLES))
def test_nothing_is_repeated(folder: Path, hole: tuple[str, str], value: str, style: str) -> None:
    """No output of a command has a piece of a secret, whatever it is, however it is quoted and
    wherever it stands.
    """
    write(folder, *hole, style.format(value))
    for said in commands(folder):
        assert said.code in (0, 1, 2)
        assert PIECE not in said.out + said.err, said
        assert "Traceback" not in said.err


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(value=urls)
def test_no_url_is_repeated(folder: Path, value: str) -> None:
    """Nor from a Redis URL, where it is written as YAML wants it, so that it is the URL alone that
    is wrong.
    """
    write(
        folder,
        "redis",
        "{{url: {}}}",
        '"' + re.sub(r'(["\\])', r"\\\1", value).replace("\n", "\\n") + '"',
    )
    for said in commands(folder):
        assert PIECE not in said.out + said.err, said
        assert "Traceback" not in said.err


@pytest.mark.parametrize(
    "url",
    [
        f"redis://user:{PIECE}/x@host:6379/0",
        f"redis://user:{PIECE}#x@host:6379/0",
        f"redis://user:{PIECE}?x@host:6379/0",
        f"redis://host:{PIECE}",
        f"redis://host/{PIECE}",
        f"redis://host?{PIECE}",
        f"redis://host?{PIECE}=1",
        f"redis://user:[{PIECE}]@host",
        f"redis://user:{PIECE}]@host",
        f"redis://[{PIECE}]/0",
        f"redis://user:{PIECE}℀@host",
        f"rediss://host?ca={PIECE}",
        f"rediss://host?ca=/{PIECE}",
        f"redis+sentinel://host:{PIECE},other/main",
        f"redis+cluster://user:{PIECE}:x@a:1,b:{PIECE}",
        f"http://user:{PIECE}@host",
    ],
)
@pytest.mark.parametrize(
    "command", [("check",), ("serve",), ("serve", "--workers", "2"), ("dead", "list")], ids=" ".join
)
def test_wrong_urls(tmp_path: Path, url: str, command: tuple[str, ...]) -> None:
    """The URLs that urllib quotes piece by piece are refused by every command with 2, and none of
    them quotes them.
    """
    write(tmp_path, "redis", "{{url: {}}}", f'"{url}"')
    said = run(*command, "--config", tmp_path)
    assert said.code == 2
    assert "redis.url" in said.err
    assert PIECE not in said.out + said.err


def test_secrets_of_the_wrong_kind(tmp_path: Path) -> None:
    """A secret in the place of its file, and pieces of one that commas part, are told by position
    only.
    """
    key = base64.urlsafe_b64encode(f"{PIECE} as a key of 32 bytes!!!!".encode()).decode()
    for how, value in (
        ("client_secret_file: {}", PIECE),
        ("client_secret_file: {}", f"/{PIECE}"),
        ("client_secret_file: {}", f"{PIECE}/{PIECE}=="),
        ("client_secret_file: {}", PIECE * 100),
        ("client_secret: {}", f"!{PIECE}"),
        ("client_secret: {}", f"!{PIECE}! x"),
        ("client_secret: {}", f"!<{PIECE}> x"),
        ("client_secret: {}", f"%{PIECE}"),
        ("client_secret: {}", f"{PIECE}: {PIECE}"),
    ):
        write(tmp_path, "client_secret", how, value)
        said = run("check", "--config", tmp_path)
        assert (said.code, PIECE in said.err) == (2, False), said.err
        assert re.search(r"acme\.yaml:\d+:\d+: ", said.err)
    write(tmp_path, "flow", HOLES["flow"][0], f"hush,{PIECE},{PIECE}")
    said = run("check", "--config", tmp_path)
    assert (said.code, PIECE in said.err, "acme.yaml:2:" in said.err) == (2, False, True)
    write(tmp_path, "signing_keys", "{}", key)
    assert key not in run("check", "--config", tmp_path).err
    shutil.rmtree(tmp_path)
