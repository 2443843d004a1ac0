from __future__ import annotations

from bridge.core.assessment import Candidate, NewApplication, Order
from tests.core.build import INVITED


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
