"""What is deployed: the build context holds no secret, and the unit says what the code does."""

from __future__ import annotations

import configparser
import re
from fnmatch import fnmatch

from bridge import connection_limits
from tests.install.test_environment import ROOT


def sent(path: str) -> bool:
    """Is this file sent to whoever builds the image?

    The last rule of .dockerignore that fits decides.
    """
    kept = True
    for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines():
        rule = line.strip()
        if not rule or rule.startswith("#"):
            continue
        pattern = rule.removeprefix("!").removeprefix("**/")
        parts = path.split("/")
        prefixes = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
        if any(fnmatch(prefix, pattern) for prefix in prefixes) or (
            rule.startswith("**/") and any(fnmatch(part, pattern) for part in parts)
        ):
            kept = rule.startswith("!")
    return kept


def test_build_context_is_closed() -> None:
    """No secret, no data and no history is sent to whoever builds the image; what the image is made
    of, is.
    """
    for path in (
        *(
            ".env",
            ".git/config",
            ".data/appendonly.aof",
            ".venv/bin/python",
            "secrets/key",
            "config/.env",
        ),
        *(
            "config/customers/acme.yaml",
            "config/signing-keys",
            "tests/fakes.py",
            "deploy/other.pem",
        ),
        *("bridge/__pycache__/app.pyc", "dump.rdb", "id_rsa"),
    ):
        assert not sent(path), path
    copied = re.findall(
        r"^COPY (?!--)(.+) \S+$", (ROOT / "deploy/Containerfile").read_text("utf-8"), re.MULTILINE
    )
    names = [name for line in copied for name in line.split()]
    assert {"bridge", "setup.cfg", "deploy/requirements/run.txt"} <= set(names)
    for name in names:
        files = list((ROOT / name).rglob("*.*")) if (ROOT / name).is_dir() else [ROOT / name]
        assert any(sent(str(file.relative_to(ROOT))) for file in files), name


def unit() -> configparser.ConfigParser:
    read = configparser.ConfigParser(strict=False, interpolation=None)
    read.optionxform = str  # type: ignore[assignment,method-assign]
    read.read(ROOT / "deploy" / "assessment-bridge.service")
    return read


def test_unit_has_limits() -> None:
    """The unit bounds memory, core dumps, files and the network; the number of callers in it is the
    code's.
    """
    service = unit()["Service"]
    assert service["LimitCORE"] == "0"
    assert service["MemoryMax"]
    assert "10.0.0.0/8" in service["IPAddressDeny"].split()
    files = int(service["LimitNOFILE"])
    text = (ROOT / "deploy" / "assessment-bridge.service").read_text("utf-8")
    assert f"callers get {connection_limits.allocate_connections(files).public:,} of these" in text
