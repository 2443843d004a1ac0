from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bridge import app
from bridge.core.customers import Secret
from bridge.errors import ConfigError
from bridge.settings.daemon import (
    LogSettings,
    RedisSettings,
    ReplicaWaitSettings,
)
from bridge.settings.rules import ListenAddress
from bridge.softgarden.settings import AssessmentListFormat, SoftgardenSettings

if TYPE_CHECKING:
    from conftest import Folder

KEY = "A" * 43
BASE = (
    f"public_url: https://b.example\nsigning_keys: ['{KEY}']\nequalture: {{base_url:"
    f" https://e.example}}\n"
)
ComplaintOf = Callable[..., tuple[int, int, str]]


def test_defaults(folder: Folder) -> None:
    """Three keys are enough; all others have the defaults of the interface."""
    settings = folder.load()
    assert settings.public_url == "https://bridge.example.com"
    assert settings.listen == ListenAddress("0.0.0.0", 8080)
    assert settings.admin_listen == ListenAddress("127.0.0.1", 8081)
    assert settings.admin_hosts == ()
    assert settings.redis == RedisSettings(
        None, Path(".data"), "bridge", "warn", ReplicaWaitSettings()
    )
    assert settings.redis.wait == ReplicaWaitSettings(
        replicas=0, timeout=timedelta(milliseconds=500), local_fsync=False
    )
    assert settings.signing_keys == (bytes(32),)
    assert settings.encryption_keys == ()
    assert settings.log == LogSettings("info", "auto")
    assert settings.retention == timedelta(days=365)
    assert settings.softgarden.callback_hosts == ("softgarden.io", "softgarden.de")
    assert settings.softgarden.timeout == timedelta(seconds=15)
    assert len(settings.softgarden.retry) == 11
    assert settings.softgarden.retry[2] == timedelta(minutes=2)
    assert settings.softgarden.tests_format == AssessmentListFormat(
        None, ("testId", "id"), ("name", "testName"), "description", "duration"
    )
    assert settings.equalture.base_url == "https://equalture.example.com"
    assert settings.equalture.timeout == timedelta(seconds=8)
    assert settings.config_dir == folder.path
    assert len(settings.customers) == 0
    assert settings.warnings == (
        (
            "no customers configured; `assessment-bridge customer add NAME` asks what it needs, or"
            " copy customers/example.yaml.sample to customers/<name>.yaml"
        ),
    )


def test_everything(folder: Folder) -> None:
    """Every key is read into its dataclass."""
    key = base64.urlsafe_b64encode(bytes(range(32))).decode()
    folder.environ = {"SECURE": "true", "DURATION": "1ms", "EMPTY": ""}
    folder.bridge(f"""\
        public_url: HTTP://localhost:8080/prefix//
        listen: "[::1]:0"
        admin_listen: bridge-1.internal:9000
        admin_hosts: [Admin.Example.]
        redis:
          url: unix:///run/redis.sock
          data_dir: /var/lib/x
          key_prefix: a.b
          require_durable: off
          wait:
            replicas: 2
            timeout: 1200ms
            local_fsync: ${{SECURE}}
        signing_keys: [{key}, "{KEY}="]
        encryption_keys: ["${{EMPTY}}", {key}]
        log: {{level: debug, format: console}}
        retention: 1d
        equalture:
          base_url: http://[::1]:80/
          token_path: //a//b/
          token_method: get
          timeout: ${{DURATION}}
          link_life: 1s
          poll_every: 2m
          locale: pt-BR
        softgarden:
          callback_hosts: [Soft.Example., 127.0.0.1]
          allow_insecure: ${{SECURE}}
          timeout: 1s
          retry: []
          tests_format: {{wrapper: tests, id_keys: [x], name_key: null,
                         description_key: "${{EMPTY}}", duration_key: ~}}
        """)
    settings = folder.load()
    assert settings.public_url == "http://localhost:8080/prefix"
    assert settings.listen == ListenAddress("::1", 0)
    assert str(settings.listen) == "[::1]:0"
    assert str(settings.admin_listen) == "bridge-1.internal:9000"
    assert settings.admin_hosts == ("admin.example",)
    wait = ReplicaWaitSettings(2, timedelta(milliseconds=1200), True)
    assert settings.redis == RedisSettings(
        Secret("unix:///run/redis.sock"), Path("/var/lib/x"), "a.b", "off", wait
    )
    assert settings.signing_keys == (bytes(range(32)), bytes(32))
    assert settings.encryption_keys == (bytes(range(32)),)
    assert settings.log == LogSettings("debug", "console")
    assert settings.equalture.base_url == "http://[::1]:80"
    assert settings.equalture.token_path == "/a/b/"
    assert settings.equalture.timeout == timedelta(milliseconds=1)
    assert settings.softgarden == SoftgardenSettings(
        ("soft.example", "127.0.0.1"),
        True,
        timedelta(seconds=1),
        (),
        AssessmentListFormat("tests", ("x",), (), None, None),
    )
    assert "allow_insecure" in settings.warnings[0]


def test_sections_may_be_commented_out(folder: Folder) -> None:
    """A section without any key is as one that is left out."""
    folder.bridge(BASE + "redis:\n  # url: x\nlog:\nsoftgarden:\n  tests_format:\n")
    assert folder.load().softgarden == SoftgardenSettings()


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("sofgarden: {}", 5, 1, "unknown key 'sofgarden'; did you mean 'softgarden'?"),
        ("softgarden:\n  call_back_hosts: []", 6, 3, "did you mean 'callback_hosts'?"),
        ("redis: {zzz: 1}", 5, 9, "unknown key; known here: url, data_dir"),
        ("redis: {url_fiel: x}", 5, 9, "did you mean 'url_file'?"),
        ("softgarden: {tests_format: {wraper: x}}", 5, 29, "did you mean 'wrapper'?"),
        ("_schema: 1", 5, 1, "unknown key; known here: public_url"),
        ("'0': 1", 5, 1, "unknown key; known here: public_url"),
        ("public_url: x", 5, 1, "duplicate key 'public_url': it is already in line 1"),
        ("redis: localhost", 5, 8, "redis: expected keys and values"),
        ("log: []", 5, 6, "log: expected keys and values, found a list"),
        (
            "log: {level: trace}",
            5,
            14,
            "expected one of debug, info, warning, error, found the text 'trace'",
        ),
        ("log: {format: JSON}", 5, 15, "did you mean 'json'?"),
        ("log: {format: null}", 5, 15, "found nothing"),
        ("redis: {require_durable: false}", 5, 26, "off, warn, refuse, found false"),
        (
            "redis: {key_prefix: 5}",
            5,
            21,
            "redis.key_prefix: expected text, found the number 5; put it into quotes",
        ),
        ("redis: {key_prefix: '{x}'}", 5, 21, "expected a prefix"),
        ("redis: {data_dir: ''}", 5, 19, "found an empty text"),
        ("redis: {url: 'http://x'}", 5, 14, "redis+sentinel://"),
        ("redis: {url: 'redis:///0'}", 5, 14, "a Redis URL with a host"),
        ("redis: {url: 'unix://host'}", 5, 14, "a Redis URL with a host"),
        ("redis: {wait: 1}", 5, 15, "redis.wait: expected keys and values, found something else"),
        ("redis: {wait: {replica: 1}}", 5, 16, "did you mean 'replicas'?"),
        (
            "redis: {wait: {replicas: -1}}",
            5,
            26,
            "expected a whole number of replicas, at least 0, found the number -1",
        ),
        ("redis: {wait: {timeout: 1201ms}}", 5, 25, "redis.wait.timeout: expected at most 1200ms"),
        ("redis: {wait: {local_fsync: 1}}", 5, 29, "expected true or false"),
        (
            "retention: 365",
            5,
            12,
            "expected a duration such as 30s, 15m or 7d, found the number 365",
        ),
        ("retention: 0d", 5, 12, "longer than zero; found the text '0d'"),
        ("retention: [7d]", 5, 12, "found a list"),
        (
            "softgarden:\n  retry:\n    - 5s\n    - soon",
            8,
            7,
            "softgarden.retry[1]: expected a duration",
        ),
        ("softgarden: {retry: 5s}", 5, 21, "expected a list, found the text '5s'"),
        ("softgarden: {retry: null}", 5, 21, "expected a list, found nothing"),
        (
            "softgarden: {allow_insecure: 'true'}",
            5,
            30,
            "expected true or false, found the text 'true'",
        ),
        (
            "softgarden: {allow_insecure: yes}",
            5,
            30,
            "expected true or false, found the text 'yes'",
        ),
        ("softgarden: {allow_insecure: true}", 5, 30, "public_url is on this machine"),
        (
            "softgarden: {tests_format: {id_keys: [name]}}",
            5,
            28,
            "name_key: the field 'name' is already taken",
        ),
        ("softgarden: {callback_hosts: []}", 5, 30, "at least one host name"),
        ("softgarden: {callback_hosts: ['*.x.io']}", 5, 31, "sub-domains are included"),
        ("softgarden: {callback_hosts: [a.io, 'https://x.io']}", 5, 37, "expected a host name"),
        ("softgarden: {tests_format: {id_keys: []}}", 5, 38, "at least one key"),
        (
            "softgarden: {tests_format: {name_key: id}}",
            5,
            39,
            "name_key: the field 'id' is already taken by id_keys",
        ),
        ("listen: 8080", 5, 9, "expected text, found the number 8080"),
        ("listen: localhost", 5, 9, "expected HOST:PORT"),
        ("listen: localhost:70000", 5, 9, "expected HOST:PORT"),
        ("listen: '[x]:1'", 5, 9, "expected an IPv6 address"),
        ("listen: a:1\nadmin_listen: a:1", 6, 15, "the same address as listen, the text 'a:1'"),
        ("admin_hosts: [http://a]", 5, 15, "expected a host name, without scheme"),
        ("listen: 127.0.0.1:8081", 1, 1, "admin_listen: the same address as listen"),
        ("encryption_keys: [short]", 5, 19, "expected 32 bytes in URL-safe base64"),
        ("encryption_keys: short", 5, 18, "expected a list, found something else"),
    ],
)
def test_complaints(
    complaint_of: ComplaintOf, text: str, line: int, column: int, message: str
) -> None:
    """What is wrong is told at its line and column, with what was expected and what was found."""
    found = complaint_of(bridge=text)
    assert found[:2] == (line, column)
    assert message in found[2]


@pytest.mark.parametrize(
    "url",
    [
        "http://bridge.example.com",
        "ftp://localhost",
        "bridge.example.com",
        "https://",
        "https://x.example?",
        "https://x.example/#a",
        "https://user@x.example",
        "https://x.example:port",
        "https://x.example:99999",
        "https://[::1",
        "https://x example",
        "https://x.example\\n/",
        "https://x/\\\\y",
        "http://127.0.0.1.example.com",
        "https://exa(mple",
    ],
)
def test_wrong_urls(folder: Folder, url: str) -> None:
    """A public URL is https (http on loopback only), without query, fragment and user."""
    folder.bridge(
        f'public_url: "{url}"\nsigning_keys: ["{KEY}"]\nequalture: {{base_url:'
        f" https://e.example}}\n"
    )
    [(line, column, message)] = folder.complaints()
    assert (line, column) == (1, 13)
    assert message.startswith("public_url: expected")


@pytest.mark.parametrize(
    "url", ["http://LOCALHOST", "http://127.9.9.9:1", "http://[::1]:2", "https://x_y.internal:3/a"]
)
def test_right_urls(folder: Folder, url: str) -> None:
    """http is fine on loopback; ports and paths are kept, a final slash is not."""
    folder.bridge(
        f'public_url: "{url}/"\nsigning_keys: ["{KEY}"]\nequalture: {{base_url:'
        f" https://e.example}}\n"
    )
    assert folder.load().public_url == url


def test_missing_keys(folder: Folder) -> None:
    """Missing keys are told at the mapping that lacks them, all at once."""
    folder.bridge("# nothing yet\nequalture:\n  timeout: 1s\n")
    assert folder.complaints() == [
        (2, 1, "the key 'public_url' is missing"),
        (2, 1, "the key 'signing_keys', or 'signing_keys_file' is missing"),
        (3, 3, "the key 'base_url' is missing"),
    ]


def test_unset_signing_key(folder: Folder) -> None:
    """An unset signing key is named, with the way to make one, and nothing else is said about
    it.
    """
    folder.bridge(BASE.replace(f"'{KEY}'", '"${BRIDGE_SIGNING_KEY}"'))
    [(line, column, message)] = folder.complaints()
    assert (line, column) == (2, 16)
    assert "BRIDGE_SIGNING_KEY is not set" in message
    assert "assessment-bridge key new" in message


@pytest.mark.parametrize(
    ("entries", "column", "message"),
    [
        (
            '["${EMPTY}"]',
            15,
            "the environment variable EMPTY is empty; make a key with `assessment-bridge key new`",
        ),
        ('["${UNSET:-}"]', 15, "the environment variable UNSET is empty"),
        ("[]", 15, "expected at least one key, found none"),
        ('["${SHORT}"]', 16, "expected 32 bytes in URL-safe base64"),
        ("[5]", 16, "expected a key, as text, found something else"),
    ],
)
def test_unusable_signing_keys(folder: Folder, entries: str, column: int, message: str) -> None:
    """At least one good signing key is needed, and a bad one is not shown."""
    folder.environ = {"EMPTY": "", "SHORT": "c2hvcnQ"}
    folder.bridge(BASE.replace(f"['{KEY}']", entries))
    [found] = folder.complaints()
    assert found[:2] == (2, column)
    assert message in found[2]
    assert "c2hvcnQ" not in found[2]


def test_all_files_are_told_together(folder: Folder) -> None:
    """Problems of all files come in one error, each with its file."""
    folder.bridge("nonsense: 1\n" + BASE + "retention: x\n")
    folder.customer("softgarden: {}\n", "one")
    folder.customer("]\n", "two")
    with pytest.raises(ConfigError) as caught:
        folder.load()
    names = [Path(complaint.file).name for complaint in caught.value.mistakes]
    assert names.count("bridge.yaml") == 2
    assert names.count("one.yaml") == 3
    assert names.count("two.yaml") == 1


def test_missing_folder(tmp_path: Path) -> None:
    """A missing folder is told with the ways to name another."""
    with pytest.raises(ConfigError, match="--config DIR or BRIDGE_CONFIG"):
        app.CONFIGURATION.load(tmp_path / "nowhere", {})


def test_missing_file(tmp_path: Path) -> None:
    """A missing bridge.yaml is told."""
    with pytest.raises(ConfigError, match=r"bridge\.yaml: cannot be read: No such file"):
        app.CONFIGURATION.load(tmp_path, {})


def test_values_from_the_environment_are_not_shown(folder: Folder) -> None:
    """A wrong value that came from a variable is told by the variable's name."""
    folder.environ = {"X": "hush"}
    folder.bridge(BASE + "log: {level: '${X}'}\nretention: ${X}\nlisten: ${X}\n")
    for _, _, message in folder.complaints():
        assert "${X}" in message
        assert "hush" not in message


def test_secret_files(folder: Folder) -> None:
    """A secret may be in a file, without its final line end; keys are one a line, with comments."""
    folder.environ = {"D": str(folder.path)}
    secret = folder.secret(f"# newest\n{KEY}\n\n  {'B' * 43}=\r\n", 0o640)
    (folder.path / "redis").write_text("redis://:pa@host\n", encoding="utf-8")
    (folder.path / "redis").chmod(0o400)
    folder.bridge(f"""\
        public_url: https://b.example
        signing_keys_file: {secret}
        equalture: {{base_url: "https://e.example"}}
        redis: {{url: "${{NONE:-}}", url_file: "${{D}}/redis"}}
        """)
    settings = folder.load()
    assert len(settings.signing_keys) == 2
    assert settings.redis.url == Secret("redis://:pa@host")


@pytest.mark.parametrize(
    ("content", "mode", "message"),
    [
        ("redis://x", 0o604, "everyone on this machine may read the secret: run chmod o="),
        ("", 0o600, "the file is empty"),
        ("\n", 0o600, "the file is empty"),
        ("redis://x\nredis://y\n", 0o600, "more than one line"),
        ("redis://\x00", 0o600, "control characters"),
        ("x" * 70_000, 0o600, "larger than 64 KiB"),
        ("hush", 0o600, "redis.url: expected a Redis URL"),
    ],
)
def test_unusable_secret_files(folder: Folder, content: str, mode: int, message: str) -> None:
    """What is wrong with a secret file is told where the file is named, without its content."""
    folder.bridge(BASE + f"redis:\n  url_file: {folder.secret(content, mode)}\n")
    [found] = folder.complaints()
    assert found[:2] == (5, 13)
    assert message in found[2]
    assert "hush" not in found[2]


def test_world_readable_through_a_link(folder: Folder) -> None:
    """A symbolic link is judged by the file that it leads to."""
    link = folder.path / "link"
    link.symlink_to(folder.secret("redis://x", 0o644))
    folder.bridge(BASE + f"redis: {{url_file: {link}}}\n")
    assert "chmod" in folder.complaints()[0][2]


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        (
            "redis: {url_file: /usr/nowhere/at/all}",
            19,
            "/usr/nowhere/at/all: the file cannot be read: No such file",
        ),
        (
            "redis: {url_file: /nowhere/at/all}",
            19,
            "the file named here: the file cannot be read: No such file",
        ),
        (
            "redis: {url_file: a-secret}",
            19,
            "the file named here: the file cannot be read: No such file",
        ),
        ("redis: {url_file: /}", 19, "this is not a file"),
        ("redis: {url_file: 5}", 19, "expected the path of a file"),
        ("redis: {url_file: '${UNSET}'}", 19, "UNSET is not set"),
        (
            "redis: {url: 'redis://x', url_file: /x}",
            27,
            "give either 'url' (line 4) or 'url_file', not both",
        ),
        (
            "encryption_keys: [x]\nencryption_keys_file: /x",
            1,
            "give either 'encryption_keys' (line 4)",
        ),
    ],
)
def test_secret_file_complaints(folder: Folder, text: str, column: int, message: str) -> None:
    """Both forms at once, and files that are none, are told once, at the key or the value that is
    to blame.
    """
    folder.bridge(BASE + text)
    [found] = folder.complaints()
    assert found[1] == column
    assert message in found[2]


def test_key_of_a_file_is_told_by_its_line(folder: Folder) -> None:
    """A bad key in a file of keys is told by its line there."""
    secret = folder.secret(f"{KEY}\n\nshort\n")
    folder.bridge(BASE + f"encryption_keys_file: {secret}\n")
    [found] = folder.complaints()
    assert found[:2] == (4, 23)
    assert f"(line 3 of {secret})" in found[2]
