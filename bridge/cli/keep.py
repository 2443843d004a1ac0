"""What is said when the fakes stay: where they listen, and lines to paste."""

from __future__ import annotations

import json
from pathlib import Path
from shlex import quote
from uuid import uuid4

from bridge.cli.people import People
from bridge.cli.sample import CLIENT_ID, CLIENT_SECRET, CUSTOMER, JOBS, PUBLIC_CLIENT, TEST_ID
from bridge.cli.screen import Screen
from bridge.cli.stage import Stage
from bridge.core.links import LinkSigner
from bridge.errors import BridgeError
from bridge.sandbox import EqualtureSandbox, SoftgardenSandbox

_JSON = "-H 'Content-Type: application/json'"


async def offer(stage: Stage, screen: Screen, people: People) -> None:
    """Invite a second candidate, and print a line for everything that can be tried with the
    invitation.
    """
    application_id = str(uuid4())
    person = {"first_name": "Jonas", "last_name": "Beispiel", "email": "jonas.beispiel@example.org"}
    reply = await stage.client.invite(TEST_ID, candidate_id=application_id, **person)
    if reply.status != 200:
        raise BridgeError(f"a second candidate could not be invited: {reply.status or 'no answer'}")
    invitation_id: str = reply.json["invitationId"]
    application = stage.equalture.applications[
        stage.equalture.calls("create", status=201)[-1].reference_id or ""
    ]
    screen.text("\nEverything goes on running. Try it by hand", "bold")
    screen.text(
        f"Jonas Beispiel was invited just now: invitation {invitation_id}, not finished yet."
    )
    for label, where in (
        ("bridge", stage.bridge_url),
        ("admin listener", stage.admin_url),
        ("Equalture", stage.equalture.base_url),
        ("softgarden", stage.softgarden.base_url),
        ("Redis", stage.redis_url),
        ("configuration", f"{stage.config} (for --config)"),
        ("log", str(stage.log)),
    ):
        screen.raw(f"   {label:<15}{where}")
    body = {
        "testId": TEST_ID,
        "candidate": {
            "id": application_id,
            "firstName": "Jonas",
            "lastName": "Beispiel",
            "email": person["email"],
        },
        "callback": stage.softgarden.callback_url(CUSTOMER),
    }
    links = LinkSigner(stage.bridge_url, stage.settings.signing_keys)
    auth = f"-H 'Authorization: Bearer {stage.secrets.token}'"
    bridge, fake = stage.bridge_url, f"{stage.equalture.base_url}/_sandbox"
    invitation = f"{bridge}/softgarden/invitations/{invitation_id}"
    groups: dict[str, list[str]] = {
        "As softgarden": [
            f"curl -sS {auth} {bridge}/softgarden/tests",
            f"curl -sS {auth} {_JSON} -d {_quoted(body)} {bridge}/softgarden/invitations",
            f"curl -sS {auth} {bridge}/softgarden/results/{invitation_id}",
        ],
        "As the candidate (or open it in a browser, and take the test)": [
            f"curl -sS {links.start(invitation_id)}"
        ],
        "As Equalture, too early: the bridge says 200, asks Equalture, and believes only what it hears there": [
            f"curl -sS -X PUT {_JSON} -d {_quoted({'fit': 'high'})} {application.callback_url}"
        ],
        "The candidate finishes the test (Equalture's fake calls back, the bridge notifies softgarden)": [
            f"curl -sS -X POST {fake}/applications/{application.reference_id}/complete"
        ],
        "As a recruiter or a colleague, once the test is finished": [
            f"curl -sS -i {links.share(invitation_id)}",
            f"curl -sS {links.results(invitation_id)}",
            f"curl -sS -o report.pdf {links.report(invitation_id)}",
        ],
        "As an engineer or an orchestrator": [
            f"curl -sS {bridge}/openapi.json",
            f"curl -sS {bridge}/docs",
            f"curl -sS {bridge}/livez",
            f"curl -sS {bridge}/readyz",
            f"curl -sS {stage.admin_url}/readyz",
        ],
        **await _hiring(stage, people, application_id),
        "Trouble at Equalture: two creates fail, the end of all trouble, time flies, what was called, rules broken": [
            *trouble(stage.equalture)
        ],
        "And at last: the deletion": [f"curl -sS -i -X DELETE {auth} {invitation}"],
    }
    for title, lines in groups.items():
        screen.raw(f"\n# {title}", "green")
        for line in lines:
            screen.raw(line)
    screen.text("\nCtrl-C ends it, and clears everything away.")


def introduce(screen: Screen, equalture: EqualtureSandbox, softgarden: SoftgardenSandbox) -> None:
    """Say where the two fakes listen and how to use them."""
    screen.text("Two fake vendors, for a bridge of yours", "bold")
    screen.raw(
        f"   Equalture   {equalture.base_url}   client id {CLIENT_ID}, secret {CLIENT_SECRET}"
    )
    for job_id, name in JOBS.items():
        screen.raw(f"               job {job_id}   {name}")
    screen.raw(
        f"   softgarden  {softgarden.base_url}   public client id {PUBLIC_CLIENT}, empty password"
    )
    screen.raw(f"               callback {softgarden.callback_url()}")
    screen.raw("\n# Point the sample configuration at them", "green")
    screen.raw(f"export EQUALTURE_BASE_URL={equalture.base_url}")
    screen.raw(f"export ACME_EQUALTURE_SECRET={CLIENT_SECRET}")
    screen.raw(
        "\n# and in config/bridge.yaml, since they are on this machine and speak http", "green"
    )
    screen.raw("softgarden: {callback_hosts: [127.0.0.1], allow_insecure: true}")
    screen.raw("\n# Finish a test (the reference ids are in the first answer)", "green")
    screen.raw(f"curl -sS {equalture.base_url}/_sandbox/applications")
    screen.raw(f"curl -sS -X POST {equalture.base_url}/_sandbox/applications/REFERENCE_ID/complete")
    screen.raw(
        "\n# Trouble at Equalture, its end, time flies, what was called, which rules were broken",
        "green",
    )
    for line in trouble(equalture):
        screen.raw(line)
    screen.raw("\n# softgarden is down for a while", "green")
    screen.raw(
        f"curl -sS {_JSON} -d {_quoted({'operation': 'notify', 'status': 503, 'times': 3})}"
        f" {softgarden.base_url}/_sandbox/faults"
    )
    screen.text("\nCalls are listed below; Ctrl-C ends it.\n")


def trouble(equalture: EqualtureSandbox) -> list[str]:
    """Lines that switch a fault on and off, push the clock and look into the books."""
    admin = f"{equalture.base_url}/_sandbox"
    return [
        f"curl -sS {_JSON} -d {_quoted({'operation': 'create', 'status': 503, 'times': 2})} {admin}/faults",
        f"curl -sS -X DELETE {admin}/faults",
        f"curl -sS {_JSON} -d {_quoted({'advance_s': 3600})} {admin}/clock",
        f"curl -sS '{admin}/ledger?limit=5'",
        f"curl -sS {admin}/violations",
    ]


def complaints(log: Path) -> list[str]:
    """The last warnings and errors in the daemon's log."""
    grave = ('"level":"warning"', '"level":"error"', '"level":"critical"')
    return [
        line for line in log.read_text("utf-8").splitlines() if any(word in line for word in grave)
    ][-5:]


async def _hiring(stage: Stage, people: People, application_id: str) -> dict[str, list[str]]:
    """The line for softgarden's data export, if this bridge has the endpoint."""
    document = await people.open("engineer", f"{stage.bridge_url}/openapi.json")
    if "/softgarden/hired/{customer}" not in json.loads(document.body or b"{}").get("paths", {}):
        return {}
    auth = f"-H 'Authorization: Bearer {stage.secrets.hire_token}'"
    body = _quoted({"applicationPublicId": application_id})
    line = f"curl -sS {auth} {_JSON} -d {body} {stage.bridge_url}/softgarden/hired/{CUSTOMER}"
    return {"As softgarden's data export: the candidate, whose test is finished, was hired": [line]}


def _quoted(value: object) -> str:
    return quote(json.dumps(value))
