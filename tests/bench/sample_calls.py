"""The bodies that go over the wire: the vendors' own samples, as long as real ones."""

from __future__ import annotations

from pathlib import Path

import orjson

SAMPLES = Path(__file__).parents[1] / "samples" / "equalture"
TESTS = 12
"""How many tests a customer has."""
TRAITS = 6
"""How many traits a result has."""


def _load(name: str) -> dict[str, object]:
    loaded: dict[str, object] = orjson.loads((SAMPLES / name).read_bytes())
    return loaded


def _lengthen(report: dict[str, object]) -> bytes:
    """A report with as many traits as a real one."""
    traits = report["detailed_scores"]
    assert isinstance(traits, list)
    return orjson.dumps(report | {"detailed_scores": (traits * TRAITS)[:TRAITS]})


JOBS = orjson.dumps(
    [{"id": f"job-{number}", "name": f"Assessment - Role {number}"} for number in range(TESTS)]
)
REPORT = _lengthen(_load("callback.json"))
"""What the provider's callback says."""
RESULTS = _lengthen(_load("results.json"))
"""What it says when it is asked."""
JOB_ID = "job-1"
ORDER_AT_VENDOR = orjson.dumps(
    {
        "job_id": JOB_ID,
        "invitation_type": "one_time_link",
        "callback_url": "http://127.0.0.1/equalture/callbacks/iv_0/secret",
        "applicant_details": {"first_name": "A", "last_name": "B", "email": "0@example.org"},
    }
)
"""A create."""
