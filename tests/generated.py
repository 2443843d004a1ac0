"""Files that are made from the declarations of the settings: ``make settings`` writes them, a test
compares them.
"""

from __future__ import annotations

import json
from pathlib import Path

from bridge.app import CONFIGURATION
from bridge.configuration import KINDS

CONFIG = Path(__file__).parents[1] / "config"
_HEAD = """\
# Settings

Made from the declarations in the code by `make settings`. The files explain every key where it
stands: [bridge.yaml](bridge.yaml), [example.yaml.sample](customers/example.yaml.sample).

Any value may hold `${NAME}` or `${NAME:-default}`. A secret, marked †, may be given as `<key>_file`
instead. Durations: `500ms`, `30s`, `15m`, `2h`, `7d`.
"""


def generated() -> dict[Path, str]:
    """What each of these files holds."""
    tables = "".join(f"\n## `{KINDS[kind]}`\n\n{CONFIGURATION.table(kind)}" for kind in KINDS)
    schemas = {
        CONFIG / "schema" / f"{kind}.schema.json": json.dumps(CONFIGURATION.schema(kind), indent=2)
        + "\n"
        for kind in KINDS
    }
    return {CONFIG / "SETTINGS.md": _HEAD + tables, **schemas}


if __name__ == "__main__":
    for path, text in generated().items():
        path.write_text(text, "utf-8")
