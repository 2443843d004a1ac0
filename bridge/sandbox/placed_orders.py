"""What the softgarden fake knows of the invitations that it has ordered, from its ledger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bridge.sandbox.softgarden_fake import SoftgardenSandbox


@dataclass(slots=True, kw_only=True)
class PlacedOrder:
    """An invitation that a bridge has given to softgarden."""

    invitation_id: str
    customer: str
    application_id: str = ""
    test_id: str = ""
    test_url: str = ""
    deadline: str | None = None
    notified: int = 0
    """How often the bridge has notified softgarden of it."""
    deleted: bool = False
    result: Any = None
    """What was read last, if anything was."""


def list_placed_orders(sandbox: SoftgardenSandbox) -> list[PlacedOrder]:
    """Every one that the ledger still holds something of, oldest first."""
    orders: dict[str, PlacedOrder] = {}
    for entry in sandbox.ledger.entries:
        invitation_id = entry.invitation_id or ""
        customer = sandbox.invited.get(invitation_id)
        if customer is None:
            continue
        order = orders.setdefault(
            invitation_id, PlacedOrder(invitation_id=invitation_id, customer=customer)
        )
        match entry.operation, entry.status, entry.request_json, entry.response_json:
            case "invite", _, {"testId": str(test), "candidate": {"id": application}}, dict(answer):
                order.test_id, order.application_id = test, str(application)
                order.test_url = str(answer.get("testUrl", ""))
                order.deadline = answer.get("deadline")
            case "notify", 204, _, _:
                order.notified += 1
            case "delete", 204, _, _:
                order.deleted = True
            case _:
                pass
    for invitation_id, order in orders.items():
        if (reply := sandbox.results.get(invitation_id)) is not None:
            order.result = reply.json
    return list(orders.values())
