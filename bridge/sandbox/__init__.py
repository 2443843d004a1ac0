"""Both vendors as local fakes, for the ``demo`` and ``sandbox`` commands, the flow tests and people who integrate.

They import nothing of the bridge but themselves (the oracle must not share our bugs) and take the vendors' documents
literally: a rule that a caller breaks is refused and noted in ``violations``. ::

    async with EqualtureSandbox() as equalture, SoftgardenSandbox() as softgarden:
        equalture.add_account("id", "secret", jobs=[("job-1", "Assessment - Engineer")])
        ...                                             # a bridge between equalture.base_url and softgarden.base_url
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

Over HTTP both have ``/_sandbox/``: ``ledger``, ``violations``, ``faults``, ``clock`` (module ``admin``); Equalture's also
``applications`` and ``applications/{reference_id}/complete`` (module ``equalture``), softgarden's ``customers`` (module
``softgarden``). For example::

    curl --json '{"operation": "create", "status": 503, "times": 2}' $EQUALTURE/_sandbox/faults
    curl --json '{"advance_s": 900}' $EQUALTURE/_sandbox/clock
    curl -X POST $EQUALTURE/_sandbox/applications/$REFERENCE_ID/complete
    curl "$EQUALTURE/_sandbox/ledger?operation=create"

| module | holds |
|---|---|
| ``equalture``, ``candidate``, ``accounts``, ``checks``, ``pages``, ``samples``, ``webhooks`` | the Equalture fake |
| ``softgarden``, ``client`` | the softgarden fake |
| ``server``, ``peer``, ``book``, ``admin`` | what both share: receiving, calling, records and switches, ``/_sandbox/`` |
| ``wire``, ``faults``, ``ledger``, ``clock`` | values: a call and its answer, a fault, an entry, the time |
"""

from bridge.sandbox.accounts import Account, Application
from bridge.sandbox.client import Paths, SoftgardenClient
from bridge.sandbox.clock import SandboxClock
from bridge.sandbox.equalture import EqualtureSandbox
from bridge.sandbox.faults import Fault
from bridge.sandbox.ledger import Entry
from bridge.sandbox.peer import Reply
from bridge.sandbox.softgarden import SoftgardenSandbox
from bridge.sandbox.wire import Call

__all__ = [
    "Account",
    "Application",
    "Call",
    "Entry",
    "EqualtureSandbox",
    "Fault",
    "Paths",
    "Reply",
    "SandboxClock",
    "SoftgardenClient",
    "SoftgardenSandbox",
]
