"""What callers ask of a candidate, and what they expect to get: the four paths, and a journey."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator

import orjson

from tests.bench.generator import Answer, Notified, Operation, Source, WrongAnswer
from tests.bench.http_messages import build_request
from tests.bench.ledger import Ledger
from tests.bench.sample_calls import JOB_ID, REPORT, TESTS
from tests.bench.simulator import NOTIFY_PATH

PATHS = ("invite", "callback", "results", "tests")
JOURNEY = "journey"
"""An invite, its callback and notification, and the first read of the result."""
FIRST_READ = "first_read"
"""A read that the bridge writes down; later ones are only counted."""


class Caller:
    """softgarden and Equalture's outgoing side, towards one candidate."""

    def __init__(self, ledger: Ledger, token: str, vendor_port: int) -> None:
        self.ledger = ledger
        self._token = token
        self._list = build_request("GET", "/softgarden/tests", token=token)
        self._notify_url = f"http://127.0.0.1:{vendor_port}{NOTIFY_PATH}"
        self._reads = itertools.count()
        self._checked: set[str] = set()

    def source(self, path: str, most: int | None = None) -> Source:
        """Operations of one path, at most *most*."""
        make: dict[str, Callable[[], Operation | None]] = {
            "invite": self.invite,
            "callback": self.report,
            FIRST_READ: self.read_first,
            "results": self.read,
            "tests": self.list_tests,
            JOURNEY: self.journey,
        }
        if most is None:
            return make[path]
        left = iter(range(most))
        return lambda: make[path]() if next(left, None) is not None else None

    def invite(self) -> Operation:
        """An order of a candidate who was never invited."""
        order = yield from self._invite()
        self.ledger.open.append(order)

    def report(self) -> Operation | None:
        """The callback of an invitation that has none yet; None: there is none left."""
        if not self.ledger.open:
            return None
        return self._report_only(self.ledger.open.popleft())

    def read_first(self) -> Operation | None:
        """The result of a completed invitation that was never read; None: there is none."""
        if not self.ledger.unread:
            return None
        return self.read_one(self.ledger.unread.popleft())

    def read(self) -> Operation | None:
        """A result that was read before, each in turn; None: there is none."""
        if not self.ledger.read:
            return None
        return self._read(self.ledger.read[next(self._reads) % len(self.ledger.read)])

    def list_tests(self) -> Operation:
        """The list of tests."""
        answer = yield self._list
        body = self._expect("tests", answer)
        if self._is_first("tests") and len(orjson.loads(body)) != TESTS:
            raise WrongAnswer(f"{self.ledger.name}: not {TESTS} tests: {body!r}")

    def journey(self) -> Operation:
        """Invite, callback, notification, result."""
        order = yield from self._invite()
        yield from self._report(order)
        yield from self.read_one(self.ledger.invitations[order])

    def read_one(self, invitation_id: str) -> Operation:
        """The result of this invitation, which must be completed."""
        yield from self._read(invitation_id)
        self.ledger.read.append(invitation_id)

    def _read(self, invitation_id: str) -> Operation:
        answer = yield build_request(
            "GET", f"/softgarden/results/{invitation_id}", token=self._token
        )
        body = self._expect("results", answer)
        if b'"COMPLETED"' not in body:
            raise WrongAnswer(f"{self.ledger.name}: {invitation_id} is not completed: {body!r}")
        if self._is_first("results") and "resultUrl" not in orjson.loads(body)["result"]:
            raise WrongAnswer(f"{self.ledger.name}: not a result: {body!r}")

    def verify(self, invitation_id: str) -> Operation:
        """The same, where it is noted if there is no result."""
        try:
            yield from self._read(invitation_id)
        except WrongAnswer:
            self.ledger.unreadable.append(invitation_id)

    def _invite(self) -> Generator[bytes | Notified, Answer | None, int]:
        self.ledger.orders += 1
        order = self.ledger.orders
        body = orjson.dumps(
            {
                "testId": JOB_ID,
                "candidate": {
                    "id": f"3d0a7d5e-0a3b-4b3e-8f0e-{order:012d}",
                    "firstName": "Zoë",
                    "lastName": "Ångström",
                    "email": f"{order}@example.org",
                },
                "callback": self._notify_url,
            }
        )
        answer = yield build_request(
            "POST", "/softgarden/invitations", token=self._token, body=body
        )
        found = orjson.loads(self._expect("invite", answer))
        if self._is_first("invite") and not found["testUrl"].startswith("http"):
            raise WrongAnswer(f"{self.ledger.name}: not an invitation: {found}")
        self.ledger.invitations[order] = found["invitationId"]
        return order

    def _report_only(self, order: int) -> Operation:
        yield from self._report(order)
        self.ledger.unread.append(self.ledger.invitations[order])

    def _report(self, order: int) -> Operation:
        application = self.ledger.creates[order][0]
        invitation_id = self.ledger.invitations[order]
        self.ledger.finished.add(application.reference_id)
        answer = yield build_request("PUT", application.callback_path, body=REPORT)
        self._expect("callback", answer)
        self.ledger.reported.append(invitation_id)
        yield Notified(invitation_id)

    def _expect(self, path: str, answer: Answer | None) -> bytes:
        if answer is None or answer.status != 200:
            raise WrongAnswer(f"{self.ledger.name}: {path} was answered {answer}")
        return answer.body

    def _is_first(self, path: str) -> bool:
        first = path not in self._checked
        self._checked.add(path)
        return first
