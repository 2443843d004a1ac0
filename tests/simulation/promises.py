"""The bridge's promises, in the words of its interface, and what of a world breaks them."""

from __future__ import annotations

from dataclasses import dataclass, field

PROMISES = {
    "result survives": "1. A 200 to Equalture means that the result survives kill -9 of every"
    " bridge process at that instant, and of Redis too where it appends with always.",
    "notified": "2. Every completed or expired invitation whose id softgarden was given is notified"
    " at least once, in any order of outages, within the retry plan, or is visible as a dead"
    " letter.",
    "never issued": "2. One whose id it never got is never notified.",
    "one invitation": "3. One invitation for one customer, application and test while it is open,"
    " however often and however parallel softgarden asks",
    "one application": "3. one application at Equalture for it (a create whose outcome is unknown"
    " may leave an orphan there; it is listed, and anonymised once its id is known).",
    "own": "Bearer tokens identify the customer; another customer's invitation is answered exactly"
    " like an unknown one.",
    "orphans": "3. an orphan is anonymised once its id is known",
    "forward": "4. A state only moves forward; a late completion overrides an expiry",
    "completion time": "4. completionTime never changes.",
    "deletion": "5. After a deletion nothing of that candidate can be read from Redis, logs, pages"
    " or queue, and no late callback brings it back.",
    "deletion confirmed": "Deleting: 204, or 502 Equalture not confirmed yet (the bridge goes on by"
    " itself).",
    "deadline": "An invitation is not EXPIRED before the deadline that softgarden was given.",
    "privacy": "6. No name, e-mail, token, secret or link with a secret in logs, metrics, errors or"
    " traces; no name or e-mail in Redis.",
    "fairness": "8. One customer's dead endpoint, wrong secret, broken file, backlog or damaged"
    " record does not slow another's",
    "partition": "8. one partition's trouble does not slow another partition.",
    "reload": "A change of the customer files: all or nothing; a bad file (or an empty or missing"
    " folder) leaves the old configuration serving.",
    "readiness": "readyz (both listeners) is 503 when Redis does not take writes, and 200 while at"
    " least one partition works; with details: missing partitions",
    "report counts": "9. A report that was acknowledged is served as COMPLETED unless Equalture's"
    " own results refute it.",
    "webhook": "200 to a webhook: what it says is known then. The grace period after a deadline"
    " applies only where Equalture's started webhook was seen.",
    "landing page": "A candidate's page with one button; its POST redirects to the test. After"
    " completion or expiry it shows a page and never redirects.",
    "nothing in silence": "10. What cannot be read is put aside, said once and counted; nothing is"
    " skipped in silence.",
    "encrypted": "encryption_keys: newest first; results at rest. What is sealed with a listed key"
    " can be read; after reencrypt the newest alone is enough.",
    "hire": "Who is exported as hired is hired at Equalture, once.",
    "status": "The statuses that the table of paths names, and no others.",
    "task": "What still has to be done is a task in Redis: no record without the task it needs.",
    "plan": "retry with n entries makes n + 1 attempts, each delay ±20 %; then a dead letter.",
    "attempts": "Attempts are calls that were made.",
    "one at a time": "Work of a killed process is taken over within 15 s, and no other's.",
    "overdue": "Work of a killed process is taken over within 15 s; what is due is done.",
    "once": "What nothing disturbs is done once.",
    "quiescence": "When faults stop, everything settles.",
    "no crash": "No handler, worker or task ends by an error that nobody expected.",
    "vendor rules": "What the vendors' pages ask of a caller.",
}
"""Name -> the promise. Those with a number stand in the interface's list of promises."""


@dataclass(frozen=True, slots=True)
class BrokenPromise:
    """A promise that a world broke; *journey* is -1 where it is nobody's alone."""

    promise: str
    how: str
    at: float
    journey: int = -1

    def __str__(self) -> str:
        of = f" (journey {self.journey})" if self.journey >= 0 else ""
        return f"{self.promise}{of} at {self.at:.3f} s: {self.how}\n    {PROMISES[self.promise]}"


@dataclass(slots=True)
class BrokenPromises:
    """All that a world broke."""

    found: list[BrokenPromise] = field(default_factory=list)

    def note(self, promise: str, how: str, at: float, journey: int = -1) -> None:
        """One more, unless the very same was noted before."""
        if promise not in PROMISES:
            raise ValueError(promise)
        if not any(
            (one.promise, one.how, one.journey) == (promise, how, journey) for one in self.found
        ):
            self.found.append(BrokenPromise(promise, how, at, journey))
