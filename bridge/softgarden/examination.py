"""What ``doctor`` examines and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from bridge.softgarden.deployed_bridge import PROBLEM, BridgeAnswer


class Verdict(StrEnum):
    """How a check came out."""

    FINE = "fine"
    WARNING = "warning"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One thing that was looked at; *remedy* says what to do where it is not fine."""

    check: str
    verdict: Verdict
    detail: str
    remedy: str = ""


@dataclass(slots=True)
class Examination:
    """What to examine, and what came of it."""

    url: str
    token: str = field(repr=False)
    callback_host: str = "softgarden.io"
    test: str | None = None
    timeout_s: float = 30.0
    slow_s: float = 5.0
    """An answer that takes longer is a finding: softgarden's own patience is not documented."""
    told: Callable[[CheckResult], None] = lambda _: None
    """Hears of every finding as soon as it is there."""
    findings: list[CheckResult] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    """Invitations that came to be."""
    left_behind: list[str] = field(default_factory=list)
    """Those of them that could not be deleted, or the candidate's id where not even that is known.
    """

    @property
    def fine(self) -> bool:
        """Whether nothing is wrong; a warning is not."""
        return not any(one.verdict is Verdict.WRONG for one in self.findings)

    def note(self, check: str, verdict: Verdict, detail: str, remedy: str = "") -> None:
        """Add a finding."""
        finding = CheckResult(check, verdict, detail, remedy)
        self.findings.append(finding)
        self.told(finding)

    def judge(self, check: str, fine: bool, detail: str, remedy: str) -> bool:
        """Add a finding that is fine or wrong; says which."""
        self.note(check, Verdict.FINE if fine else Verdict.WRONG, detail, "" if fine else remedy)
        return fine


def describe_answer(answer: BridgeAnswer) -> str:
    """An answer's status, and of a problem its code and detail."""
    if not answer.code:
        return f"{answer.status}"
    detail = answer.fields.get("detail")
    return f"{answer.status} {answer.code}" + (f" ({detail})" if isinstance(detail, str) else "")


def find_problem_flaws(answer: BridgeAnswer, status: int, code: str) -> Iterator[str]:
    """What an answer lacks to be the problem of this status."""
    if answer.status != status:
        yield f"answered {describe_answer(answer)}, not {status}"
    if answer.media_type != PROBLEM:
        yield f"the body is {answer.media_type or 'empty'}, not {PROBLEM}"
    elif missing := {"type", "title", "status", "detail", "code"} - set(answer.fields):
        yield f"the problem lacks {', '.join(sorted(missing))}"
    elif code and answer.code != code:
        yield f"its code is {answer.code}, not {code}"
    if "X-Request-ID" not in answer.headers:
        yield "no X-Request-ID"
