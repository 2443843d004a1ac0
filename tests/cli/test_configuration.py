"""Commands about the configuration: ``config show``, ``config schema``, ``tests``, and that none of
them tells a secret.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from bridge import app
from bridge.configuration import KINDS
from bridge.core import customers
from bridge.core.assessment import Job
from bridge.core.customers import AssessmentMappingEntry
from bridge.core.declaration import declared_settings
from bridge.errors import ConfigError
from bridge.sandbox import EqualtureSandbox
from bridge.service.assessments import ComparedJob, JobVisibility, compare_jobs_with_mapping

SHIPPED = Path(__file__).parents[2] / "config"
KEY = "A" * 43
DAEMON: dict[str, Any] = {
    "public_url": "https://bridge.example.com",
    "signing_keys": [KEY],
    "equalture": {"base_url": "https://equalture.example.com"},
}
CUSTOMER: dict[str, Any] = {
    "softgarden": {"tokens_sha256": ["a" * 64], "client_id": "10"},
    "equalture": {"client_id": "acme", "client_secret": "hush"},
}


def run(*arguments: object, **environ: str) -> subprocess.CompletedProcess[str]:
    """The command as administrators run it."""
    return subprocess.run(
        [sys.executable, "-m", "bridge", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(SHIPPED.parent), **environ},
    )


@dataclass
class Folder:
    """A configuration folder that is valid until a test changes it."""

    path: Path
    daemon: dict[str, Any] = field(default_factory=lambda: json.loads(json.dumps(DAEMON)))
    customer: dict[str, Any] = field(default_factory=lambda: json.loads(json.dumps(CUSTOMER)))

    def write(self) -> Path:
        (self.path / "customers").mkdir(exist_ok=True)
        (self.path / "bridge.yaml").write_text(yaml.safe_dump(self.daemon), "utf-8")
        (self.path / "customers" / "acme.yaml").write_text(yaml.safe_dump(self.customer), "utf-8")
        return self.path

    def secret(self, name: str, text: str, mode: int = 0o600) -> str:
        file = self.path / name
        file.write_text(text, "utf-8")
        file.chmod(mode)
        return str(file)


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


# ------------------------------------------------------------ config show


def test_show_is_what_is_in_force(folder: Folder) -> None:
    """``config show`` gives defaults and customers merged, as YAML, and with --json the same as
    JSON.
    """
    folder.daemon["equalture"]["timeout"] = "7s"
    folder.customer["equalture"]["locale"] = "nl"
    config = folder.write()
    shown = run("config", "show", "--config", config)
    assert shown.returncode == 0, shown.stderr
    as_json = run("config", "show", "--json", "--config", config)
    data = json.loads(as_json.stdout)
    assert data == yaml.safe_load(shown.stdout)
    assert data["retention"] == "365d"
    acme = data["customers"]["acme"]["equalture"]
    assert (acme["timeout"], acme["locale"], acme["client_secret"]) == ("7s", "nl", "***")


def test_show_of_a_wrong_configuration(folder: Folder) -> None:
    """A configuration that cannot be used is exit code 2 and told by file, line and column."""
    folder.daemon["log"] = {"level": "loud"}
    shown = run("config", "show", "--config", folder.write())
    assert shown.returncode == 2
    assert "bridge.yaml:" in shown.stderr
    assert shown.stdout == ""


# ------------------------------------------------------------ secrets


CANARY = "CaNaRy"
KEYS = [base64.urlsafe_b64encode(f"{CANARY}-{number:>25}".encode()).decode() for number in range(3)]
WEBHOOK = "whsec_" + base64.b64encode(f"{CANARY} in a webhook secret".encode()).decode()
REDIS = f"redis://user:{CANARY}-1@redis.example:6379/0"
SECRET_TEXTS = [CANARY, *KEYS, *(key.rstrip("=") for key in KEYS), WEBHOOK.removeprefix("whsec_")]
"""All forms in which one of the marked secrets could show up."""


def canaries_in(text: str) -> list[str]:
    return [word for word in SECRET_TEXTS if word in text]


def complaints(config: Path, **environ: str) -> str:
    """What ``check`` prints about a configuration that is refused."""
    with pytest.raises(ConfigError) as caught:
        app.CONFIGURATION.load(config, environ)
    return str(caught.value)


def test_no_secret_is_shown_wherever_it_comes_from(folder: Folder) -> None:
    """Secrets in the files, in the environment and in files of their own are in no output of a
    valid configuration.
    """
    credentials = folder.path / "credentials"
    credentials.mkdir()
    for name, text in (("encryption-keys", f"{KEYS[1]}\n{KEYS[2]}\n"), ("client", f"{CANARY}-2\n")):
        (credentials / name).write_text(text, "utf-8")
        (credentials / name).chmod(0o440)
    folder.daemon |= {
        "signing_keys": ["${SIGNING_KEY}"],
        "encryption_keys_file": "${CREDENTIALS_DIRECTORY}/encryption-keys",
        "redis": {"url_file": folder.secret("redis-url", REDIS)},
    }
    folder.customer["equalture"] = {
        "client_id": "acme",
        "client_secret_file": "${CREDENTIALS_DIRECTORY}/client",
        "callback_token": f"{CANARY}-3",
        "webhook_secret": "${WEBHOOK:-}",
    }
    environ = {
        "SIGNING_KEY": KEYS[0],
        "CREDENTIALS_DIRECTORY": str(credentials),
        "WEBHOOK": WEBHOOK,
    }
    config = folder.write()
    settings = app.CONFIGURATION.load(config, environ)
    assert len(settings.encryption_keys) == 2
    acme = settings.customers.get("acme")
    assert acme is not None
    assert (acme.provider.client_secret.reveal(), settings.redis.url.reveal()) == (
        f"{CANARY}-2",
        REDIS,
    )  # type: ignore[union-attr]
    printed = repr(settings) + str(settings) + repr(list(settings.customers)) + repr(acme.provider)
    for arguments in (("config", "show"), ("config", "show", "--json"), ("check",)):
        done = run(*arguments, "--config", config, **environ)
        assert done.returncode == 0, done.stderr
        printed += done.stdout + done.stderr
    assert canaries_in(printed) == []
    assert printed.count("***") > 10


@pytest.mark.parametrize(
    ("daemon", "equalture"),
    [
        ({"signing_keys": f"{CANARY}"}, {}),
        ({"signing_keys": [f"{CANARY}", KEYS[0] + "x", KEYS[0][:-3]]}, {}),
        ({"signing_keys": [["nested", CANARY], {CANARY: 1}]}, {}),
        ({"encryption_keys": {"newest": CANARY}}, {}),
        ({"redis": {"url": f"http://user:{CANARY}@host"}}, {}),
        ({"redis": {"url": f"redis://user:{CANARY} x@host"}}, {}),
        ({"redis": f"redis://user:{CANARY}@host"}, {}),
        ({"redis": {"uri": f"redis://user:{CANARY}@host"}}, {}),
        ({"public_url": f"https://user:{CANARY}@bridge.example.com"}, {}),
        ({"public_url": f"https://bridge.example.com/?token={CANARY}"}, {}),
        ({"equalture": {"base_url": f"https://user:{CANARY}@equalture.example.com"}}, {}),
        ({}, {"client_secret": f"{CANARY}\nx"}),
        ({}, {"client_secret": [CANARY]}),
        ({}, {"client_secret": {"value": CANARY}}),
        ({}, {"client_secert": CANARY}),
        ({}, {"client_secret": f"{CANARY}-${{UNSET}}"}),
        ({}, {"callback_token": f"{CANARY} with blanks"}),
        ({}, {"webhook_secret": f"whsec_{CANARY}"}),
        ({}, {"webhook_secret": CANARY}),
        ({}, {"client_secret": "${SECRET}\u0001"}),
    ],
)
def test_no_complaint_repeats_a_secret(
    folder: Folder, daemon: dict[str, Any], equalture: dict[str, Any]
) -> None:
    """However wrong a secret is, and wherever it was put by mistake, what is wrong is said without
    repeating it.
    """
    folder.daemon |= daemon
    folder.customer["equalture"] |= equalture
    assert canaries_in(complaints(folder.write(), SECRET=CANARY)) == []


def test_check_prints_complaints_and_nothing_else(folder: Folder) -> None:
    """``check`` prints the complaints, each with its place, without a traceback, and exits with
    2.
    """
    folder.customer["equalture"]["client_secret"] = [CANARY]
    config = folder.write()
    done = run("check", "--config", config)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"{complaints(config)}  [wrong-value]\n")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "line",
    [
        f"*{CANARY}",
        f"&{CANARY}",
        f"!{CANARY} x",
        f"'{CANARY}",
        f'"{CANARY}\\q"',
        f"{{{CANARY}",
        f"%{CANARY}",
        f"@{CANARY}",
        f"|{CANARY}",
        f"{CANARY}: x: y",
    ],
)
def test_no_complaint_about_yaml_repeats_a_secret(folder: Folder, line: str) -> None:
    """A secret that YAML takes for something else, since it is not in quotes, is not repeated
    either.
    """
    config = folder.write()
    file = config / "customers" / "acme.yaml"
    file.write_text(
        file.read_text("utf-8").replace("client_secret: hush", f"client_secret: {line}"), "utf-8"
    )
    assert canaries_in(complaints(config)) == []


@pytest.mark.parametrize(
    ("given", "content", "mode", "words"),
    [
        ({"client_secret": "hush", "client_secret_file": "FILE"}, "hush", 0o600, "not both"),
        ({"client_secret": ""}, "", 0o600, "found an empty text"),
        ({"client_secret": "${EMPTY}"}, "", 0o600, "(from ${EMPTY})"),
        ({"client_secret": None}, "", 0o600, "found nothing"),
        ({"client_secret_file": "FILE"}, "\n", 0o600, "the file is empty"),
        ({"client_secret_file": "FILE"}, "hush", 0o644, "chmod o="),
        ({"client_secret_file": "${CREDENTIALS_DIRECTORY}/FILE"}, "hush", 0o604, "chmod o="),
        ({"client_secret_file": "${CREDENTIALS_DIRECTORY}/nothing"}, "", 0o600, "No such file"),
        ({"client_secret_file": "${UNSET}/x"}, "", 0o600, "UNSET is not set"),
        ({}, "", 0o600, "the key 'client_secret', or 'client_secret_file' is missing"),
    ],
)
def test_unusable_secrets_are_refused(
    folder: Folder, given: dict[str, Any], content: str, mode: int, words: str
) -> None:
    """Both forms at once, no secret at all, and a file that everyone may read are refused, told
    with their place.
    """
    file = folder.secret("file", content, mode)
    text = json.dumps(given).replace(
        "${CREDENTIALS_DIRECTORY}/FILE", "${CREDENTIALS_DIRECTORY}/file"
    )
    folder.customer["equalture"] = {"client_id": "acme", **json.loads(text.replace("FILE", file))}
    environ = {"EMPTY": "", "CREDENTIALS_DIRECTORY": str(folder.path)}
    text = complaints(folder.write(), **environ)
    assert words in text
    assert "acme.yaml:" in text
    assert "hush" not in text


# ------------------------------------------------------------ config schema


@pytest.fixture(name="schema", scope="module")
def _schema() -> Mapping[str, Any]:
    done = run("config", "schema")
    assert done.returncode == 0
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def errors(schema: Mapping[str, Any], which: str, data: object) -> list[str]:
    return [error.message for error in Draft202012Validator(schema[which]).iter_errors(data)]


def test_schema_is_one_document(schema: Mapping[str, Any]) -> None:
    """``config schema`` prints both schemas, each valid by itself in draft 2020-12; --json prints
    the same on one line.
    """
    assert list(schema) == ["bridge", "customer"]
    for one in schema.values():
        assert one["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        Draft202012Validator.check_schema(one)
    short = run("config", "schema", "--json", "--config", "/nowhere")
    assert (
        json.loads(short.stdout)
        == schema
        == {kind: app.CONFIGURATION.schema(kind) for kind in KINDS}
    )
    assert short.stdout.count("\n") == 1
    for which in KINDS:
        assert json.loads(run("config", "schema", which).stdout) == schema[which]
    assert run("config", "schema", "daemon").returncode == 2


def test_shipped_files_fit_the_schema(schema: Mapping[str, Any]) -> None:
    """The files in config/ fit, as they are and with everything that they keep in comments."""
    for which, name in (("bridge", "bridge.yaml"), ("customer", "customers/example.yaml.sample")):
        text = (SHIPPED / name).read_text("utf-8")
        assert errors(schema, which, yaml.safe_load(text)) == []
    customer = yaml.safe_load((SHIPPED / "customers/example.yaml.sample").read_text("utf-8"))
    item = {
        "id": "engineer",
        "job_id": "0b8f",
        "name": "Engineer",
        "description": "Games",
        "duration": 30,
    }
    customer["tests"]["items"] = [item]
    assert errors(schema, "customer", customer) == []


def test_schema_knows_every_key_and_no_other(schema: Mapping[str, Any]) -> None:
    """Every key of the effective configuration is known with its default, and every section refuses
    unknown ones.
    """
    known = set(schema["bridge"]["properties"])
    assert known - set(declared_settings(app.CONFIGURATION.types["bridge"])) == {
        "signing_keys_file",
        "encryption_keys_file",
        "proxy_file",
    }
    assert known >= set(declared_settings(app.CONFIGURATION.types["bridge"]))
    assert schema["bridge"]["properties"]["retention"]["default"] == "365d"
    assert schema["bridge"]["properties"]["redis"]["properties"]["url_file"]
    assert schema["customer"]["properties"]["test_url"]["default"] == "direct"

    def sections(one: object) -> list[dict[str, Any]]:
        match one:
            case dict():
                below = [section for inner in one.values() for section in sections(inner)]
                return [one, *below] if "additionalProperties" in one else below
            case list():
                return [section for inner in one for section in sections(inner)]
            case _:
                return []

    found = sections(dict(schema))
    assert len(found) > 10
    assert {section["additionalProperties"] for section in found} == {False}


GOOD: list[tuple[str, dict[str, Any]]] = [
    ("bridge", {}),
    (
        "bridge",
        {"listen": "${LISTEN}", "retention": "${R:-7d}", "softgarden": {"allow_insecure": "${A}"}},
    ),
    ("bridge", {"log": None, "redis": None, "softgarden": {"tests_format": None}}),
    ("bridge", {"redis": {"url": None}, "encryption_keys": ["${OLD:-}", ""]}),
    ("bridge", {"redis": {"url": "${U:-}", "url_file": "/x"}}),
    ("bridge", {"signing_keys": ["${A}", KEY, KEY + "="]}),
    ("customer", {}),
    (
        "customer",
        {
            "results": {"score": None},
            "tests": {"items": [{"id": "a", "job_id": "b", "duration": None}]},
        },
    ),
    ("customer", {"hire": {"enabled": True, "tokens_sha256": ["${DIGEST}"]}}),
    (
        "customer",
        {
            "equalture": {
                "client_id": "a",
                "client_secret_file": "${CREDENTIALS_DIRECTORY}/a",
                "timeout": "1s",
            }
        },
    ),
]
BAD: list[tuple[str, dict[str, Any]]] = [
    ("bridge", {"retension": "1d"}),
    ("bridge", {"public_url": 5}),
    ("bridge", {"public_url": ""}),
    ("bridge", {"signing_keys": []}),
    ("bridge", {"signing_keys": ["short"]}),
    ("bridge", {"signing_keys_file": "/x"}),
    ("bridge", {"retention": "1 day"}),
    ("bridge", {"retention": None}),
    ("bridge", {"log": {"level": "loud"}}),
    ("bridge", {"log": {"levle": "info"}}),
    ("bridge", {"equalture": None}),
    ("bridge", {"equalture": {}}),
    ("bridge", {"redis": {"url": "redis://x", "url_file": "/x"}}),
    ("bridge", {"softgarden": {"allow_insecure": "yes"}}),
    ("bridge", {"softgarden": {"callback_hosts": []}}),
    ("bridge", {"softgarden": {"retry": "5s"}}),
    ("customer", {"equalture": {"client_id": "a"}}),
    ("customer", {"softgarden": {"client_id": "10"}}),
    ("customer", {"softgarden": {"tokens_sha256": ["token"], "client_id": "10"}}),
    ("customer", {"softgarden": {"tokens_sha256": ["a" * 64], "client_id": 10}}),
    ("customer", {"tests": {"items": [{"id": "a"}]}}),
    ("customer", {"tests": {"items": [{"id": "a", "job_id": "b", "duration": 0}]}}),
    ("customer", {"results": {"share": "true"}}),
]


@pytest.mark.parametrize(("which", "changes"), GOOD)
def test_schema_takes_what_the_bridge_takes(
    schema: Mapping[str, Any], folder: Folder, which: str, changes: dict[str, Any]
) -> None:
    """What the bridge reads (references, empty sections, either form of a secret) is no mistake in
    an editor.
    """
    document = folder.daemon if which == "bridge" else folder.customer
    document |= changes
    assert errors(schema, which, document) == []
    secret = folder.secret("a", "hush" if which == "customer" else "redis://x")
    environ = {
        "LISTEN": "[::1]:1",
        "R": "",
        "A": "false",
        "DIGEST": "b" * 64,
        "U": "",
        "CREDENTIALS_DIRECTORY": ".",
    }
    text = json.dumps([folder.daemon, folder.customer]).replace('"/x"', json.dumps(secret))
    folder.daemon, folder.customer = json.loads(text)
    environ |= {"CREDENTIALS_DIRECTORY": str(folder.path)}
    if which == "bridge" and "${A}" in str(changes.get("signing_keys")):
        environ["A"] = KEY
    app.CONFIGURATION.load(folder.write(), environ)


@pytest.mark.parametrize(("which", "changes"), BAD)
def test_schema_refuses_what_the_bridge_refuses(
    schema: Mapping[str, Any], folder: Folder, which: str, changes: dict[str, Any]
) -> None:
    """Misspelt keys, wrong types and words, and missing or doubled secrets are marked in an editor,
    too.
    """
    document = folder.daemon if which == "bridge" else folder.customer
    document |= changes
    assert errors(schema, which, document) != []
    assert complaints(folder.write())


# ------------------------------------------------------------ tests


JOBS = [Job("j1", "Assessment - Sales"), Job("j2", "Assessment - [Support]"), Job("j3", "Boss")]
MAPPING = customers.AssessmentMapping(
    (
        AssessmentMappingEntry("sales", "j1", "Sales test"),
        AssessmentMappingEntry("lost", "j9"),
        AssessmentMappingEntry("gone", "j8", "Gone"),
    ),
    hidden=frozenset({"j3", "j7"}),
)


def test_every_job_is_compared_with_the_mapping() -> None:
    """Mapped, unmapped, hidden and unlisted jobs each get a line that says what becomes of them."""
    assert compare_jobs_with_mapping(JOBS, MAPPING) == (
        ComparedJob("sales", "j1", "Sales test", JobVisibility.OFFERED),
        ComparedJob("j2", "j2", "Assessment - [Support]", JobVisibility.OFFERED),
        ComparedJob(None, "j3", "Boss", JobVisibility.HIDDEN),
        ComparedJob("lost", "j9", "", JobVisibility.NOT_LISTED),
        ComparedJob("gone", "j8", "Gone", JobVisibility.NOT_LISTED),
        ComparedJob(None, "j7", "", JobVisibility.NOT_LISTED),
    )
    only = compare_jobs_with_mapping(
        JOBS[:2], customers.AssessmentMapping(MAPPING.items[:1], publish_unmapped=False)
    )
    assert [(line.job_id, line.publication) for line in only] == [
        ("j1", "offered"),
        ("j2", "not mapped"),
    ]


async def test_tests_shows_jobs_beside_the_mapping(folder: Folder) -> None:
    """``tests CUSTOMER`` asks Equalture and prints a table, or JSON; Equalture away and an unknown
    customer are exit code 1.
    """
    async with EqualtureSandbox() as equalture:
        equalture.add_account("acme", "hush", [(job.id, job.name) for job in JOBS])
        folder.daemon["equalture"]["base_url"] = equalture.base_url
        folder.customer["tests"] = {
            "items": [
                {"id": "sales", "job_id": "j1", "name": "Sales test"},
                {"id": "lost", "job_id": "j9"},
            ],
            "hidden": ["j3"],
        }
        config = folder.write()
        as_json = await asyncio.to_thread(run, "tests", "acme", "--json", "--config", config)
        table = await asyncio.to_thread(run, "tests", "acme", "--config", config)
    assert as_json.returncode == 0, as_json.stderr
    rows = json.loads(as_json.stdout)
    assert rows[0] == {"test": "sales", "job": "j1", "name": "Sales test", "status": "offered"}
    assert [row["status"] for row in rows] == ["offered", "offered", "hidden", "not listed"]
    assert table.returncode == 0
    for word in ("sales", "[Support]", "hidden", "not listed"):
        assert word in table.stdout
    away = await asyncio.to_thread(run, "tests", "acme", "--config", config)
    assert away.returncode == 1
    assert "Failed: equalture" in away.stderr
    strange = await asyncio.to_thread(run, "tests", "acne", "--config", config)
    assert strange.returncode == 1
    assert "did you mean 'acme'?" in strange.stderr
