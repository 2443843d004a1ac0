"""What alerts say: what is wrong, who must act, and the command to begin with."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from bridge.core.incident import Incident, IncidentKind
from bridge.core.queueing import TaskKind
from bridge.settings.durations import format_duration

_PROGRAM = "assessment-bridge"
_GIVEN_UP = {
    TaskKind.CHECK: "An invitation is no longer looked up at Equalture",
    TaskKind.NOTIFY: "softgarden was not told that a result is there",
    TaskKind.ANONYMISE: "Equalture has not anonymised the applications of a deleted invitation",
    TaskKind.HIRE: "Equalture was not told of a hire",
}
_CREDENTIALS = {
    "softgarden": (
        "softgarden answers 401 to notifications: it does not accept softgarden.client_id. Compare"
        " it with softgarden's; if it is right, softgarden's support must act."
    ),
    "equalture": (
        "Equalture answers 401: it does not accept equalture.client_id and client_secret, so nobody"
        " can be invited. If they are right, Equalture must give new ones."
    ),
}


def describe_dead_letter(
    customer: str, invitation_id: str, kind: TaskKind, reason: str
) -> Incident:
    """A task became a dead letter; *reason* is one of the bridge's own words."""
    return Incident(
        IncidentKind.DEAD_LETTER,
        customer,
        "",
        f"{_GIVEN_UP[kind]} ({kind} of {invitation_id}: {reason}). It was given up and stands still"
        f" until somebody removes the cause and replays it; {_PROGRAM} dead list shows all.",
        f"{_PROGRAM} find {invitation_id}",
    )


def describe_refused_credentials(customer: str, vendor: str) -> Incident:
    """A vendor answered 401 to what is sent for this customer."""
    text = _CREDENTIALS.get(vendor, f"{vendor} answers 401: it does not accept the credentials.")
    # Only Equalture can be asked; of softgarden there is what it was to be told.
    asked = vendor != "softgarden"
    command = f"{_PROGRAM} check --online" if asked else f"{_PROGRAM} onboard {customer}"
    return Incident(IncidentKind.UNAUTHORIZED, customer, vendor, text, command)


def describe_orphan(customer: str, invitation_id: str) -> Incident:
    """A create may have left an application at the provider."""
    return Incident(
        IncidentKind.ORPHAN,
        customer,
        "",
        f"Equalture gave no usable answer when {invitation_id} was created, so an application may"
        " be left there. softgarden was answered with an error: the recruiter must order again. It"
        f" is anonymised once Equalture reports it; {_PROGRAM} invitations list --uncertain lists"
        " those that it never reported, which Equalture must remove.",
        f"{_PROGRAM} find {invitation_id}",
    )


def describe_refused_reload(mistakes: int) -> Incident:
    """Changed files are not in force."""
    number = "a mistake" if mistakes == 1 else f"{mistakes} mistakes"
    return Incident(
        IncidentKind.RELOAD_REFUSED,
        "",
        "",
        f"The customers' files were changed and have {number}: what was in force before stays so."
        " Whoever changed them must correct them; after a restart their customers are not served.",
        f"{_PROGRAM} check",
    )


def describe_waiting_result(customer: str, invitation_id: str, since: datetime) -> Incident:
    """The ATS was not told of a result for too long."""
    return Incident(
        IncidentKind.WAITING,
        customer,
        "result",
        f"softgarden has not taken the news of {invitation_id}, which has waited since"
        f" {since:%Y-%m-%d %H:%M} UTC. The bridge goes on trying; see why, and who must act.",
        f"{_PROGRAM} find {invitation_id}",
    )


def describe_waiting_work(overdue: timedelta, set_aside: Collection[str]) -> Incident:
    """Nobody performs what is due."""
    unit = timedelta(minutes=1) if overdue >= timedelta(minutes=1) else timedelta(seconds=1)
    age = format_duration(overdue // unit * unit)
    why = (
        f"the files of {', '.join(sorted(set_aside)[:5])} cannot be used. Correct them"
        if set_aside
        else "no daemon performs it, or too few do. Look at the daemons and their logs"
    )
    command = f"{_PROGRAM} {'check' if set_aside else 'healthcheck'}"
    text = f"Work has been due for {age}: {why}."
    return Incident(IncidentKind.WAITING, "", "work", text, command)


def describe_trial() -> Incident:
    """Nothing is wrong."""
    text = "This is a trial: alerts of the assessment bridge arrive here. Nobody must act."
    return Incident(IncidentKind.TRIAL, "", "", text, f"{_PROGRAM} config show")
