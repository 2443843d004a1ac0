from __future__ import annotations

from bridge.core.assessment import Candidate, NewApplication, Order
from bridge.core.queueing import DeadLetter, Lease, TaskKind
from tests.core.build import INVITED, NOW


def test_task_id_is_the_same_for_a_lease_and_its_dead_letter() -> None:
    """Operators find a task under one id, whether it is being performed or given up."""
    lease = Lease("iv_7x", TaskKind.NOTIFY, "acme", 1, "owner", 1)
    letter = DeadLetter("iv_7x", TaskKind.NOTIFY, "acme", 6, "rejected", NOW)
    assert ["iv_7x:notify", "iv_7x:notify"] == [lease.task_id, letter.task_id]


def test_persons_and_secrets_do_not_show() -> None:
    """No value of the core shows a name, an e-mail address or a link with a secret when it is
    printed.
    """
    candidate = Candidate("application-1", "Ada", "Lovelace", "ada@example.org")
    draft = NewApplication(
        "job-1", candidate, "https://bridge.example/equalture/callbacks/iv/secret"
    )
    order = Order("test-1", candidate, "https://acme.softgarden.io/notify")
    told = f"{candidate} {draft} {order} {INVITED}"
    assert [] == [word for word in ("Ada", "Lovelace", "ada@", "https://") if word in told]
