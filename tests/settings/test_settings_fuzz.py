import base64
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge import app
from bridge.errors import ConfigError
from bridge.settings.masking import mask_settings

SHIPPED = Path(__file__).parents[2] / "config"
ENVIRON = {"BRIDGE_SIGNING_KEY": base64.urlsafe_b64encode(bytes(32)).decode(), "X": "1"}
FILES = {
    "bridge.yaml": yaml.safe_load((SHIPPED / "bridge.yaml").read_text(encoding="utf-8")),
    "customers/acme.yaml": yaml.safe_load(
        (SHIPPED / "customers" / "example.yaml.sample").read_text(encoding="utf-8")
    ),
}
FILES["customers/acme.yaml"]["softgarden"]["tokens_sha256"] = ["a" * 64]
FILES["customers/acme.yaml"]["equalture"]["client_secret"] = "hush"


def paths(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The ways to everything in nested dicts."""
    inner = (
        [paths(value, (*path, key)) for key, value in data.items()]
        if isinstance(data, dict)
        else []
    )
    return [path, *(one for many in inner for one in many)][0 if path else 1 :]


CHANGES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(
        [
            "${X}",
            "${UNSET}",
            "${UNSET:-}",
            "/",
            "http://[",
            "{fit.x}",
            "whsec_é",
            "1" * 64,
            "::",
            "/dev/zero",
        ]
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "job_id", "url", "x"]), inner)
    ),
    max_leaves=5,
)
PLACES = [
    (file, path + extra)
    for file, data in FILES.items()
    for path in paths(data)
    for extra in ((), ("url_file",))
]
PLACES += [("bridge.yaml", (f"{key}_keys_file",)) for key in ("signing", "encryption")]


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PLACES), CHANGES), min_size=1, max_size=3))
def test_any_value_anywhere(tmp_path_factory: pytest.TempPathFactory, changes: list[Any]) -> None:
    """Whatever stands in whichever place, the settings load and can be shown, or ConfigError tells
    positions.
    """
    folder = tmp_path_factory.getbasetemp() / "fuzz"
    (folder / "customers").mkdir(parents=True, exist_ok=True)
    files = json.loads(json.dumps(FILES))
    for (file, path), value in changes:
        target = files[file]
        for step in path[:-1]:
            target = target.setdefault(step, {}) if isinstance(target, dict) else target
        if isinstance(target, dict):
            target[path[-1]] = value
    for file, data in files.items():
        (folder / file).write_text(
            yaml.safe_dump(data, allow_unicode=True), encoding="utf-8", errors="replace"
        )
    with contextlib.suppress(ConfigError):
        json.dumps(mask_settings(app.CONFIGURATION.load(folder, ENVIRON)))
