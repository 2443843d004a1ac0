"""Both vendors as local fakes, for commands, tests and people who integrate.

They import nothing of the bridge but themselves (a test oracle must not share its bugs) and take
the vendors' documents literally: a rule that a caller breaks is refused and noted in
``violations``. ::

    async with EqualtureSandbox() as equalture, SoftgardenSandbox() as softgarden:
        equalture.add_account("id", "secret", jobs=[("job-1", "Assessment - Engineer")])
        ...  # a bridge between equalture.base_url and softgarden.base_url
        customer = softgarden.connect(bridge_url, token)
        invited = await customer.invite("job-1")
        created = equalture.calls("create", status=201)[-1]
        await equalture.complete(created.reference_id, fit="high")
        await softgarden.wait_calls("notify", status=204)
        assert equalture.violations == softgarden.violations == []

Faults (module ``faults``) and time::

    equalture.fault("create", status=503, headers={"Retry-After": "3"}, times=2)
    equalture.fault("jobs", body="html")
    equalture.fault("*", probability=0.1, drop="before")
    softgarden.fault("notify", drop="after")
    equalture.heal("create"), equalture.heal()
    equalture.clock.advance(timedelta(minutes=16))

Over HTTP both have ``/_sandbox/``: ``ledger``, ``violations``, ``faults``, ``clock`` (module
``admin_routes``); Equalture's also ``applications`` and ``applications/{reference_id}/complete``
(module ``equalture_fake``), softgarden's ``customers`` and ``invitations`` (module
``softgarden_fake``). For example::

    curl --json '{"operation": "create", "status": 503, "times": 2}' $EQUALTURE/_sandbox/faults
    curl --json '{"advance_s": 900}' $EQUALTURE/_sandbox/clock
    curl -X POST $EQUALTURE/_sandbox/applications/$REFERENCE_ID/complete
    curl --json '{"bridge_url": "...", "token": "..."}' -X PUT $SOFTGARDEN/_sandbox/customers/acme
    curl --json '{"test_id": "job-1"}' $SOFTGARDEN/_sandbox/customers/acme/invite
    curl "$EQUALTURE/_sandbox/ledger?operation=create"

Modules: ``fake_vendor`` (receiving), ``recording_client`` (calling), ``admin_routes``, ``faults``,
``ledger``, ``simulated_clock`` and ``request_checks`` (strict reading) are what both share.
Equalture is ``equalture_fake`` with ``equalture_api``, ``candidate_pages``, ``accounts``,
``sample_results`` and ``webhooks``; softgarden is ``softgarden_fake`` with
``softgarden_client`` and ``list_placed_orders``.
"""

from bridge.sandbox.accounts import Account, Application
from bridge.sandbox.equalture_fake import EqualtureSandbox
from bridge.sandbox.fake_vendor import ENTRY
from bridge.sandbox.faults import Fault, Faults
from bridge.sandbox.ledger import BRIDGE, Ledger, LedgerEntry
from bridge.sandbox.recording_client import BridgeReply, RecordingClient
from bridge.sandbox.request_checks import Refusal, create_json_response
from bridge.sandbox.simulated_clock import SandboxClock
from bridge.sandbox.softgarden_client import SoftgardenClient
from bridge.sandbox.softgarden_fake import SoftgardenSandbox

__all__ = [
    "BRIDGE",
    "ENTRY",
    "Account",
    "Application",
    "BridgeReply",
    "EqualtureSandbox",
    "Fault",
    "Faults",
    "Ledger",
    "LedgerEntry",
    "RecordingClient",
    "Refusal",
    "SandboxClock",
    "SoftgardenClient",
    "SoftgardenSandbox",
    "create_json_response",
]
