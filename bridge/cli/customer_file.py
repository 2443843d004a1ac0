"""A new customer's file: the commented sample with the customer's own values in it."""

from __future__ import annotations

import contextlib
import json
import os
import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from bridge.errors import BridgeError

_SAMPLE = "customers/example.yaml.sample"
_HOW_TO = re.compile(r"^# One softgarden customer\. To add one:$.*?(?=^# Any value)", re.M | re.S)
_VARIABLE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCustomer:
    """What a customer's file needs; *secret* is a reference to a variable, or the path of a file
    that holds it.
    """

    key: str
    token_sha256: str
    softgarden_client_id: str
    equalture_client_id: str
    secret: str | Path
    locale: str

    def render_file(self) -> str:
        """The file: the sample's comments, with these values."""
        sample = files("bridge").joinpath("samples", _SAMPLE).read_text("utf-8")
        prefix = re.sub(r"[^A-Z0-9]", "_", self.key.upper())
        prefix = f"CUSTOMER_{prefix}" if prefix[0].isdigit() else prefix
        made = _HOW_TO.sub("# One softgarden customer; its file's name is its key.\n#\n", sample)
        made = re.sub(r"\bacme\b", self.key, made).replace("ACME_", f"{prefix}_")
        name, value = (
            ("client_secret_file", _quoted(str(self.secret)))
            if isinstance(self.secret, Path)
            else ("client_secret", json.dumps(self.secret))
        )
        made = _replace(made, "client_secret", f"{name}: {value}")
        made = _replace(made, "locale", f"locale: {_quoted(self.locale)}")
        made = _replace(made, "client_id", f"client_id: {_quoted(self.softgarden_client_id)}")
        last = f"client_id: {_quoted(self.equalture_client_id)}"
        made = _replace(made, f"client_id: {self.key}", last, whole=True)
        made = re.sub(r"^  # Replace this one, which belongs to no token.*\n", "", made, flags=re.M)
        return made.replace("0" * 64, self.token_sha256)


def read_variable_name(answer: str) -> str | None:
    """The variable that an answer names in place of a secret; None: it is the secret itself."""
    found = _VARIABLE.fullmatch(answer.strip())
    return found["name"] if found else None


def write_private_file(file: Path, text: str) -> None:
    """Make *file* for its owner and the folder's group, who is the daemon's; raises BridgeError
    where there is one.
    """
    try:
        file.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with os.fdopen(os.open(file, flags, 0o640), "w", encoding="utf-8") as stream:
            with contextlib.suppress(OSError):
                os.chown(file, -1, file.parent.parent.stat().st_gid)
            stream.write(text)
    except OSError as error:
        raise BridgeError(f"{error.filename}: {error.strerror}") from None


def _replace(text: str, key: str, line: str, *, whole: bool = False) -> str:
    """*text* with the first line of this key in place of what the sample says there."""
    pattern = rf"^  {re.escape(key)}{'$' if whole else ':.*$'}"
    made, count = re.subn(pattern, lambda _: f"  {line}", text, count=1, flags=re.M)
    if count != 1:
        raise BridgeError(f"the sample that comes with the bridge has no line {key!r} any more")
    return made


def _quoted(text: str) -> str:
    """As YAML, and nothing that is taken from the environment."""
    return json.dumps(text.replace("${", "$${"), ensure_ascii=False)
