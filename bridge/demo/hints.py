"""What can be tried by hand while the fakes run: where they listen, and lines to paste."""

from __future__ import annotations

import json
from pathlib import Path
from shlex import quote
from uuid import uuid4

from bridge.core.links import LinkSigner
from bridge.demo.demo_config import CLIENT_ID, CLIENT_SECRET, CUSTOMER, JOBS, PUBLIC_CLIENT, TEST_ID
from bridge.demo.environment import DemoEnvironment
from bridge.errors import BridgeError
from bridge.sandbox import EqualtureSandbox, SoftgardenSandbox
from bridge.sandbox.admin_routes import ADMIN as PAGE

_JSON = "-H 'Content-Type: application/json'"


async def write_environment_hints(environment: DemoEnvironment) -> str:
    """Invite a second candidate, and give a line for everything that can be tried with the
    invitation.
    """
    application_id, email = str(uuid4()), "jonas.beispiel@example.org"
    reply = await environment.client.invite(
        TEST_ID, candidate_id=application_id, first_name="Jonas", last_name="Beispiel", email=email
    )
    if reply.status != 200:
        raise BridgeError(f"a second candidate could not be invited: {reply.status or 'no answer'}")
    invitation_id = reply.json["invitationId"]
    created = environment.equalture.calls("create", status=201)[-1]
    application = environment.equalture.applications[created.reference_id or ""]
    order = {
        "testId": TEST_ID,
        "candidate": {
            "id": application_id,
            "firstName": "Jonas",
            "lastName": "Beispiel",
            "email": email,
        },
        "callback": environment.softgarden.callback_url(CUSTOMER),
    }
    bridge, admin = environment.bridge_url, environment.admin_url
    equalture, softgarden = environment.equalture, environment.softgarden
    links = LinkSigner(bridge, environment.settings.signing_keys)
    auth = f"-H 'Authorization: Bearer {environment.secrets.token}'"
    text = f"""
Jonas Beispiel was invited just now: invitation {invitation_id}, not finished yet.
   bridge         {bridge}
   admin listener {admin}
   Equalture      {equalture.base_url}
   softgarden     {softgarden.base_url}
   both, to click {softgarden.base_url}{PAGE}
   Redis          {environment.redis_url}
   configuration  {environment.config} (for --config)
   log            {environment.log}

# As softgarden
curl -sS {auth} {bridge}/softgarden/tests
curl -sS {auth} {_data(order)} {bridge}/softgarden/invitations
curl -sS {auth} {bridge}/softgarden/results/{invitation_id}

# As the candidate (or open it in a browser, and take the test)
curl -sS {links.start_url(invitation_id)}

# As Equalture, too early: the bridge says 200, asks Equalture, and believes only what it hears
# there
curl -sS -X PUT {_data({"fit": "high"})} {application.callback_url}

# The candidate finishes the test (Equalture's fake calls back, the bridge notifies softgarden)
curl -sS -X POST {equalture.base_url}/_sandbox/applications/{application.reference_id}/complete

# As softgarden's data export: Jonas got the job (Equalture is told once)
{_hire(environment, application_id)}

# As a recruiter or a colleague, once the test is finished
curl -sS -i {links.share_url(invitation_id)}
curl -sS {links.results_url(invitation_id)}
curl -sS -o report.pdf {links.report_url(invitation_id)}

# As an engineer or an orchestrator
curl -sS {bridge}/openapi.json
curl -sS {bridge}/docs
curl -sS {bridge}/livez
curl -sS {bridge}/readyz
curl -sS {admin}/readyz

# Trouble at Equalture: two creates fail, the end of all trouble, time flies, what was called, rules
# broken
{_trouble(equalture)}

# And at last: the deletion
curl -sS -i -X DELETE {auth} {bridge}/softgarden/invitations/{invitation_id}
"""
    return text.strip("\n")


def write_sandbox_hints(equalture: EqualtureSandbox, softgarden: SoftgardenSandbox) -> str:
    """Where the two fakes listen and how to use them."""
    jobs = "\n".join(f"               job {job_id}   {name}" for job_id, name in JOBS.items())
    unavailable = {"operation": "notify", "status": 503, "times": 3}
    customer = f"{softgarden.base_url}{PAGE}customers/default"
    connection = {"bridge_url": "http://127.0.0.1:8080", "token": "THE_BEARER_TOKEN"}
    return f"""\
   To click    {softgarden.base_url}{PAGE}
   Equalture   {equalture.base_url}   client id {CLIENT_ID}, secret {CLIENT_SECRET}
{jobs}
   softgarden  {softgarden.base_url}   public client id {PUBLIC_CLIENT}, empty password
               callback {softgarden.callback_url()}

# Point the sample configuration at them
export EQUALTURE_BASE_URL={equalture.base_url}
export ACME_EQUALTURE_SECRET={CLIENT_SECRET}

# and in config/bridge.yaml, since they are on this machine and speak http
softgarden: {{callback_hosts: [127.0.0.1], allow_insecure: true}}

# Be softgarden: use a bridge, list its tests, order one, see what was ordered, read, delete
curl -sS -X PUT {_data(connection)} {customer}
curl -sS -X POST {customer}/tests
curl -sS {_data({"test_id": next(iter(JOBS))})} {customer}/invite
curl -sS {softgarden.base_url}{PAGE}invitations
curl -sS -X POST {customer}/results/INVITATION_ID
curl -sS -X POST {customer}/delete/INVITATION_ID

# Finish a test (the reference ids are in the first answer)
curl -sS {equalture.base_url}/_sandbox/applications
curl -sS -X POST {equalture.base_url}/_sandbox/applications/REFERENCE_ID/complete
curl -sS -X POST {equalture.base_url}/_sandbox/applications/REFERENCE_ID/expire

# Trouble at Equalture, its end, time flies, what was called, which rules were broken
{_trouble(equalture)}

# softgarden is down for a while
curl -sS {_data(unavailable)} {softgarden.base_url}/_sandbox/faults"""


def read_log_problems(log: Path) -> list[str]:
    """The last warnings and errors in the daemon's log."""
    levels = ('"level":"warning"', '"level":"error"', '"level":"critical"')
    return [
        line
        for line in log.read_text("utf-8").splitlines()
        if any(level in line for level in levels)
    ][-5:]


def _hire(environment: DemoEnvironment, application_id: str) -> str:
    auth = f"-H 'Authorization: Bearer {environment.secrets.export_token}'"
    body = _data({"applicationPublicId": application_id})
    return f"curl -sS {auth} {body} {environment.bridge_url}/softgarden/hired/{CUSTOMER}"


def _trouble(equalture: EqualtureSandbox) -> str:
    admin = f"{equalture.base_url}/_sandbox"
    return f"""\
curl -sS {_data({"operation": "create", "status": 503, "times": 2})} {admin}/faults
curl -sS -X DELETE {admin}/faults
curl -sS {_data({"advance_s": 3600})} {admin}/clock
curl -sS '{admin}/ledger?limit=5'
curl -sS {admin}/violations"""


def _data(value: object) -> str:
    return f"{_JSON} -d {quote(json.dumps(value))}"
