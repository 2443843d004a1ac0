from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bridge import app
from bridge.core.customers import (
    AssessmentMapping,
    AssessmentMappingEntry,
    Customer,
    HirePolicy,
    ResultPolicy,
    Secret,
)
from bridge.equalture.settings import EqualtureAccount, TokenMethod
from bridge.errors import ConfigError, CustomerSetAside
from bridge.settings.masking import mask_settings
from bridge.softgarden.settings import SoftgardenAccount

if TYPE_CHECKING:
    from conftest import Folder

BRIDGE = (
    f"public_url: https://b.example\nsigning_keys: [{'A' * 43}]\nequalture: {{base_url:"
    f" https://e.example}}\n"
)
SHIPPED = Path(__file__).parents[2] / "config"
DIGEST = hashlib.sha256(b"token").hexdigest()
WEBHOOK = "whsec_" + base64.b64encode(bytes(32)).decode()
SHORT = f"""\
softgarden: {{tokens_sha256: [{DIGEST}], client_id: "10"}}
equalture: {{client_id: acme, client_secret: hush}}
"""
ComplaintOf = Callable[..., tuple[int, int, str]]


def test_defaults(folder: Folder) -> None:
    """Two sections are enough; the rest are the defaults, and Equalture's are the daemon's."""
    folder.customer(SHORT)
    settings = folder.load()
    assert settings.warnings == ()
    assert list(settings.customers) == [
        Customer(
            key="acme",
            ats=SoftgardenAccount((DIGEST,), "10"),
            provider=EqualtureAccount(
                base_url="https://equalture.example.com",
                client_id="acme",
                client_secret=Secret("hush"),
            ),
            tests=AssessmentMapping(),
            results=ResultPolicy(),
            hire=HirePolicy(),
            test_url="direct",
        )
    ]
    assert settings.customers.by_token("token") is settings.customers.get("acme")


def test_everything(folder: Folder) -> None:
    """Every key is read into its dataclass, and the customer's own lie over the daemon's
    defaults.
    """
    folder.environ = {"TOKEN": "tok", "EMPTY": "", "MINUTES": "45"}
    folder.bridge("""\
        public_url: https://b.example
        signing_keys: [AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA]
        equalture: {base_url: https://e.example, timeout: 3s, locale: nl}
        """)
    folder.customer(f"""\
        softgarden:
          tokens_sha256: [{DIGEST.upper()}, {"b" * 64}]
          client_id: "10"
        equalture:
          client_id: acme
          client_secret_file: {folder.secret("from a file")}
          callback_token: "${{TOKEN:-}}"
          webhook_secret: {WEBHOOK}
          locale: de
          token_method: post
          base_url: http://127.0.0.1:8090/
        tests:
          publish_unmapped: false
          items:
            - {{id: engineer, job_id: j1, name: Engineer, description: null, duration: 30}}
            - id: sales
              job_id: j2
              description: "two\\nlines"
              duration: ${{MINUTES}}
            - {{id: x, job_id: j3, name: null, duration: null}}
          hidden: [j4, j5]
        test_url: landing
        results: {{score: "${{EMPTY}}", result_url: dashboard, share: false,
                  share_fallback: true, report: false,
                  after_completed: same}}
        hire: {{enabled: true, tokens_sha256: [{"c" * 64}], id_field: candidate.id,
               add_to_team: false}}
        """)
    customer = folder.load().customers.get("acme")
    assert customer == Customer(
        key="acme",
        ats=SoftgardenAccount((DIGEST, "b" * 64), "10"),
        provider=EqualtureAccount(
            base_url="http://127.0.0.1:8090",
            client_id="acme",
            client_secret=Secret("from a file"),
            token_method=TokenMethod.POST,
            timeout=timedelta(seconds=3),
            locale="de",
            callback_token=Secret("tok"),
            webhook_secret=Secret(WEBHOOK),
        ),
        tests=AssessmentMapping(
            (
                AssessmentMappingEntry("engineer", "j1", "Engineer", "", 30),
                AssessmentMappingEntry("sales", "j2", None, "two\nlines", 45),
                AssessmentMappingEntry("x", "j3"),
            ),
            False,
            frozenset({"j4", "j5"}),
        ),
        results=ResultPolicy((), "dashboard", False, True, False, "same"),
        hire=HirePolicy(True, ("c" * 64,), "candidate.id", False),
        test_url="landing",
    )


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("'{fit}'", ("{fit}",)),
        ("['{fit} {average}', '{traits}']", ("{fit} {average}", "{traits}")),
        ("null", ()),
        ("''", ()),
        ("[]", ()),
        ('"${NOT_SET:-}"', ()),
    ],
)
def test_score_is_one_pattern_or_several(
    folder: Folder, written: str, expected: tuple[str, ...]
) -> None:
    """A score may be given as one pattern or as a list of them; null and an empty text mean
    none.
    """
    folder.customer(SHORT + f"\nresults: {{score: {written}}}\n")
    customer = folder.load().customers.get("acme")
    assert customer is not None
    assert expected == customer.results.score


def test_score_that_is_not_given_is_the_default(folder: Folder) -> None:
    """Where other keys of the section are given, the score keeps its default."""
    folder.customer(SHORT + "\nresults: {share: false}\n")
    customer = folder.load().customers.get("acme")
    assert customer is not None
    assert ResultPolicy(share=False) == customer.results


def test_empty_optional_secrets_are_none(folder: Folder) -> None:
    """An empty callback token or webhook secret, as ${NAME:-} gives it, is none."""
    folder.customer(SHORT.replace("hush}", 'hush, callback_token: "${A:-}", webhook_secret: ""}'))
    customer = folder.load().customers.get("acme")
    assert customer is not None
    assert customer.provider.callback_token is None
    assert customer.provider.webhook_secret is None


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("test: {}", 7, 1, "unknown key 'test'; did you mean 'tests'?"),
        ("tests:\n  items:\n    - {id: a, jobid: b, job_id: j}", 9, 15, "did you mean 'job_id'?"),
        ("tests:\n  items:\n    - id: a", 9, 7, "the key 'job_id' is missing"),
        (
            "tests: {items: [{id: '', job_id: j}]}",
            7,
            22,
            "tests.items[0].id: expected text, found an empty text",
        ),
        ("tests: {items: [{id: 5, job_id: j}]}", 7, 22, "found the number 5; put it into quotes"),
        ("tests: {items: [x]}", 7, 17, "tests.items[0]: expected keys and values"),
        ("tests: {items: {}}", 7, 16, "tests.items: expected a list, found keys and values"),
        (
            "tests:\n  items:\n  - {id: a, job_id: j}\n  - {id: a, job_id: k}",
            10,
            10,
            "id 'a' is used twice, first in line 9",
        ),
        (
            "tests:\n  items:\n  - {id: a, job_id: j}\n  - {id: b, job_id: j}",
            10,
            21,
            "job_id 'j' is used twice",
        ),
        (
            "tests:\n  hidden: [j]\n  items:\n  - {id: a, job_id: j}",
            10,
            21,
            "mapped here and hidden in line 8",
        ),
        (
            "tests: {items: [{id: a, job_id: j, duration: 0}]}",
            7,
            46,
            "a whole number of minutes, at least 1, or null",
        ),
        ("tests: {items: [{id: a, job_id: j, duration: true}]}", 7, 46, "found true"),
        ("tests: {items: [{id: a, job_id: j, duration: 1.5}]}", 7, 46, "found the number 1.5"),
        ("tests: {items: [{id: a, job_id: j, duration: 30m}]}", 7, 46, "found the text '30m'"),
        ("tests: {publish_unmapped: 1}", 7, 27, "expected true or false, found the number 1"),
        ("results: {score: '{fitt}'}", 7, 18, "did you mean 'fit'?"),
        ("results: {score: '{}'}", 7, 18, "its fields are fit, fit_label, in_range"),
        ("results: {score: '{0}'}", 7, 18, "its fields are"),
        ("results: {score: '{fit.real}'}", 7, 18, "its fields are"),
        ("results: {score: '{fit[0]}'}", 7, 18, "its fields are"),
        ("results: {score: '{fit:>10}'}", 7, 18, "as it is"),
        ("results: {score: '{fit!r}'}", 7, 18, "as it is"),
        ("results: {score: '{fit'}", 7, 18, "braces do not match"),
        ("results: {score: 7}", 7, 18, "found the number 7; put it into quotes"),
        ("results: {score: {fit: 1}}", 7, 18, "expected text, found keys and values"),
        ("results: {score: ['{fit}', '{fitt}']}", 7, 28, "did you mean 'fit'?"),
        ("results: {score: ['{fit}', '']}", 7, 28, "found an empty text"),
        ("results: {result_url: bridge}", 7, 23, "one of report, dashboard"),
        ("results: {after_completed: old}", 7, 28, "one of new, same"),
        ("test_url: https://x", 7, 11, "one of direct, landing"),
        ("hire: {enabled: true}", 7, 17, "hire.tokens_sha256 has no digest"),
        ("hire: {id_field: a..b}", 7, 18, "the name of a field"),
        (f"hire: {{tokens_sha256: [{'A' * 64}]}}", 7, 24, "acme.yaml, line 2"),
        ("hire: {tokens_sha256: [the-token-itself]}", 7, 24, "not the token itself"),
    ],
)
def test_complaints(
    complaint_of: ComplaintOf, text: str, line: int, column: int, message: str
) -> None:
    """What is wrong is told at its line and column."""
    found = complaint_of(acme=text)
    assert found[:2] == (line, column)
    assert message in found[2]
    assert "the-token-itself" not in found[2]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("hush", "''", "expected a secret, as text, found an empty text"),
        ("hush", '"${EMPTY}"', "found an empty text (from ${EMPTY})"),
        (
            "hush",
            "12345678",
            "expected a secret, as text, found something else; put it into quotes",
        ),
        ("hush", "[hidden]", "found a list"),
        (
            "hush}",
            "hush, webhook_secret: whsec_hidden}",
            "expected whsec_ and then base64 of 24 to 64 bytes",
        ),
        ("hush}", f"hush, webhook_secret: {WEBHOOK[6:]}}}", "expected whsec_"),
        ("hush}", f"hush, webhook_secret: '{WEBHOOK} '}}", "expected whsec_"),
        ("hush}", "hush, callback_token: 'hidden hidden'}", "without blanks"),
        ("acme", "ac:me", "no colon"),
        ('"10"', "10", "found the number 10; put it into quotes"),
        (f"[{DIGEST}]", "[]", "at least one digest of a token"),
        (f"[{DIGEST}]", "[hidden]", "expected the SHA-256 of a token"),
        (f"[{DIGEST}]", f"[{DIGEST}, {DIGEST}]", "line 1; every token belongs to one customer"),
        ("client_secret: hush", "", "the key 'client_secret', or 'client_secret_file' is missing"),
    ],
)
def test_credentials(folder: Folder, old: str, new: str, message: str) -> None:
    """Wrong credentials are told without being shown."""
    folder.environ = {"EMPTY": ""}
    folder.customer(SHORT.replace(old, new))
    [found] = folder.complaints()
    assert message in found[2]
    assert "hidden" not in found[2]
    assert "12345678" not in found[2]


def test_one_token_for_two_customers(folder: Folder) -> None:
    """A digest in two files is told in both, each naming the other with its line, and neither
    customer is served.
    """
    first = folder.customer(SHORT, "a")
    second = folder.customer("# comment\n" + SHORT, "b")
    folder.customer(SHORT.replace(DIGEST, "c" * 64), "c")
    words = (
        "the digest of this token is also used in {}, line {}; every token belongs to one customer"
    )
    assert folder.complaints() == [
        (1, 30, words.format(second, 2)),
        (2, 30, words.format(first, 1)),
    ]
    usable = app.CONFIGURATION.load(folder.path, {}, strict=False).customers
    assert ([one.key for one in usable], set(usable.set_aside)) == (["c"], {"a", "b"})


def test_broken_customers_are_set_aside(folder: Folder) -> None:
    """Whatever is wrong with one customer's file, the others can be used; all of it is told, and
    its tokens are known if they can be read at all.
    """
    for key in "abcdefgh":
        digest = hashlib.sha256(key.encode()).hexdigest()
        folder.customer(SHORT.replace(DIGEST, digest), key)
    a, b, c, d, e, f, g, h = (folder.path / "customers" / f"{key}.yaml" for key in "abcdefgh")
    a.write_text(a.read_text() + "tset_url: direct\nresults: {share: 1}\n")
    b.write_text(b.read_text().replace("hush", "'${UNSET}'"))
    c.write_text("}" + c.read_text())
    d.write_text(d.read_text().replace("client_secret", "client_secret_file"))
    e.rename(e.with_stem("E"))
    f.unlink()
    f.mkdir()
    g.write_bytes(b"# \xff\n" + g.read_bytes())
    with pytest.raises(ConfigError) as caught:
        folder.load()
    usable = app.CONFIGURATION.load(folder.path, {}, strict=False).customers
    assert [one.key for one in usable] == ["h"]
    assert usable.get("h") == usable.by_token("h")
    assert h.exists()
    assert sorted(usable.set_aside) == ["E", "a", "b", "c", "d", "f", "g"]
    assert [(one.line, one.column) for one in usable.set_aside["a"].mistakes] == [(3, 1), (4, 18)]
    assert usable.list_mistakes() == list(caught.value.mistakes)
    for key in "abcdeg":
        with pytest.raises(CustomerSetAside):
            usable.by_token(key)
    assert usable.by_token("f") is None


def test_a_pipe_is_set_aside(folder: Folder) -> None:
    """A pipe in the folder, which would keep the daemon waiting for a writer, is one customer's
    broken file.
    """
    folder.customer(SHORT)
    os.mkfifo(folder.path / "customers" / "globex.yaml")
    before = signal.signal(signal.SIGALRM, lambda *_: pytest.fail("it waits for a writer"))
    signal.alarm(10)
    try:
        loaded = app.CONFIGURATION.load(folder.path, {}, strict=False)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert [one.key for one in loaded.customers] == ["acme"]
    assert "it is not a file" in str(loaded.customers.set_aside["globex"].mistakes[0])


def test_a_file_for_all_concerns_all(folder: Folder) -> None:
    """A mistake in bridge.yaml, or a folder of customers that cannot be listed, is nobody's
    alone.
    """
    folder.customer(SHORT)
    folder.bridge("retention: soon\n")
    with pytest.raises(ConfigError, match=r"bridge\.yaml"):
        app.CONFIGURATION.load(folder.path, {}, strict=False)
    folder.bridge(BRIDGE)
    shutil.rmtree(folder.path / "customers")
    assert len(app.CONFIGURATION.load(folder.path, {}, strict=False).customers) == 0
    (folder.path / "customers").write_text("not a folder")
    with pytest.raises(ConfigError, match="cannot be read"):
        app.CONFIGURATION.load(folder.path, {}, strict=False)


def test_without_signing_keys(folder: Folder) -> None:
    """Who makes no links needs no signing key, and is not stopped by a wrong one; all other keys
    are judged as ever.
    """
    for keys in (
        "",
        "signing_keys: ['${UNSET}']\n",
        "signing_keys: 5\n",
        "signing_keys_file: /nowhere\n",
    ):
        folder.bridge(
            "public_url: https://b.example\nequalture: {base_url: https://e.example}\n" + keys
        )
        assert (
            app.CONFIGURATION.load(folder.path, {}, signing=False, strict=False).signing_keys == ()
        )
        with pytest.raises(ConfigError):
            app.CONFIGURATION.load(folder.path, {}, strict=False)
    folder.bridge(
        "public_url: https://b.example\nequalture: {base_url: x}\nencryption_keys: ['${UNSET}']\n"
    )
    with pytest.raises(ConfigError) as caught:
        app.CONFIGURATION.load(folder.path, {}, signing=False, strict=False)
    assert len(caught.value.mistakes) == 2


def test_hiring(folder: Folder) -> None:
    """Who switches hiring on hears nothing of it."""
    folder.customer(SHORT + f"hire: {{enabled: true, tokens_sha256: [{'c' * 64}]}}\n")
    settings = folder.load()
    assert settings.warnings == ()
    assert [customer.hire.enabled for customer in settings.customers] == [True]


@pytest.mark.parametrize(
    ("name", "mode", "words"),
    [
        ("bridge.yaml", 0o620, ["others than its owner may change it: run chmod go-w"]),
        ("bridge.yaml", 0o602, ["may change it"]),
        (
            "bridge.yaml",
            0o604,
            ["everyone on this machine may read it, and it holds a secret: run chmod o="],
        ),
        ("bridge.yaml", 0o640, []),
        ("customers/acme.yaml", 0o664, ["may change it", "everyone on this machine may read it"]),
        ("customers/acme.yaml", 0o600, []),
        ("customers", 0o775, ["may change it"]),
        ("customers", 0o755, []),
        (".", 0o777, ["may change it"]),
        ("secret", 0o620, ["others may change this secret: run chmod go-w"]),
    ],
)
def test_who_else_may_write_or_read(folder: Folder, name: str, mode: int, words: list[str]) -> None:
    """Files and folders that others may write, or read while they hold a secret, are warned of,
    with what to do.
    """
    secret = folder.secret("tok")
    folder.customer(SHORT.replace("hush}", f"hush, callback_token_file: {secret}}}"))
    folder.path.chmod(0o755)
    (folder.path / "customers").chmod(0o755)
    (folder.path / name).chmod(mode)
    warnings = folder.load().warnings
    assert len(warnings) == len(words)
    for warning, word in zip(warnings, words, strict=True):
        assert word in warning
        assert warning.startswith(f"{folder.path / name}: ")
        assert "hush" not in warning


@pytest.mark.parametrize(
    ("secret", "held"),
    [
        ("hush", True),
        ("${X}", False),
        ("${X:-hush}", False),
        ("${UNSET:-hush}", True),
        ("a${X}", False),
    ],
)
def test_what_counts_as_a_secret_in_a_file(folder: Folder, secret: str, held: bool) -> None:
    """A secret that comes from the environment is not in the file; a default that is used is."""
    folder.environ = {"X": "hush"}
    file = folder.customer(SHORT.replace("client_secret: hush", f'client_secret: "{secret}"'))
    file.chmod(0o644)
    assert bool(folder.load().warnings) is held


@pytest.mark.parametrize("key", ["Acme", "-a", "a.b", "ä", "a" * 64])
def test_wrong_keys(folder: Folder, key: str) -> None:
    """The file's name must do as a customer's key."""
    folder.customer(SHORT, key)
    assert "the name of the file is the customer's key" in folder.complaints()[0][2]


def test_other_files_are_left_alone(folder: Folder) -> None:
    """Hidden files and samples are not read; a .yml is not either, but is told."""
    customers = folder.customer(SHORT).parent
    for name in (".#acme.yaml", ".acme.yaml.swp", "notes.txt", "b.yaml.sample", "c.yml"):
        (customers / name).write_text("]", encoding="utf-8")
    settings = folder.load()
    assert [customer.key for customer in settings.customers] == ["acme"]
    assert settings.warnings == (f"{customers / 'c.yml'} is not read: its name must end in .yaml",)


def test_customers_alone(folder: Folder) -> None:
    """For a reload the customers can be read alone, with the defaults in force."""
    folder.customer(SHORT)
    settings = folder.load()
    folder.bridge("]")
    directory, warnings = app.CONFIGURATION.load_customers(settings, {})
    assert list(directory) == list(settings.customers)
    assert warnings == ()


def test_masked(folder: Folder) -> None:
    """The effective configuration is plain data without any secret."""
    folder.customer(SHORT.replace("hush}", "hush, callback_token: hush}"))
    shown = mask_settings(folder.load())
    text = json.dumps(shown)
    assert "hush" not in text
    assert "AAAA" not in text
    assert shown["signing_keys"] == ["***"]
    assert shown["listen"] == "0.0.0.0:8080"
    assert shown["redis"]["url"] is None
    assert shown["redis"]["wait"] == {"replicas": 0, "timeout": "500ms", "local_fsync": False}
    assert shown["softgarden"]["retry"][:2] == ["5s", "30s"]
    assert shown["customers"]["acme"]["equalture"]["client_secret"] == "***"
    assert shown["customers"]["acme"]["equalture"]["callback_token"] == "***"
    assert shown["customers"]["acme"]["equalture"]["webhook_secret"] is None
    assert shown["customers"]["acme"]["tests"]["hidden"] == []


def test_secrets_do_not_show_themselves(folder: Folder) -> None:
    """Printing the settings shows neither secrets nor keys."""
    folder.customer(SHORT)
    settings = folder.load()
    text = repr(settings) + repr(list(settings.customers))
    assert "hush" not in text
    assert repr(settings.signing_keys[0]) not in text


def test_shipped_files(tmp_path: Path) -> None:
    """The files in config/ work with a signing key alone, the sample once its placeholders are
    filled in, and not before.
    """
    shutil.copytree(
        SHIPPED, tmp_path / "config", ignore=lambda _, names: [n for n in names if n == "acme.yaml"]
    )
    for other in (tmp_path / "config" / "customers").glob("*.yaml"):
        other.unlink()
    environ = {"BRIDGE_SIGNING_KEY": base64.urlsafe_b64encode(os.urandom(32)).decode()}
    before = app.CONFIGURATION.load(tmp_path / "config", environ)
    assert len(before.customers) == 0
    assert before.redis.url is None
    sample = tmp_path / "config" / "customers" / "example.yaml.sample"
    sample.rename(sample.with_name("acme.yaml"))
    with pytest.raises(ConfigError) as caught:
        app.CONFIGURATION.load(tmp_path / "config", environ)
    assert [one.message.partition(": ")[2][:33] for one in caught.value.mistakes] == [
        "this is the sample's placeholder;"
    ] * 2
    text = sample.with_name("acme.yaml").read_text("utf-8").replace("0" * 64, DIGEST)
    sample.with_name("acme.yaml").write_text(text, "utf-8")
    after = app.CONFIGURATION.load(tmp_path / "config", environ | {"ACME_EQUALTURE_SECRET": "hush"})
    assert [customer.key for customer in after.customers] == ["acme"]


def test_shipped_files_show_the_defaults(folder: Folder) -> None:
    """Every value in the shipped bridge.yaml is the default that holds without it."""
    shutil.copy(SHIPPED / "bridge.yaml", folder.path / "shipped.yaml")
    bare = mask_settings(folder.load())
    folder.environ = {"BRIDGE_SIGNING_KEY": "A" * 43}
    shutil.copy(SHIPPED / "bridge.yaml", folder.path / "bridge.yaml")
    shipped = mask_settings(folder.load())
    shipped["public_url"] = bare["public_url"]
    shipped["equalture"]["base_url"] = bare["equalture"]["base_url"]
    assert shipped == bare
