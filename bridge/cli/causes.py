"""Why an invitation is where it is, most likely, and what to do next: one table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from bridge.core.diagnosis import InvitationSituation


class Advice(NamedTuple):
    """*short* in the headline, *cause* and *command* with the fields ``{id}``, ``{letter}`` (what
    the dead letter is called), ``{customer}``, ``{client}``, ``{status}``, ``{reason}``; *note*
    behind the command. Without a command there is nothing to do.
    """

    short: str
    cause: str
    command: str = ""
    note: str = ""


_SHOW: Final = "invitations show {id}"
_REPLAY: Final = "dead replay {letter}"
_REFRESH: Final = "invitations refresh {id}"
_ASK: Final = (
    "asks Equalture now; if that finds a result, its callback did not get here: look for"
    " callback.refused in the log"
)
_CHECK: Final = "check --online"

ADVICE: Final[Mapping[InvitationSituation, Advice]] = {
    InvitationSituation.UNKNOWN: Advice(
        "unknown",
        "it was never ordered from this bridge, its order failed, or it is older than `retention`;"
        " no application's id leads to a failed order or to what was deleted.",
        "invitations list --state failed --since 7d",
        "to look for it by time; of an order that was refused at once only the log knows:"
        " request.handled says why",
    ),
    InvitationSituation.BAD_LINK: Advice(
        "the link is not valid",
        "the link was cut or changed when it was copied, or it was signed with a key that is no"
        " longer in `signing_keys`; a click on it gives 404.",
        _SHOW,
        "softgarden gets a new link when it reads the result again",
    ),
    InvitationSituation.DAMAGED: Advice(
        "its record cannot be read",
        "the record is damaged, written by a newer version, or encrypted with a key that is not in"
        " `encryption_keys`.",
        "quarantine list",
        "says which of the three",
    ),
    InvitationSituation.SET_ASIDE: Advice(
        "its customer is set aside",
        "the file of customer {customer} cannot be used, as this command reads it. A daemon that is"
        " started with it lets the customer's work wait; one that runs goes on with the file as it"
        " was.",
        "check",
        "says what is wrong, perhaps only a secret that this shell does not have",
    ),
    InvitationSituation.REMOVED: Advice(
        "its customer is not configured",
        "there is no file for customer {customer}: callbacks get 404, pages 410, and its"
        " work waits.",
        "check",
        "put the file back, or `erase {id}` if the customer has left",
    ),
    InvitationSituation.NOTIFY_REJECTED: Advice(
        "softgarden does not know yet",
        "softgarden does not know this invitation, or {client} may not notify it.",
        _REPLAY,
        "once softgarden has fixed it",
    ),
    InvitationSituation.NOTIFY_UNAUTHORIZED: Advice(
        "softgarden does not know yet",
        "softgarden does not accept {client} of customer {customer}.",
        _REPLAY,
        "once softgarden.client_id is right",
    ),
    InvitationSituation.NOTIFY_NOT_ALLOWED: Advice(
        "softgarden does not know yet",
        "the host of its callback is not below `softgarden.callback_hosts` any more.",
        _REPLAY,
        "once the host is listed and the daemon was restarted",
    ),
    InvitationSituation.NOTIFY_UNREACHABLE: Advice(
        "softgarden does not know yet",
        "softgarden could not be reached, or did not answer, through the whole retry plan.",
        _REPLAY,
        "once softgarden can be reached from here",
    ),
    InvitationSituation.NOTIFY_STATUS: Advice(
        "softgarden does not know yet",
        "softgarden answered {reason} through the whole retry plan.",
        _REPLAY,
        "once softgarden has fixed it",
    ),
    InvitationSituation.NOTIFY_GIVEN_UP: Advice(
        "softgarden does not know yet",
        "its notification was given up: {reason}.",
        _REPLAY,
        "once that is fixed",
    ),
    InvitationSituation.ANONYMISE_REFUSED: Advice(
        "deleted here, not at Equalture",
        "Equalture refuses to anonymise it.",
        _REPLAY,
        "once Equalture has fixed it, or anonymised it by hand",
    ),
    InvitationSituation.HIRE_REFUSED: Advice(
        "not hired at Equalture",
        "Equalture refuses to hire this applicant.",
        _REPLAY,
        "once Equalture has fixed it",
    ),
    InvitationSituation.HIRE_UNKNOWN: Advice(
        "perhaps hired at Equalture",
        "Equalture never said whether the hire was done; it is not repeated by itself.",
        _REPLAY,
        "only if Equalture's dashboard does not show the hire",
    ),
    InvitationSituation.HIRE_WITHOUT_APPLICATION: Advice(
        "not hired at Equalture",
        "Equalture's answer that named the application got lost, so the bridge cannot hire there:"
        " hire this applicant in Equalture's dashboard.",
        _REPLAY,
        "only if the application is known by now",
    ),
    InvitationSituation.HIRE_WAITING: Advice(
        "to be hired at Equalture",
        "Equalture has not taken the hire yet: it does not answer, does not accept the account or"
        " has not said which application it is, or no daemon runs. It is tried again by itself.",
        _CHECK,
        "says whether account and network are fine; `hire {id}` tries it now",
    ),
    InvitationSituation.HIRE_UNCONFIRMED: Advice(
        "perhaps hired at Equalture",
        "Equalture was told of the hire and gave no answer; it is not told twice, but asked"
        " whether it was done.",
        "find {id}",
        "again in a few minutes; if it never says so, this becomes a dead letter",
    ),
    InvitationSituation.HIRE_FORGOTTEN: Advice(
        "perhaps hired at Equalture",
        "Equalture never said whether the hire was done, and the dead letter of it was dropped.",
        "",
        "look into Equalture's dashboard, and hire there by hand if it does not show the hire",
    ),
    InvitationSituation.POISONED: Advice(
        "given up",
        "the bridge itself failed at it ten times; its log has `task.failed` with the reason.",
        _REPLAY,
        "once the bridge is fixed; please report it",
    ),
    InvitationSituation.GIVEN_UP: Advice(
        "given up", "a task was given up: {reason}.", _REPLAY, "once that is fixed"
    ),
    InvitationSituation.ERASED: Advice(
        "deleted", "the candidate's data was deleted, here and at Equalture."
    ),
    InvitationSituation.ERASED_OWED: Advice(
        "deleted here, not yet at Equalture",
        "Equalture has not confirmed the anonymisation yet; the bridge goes on by itself.",
        "invitations list --owed",
        "shows all that Equalture still owes",
    ),
    InvitationSituation.CREATING: Advice(
        "being ordered",
        "the call to Equalture is under way; it is over within moments.",
        "find {id}",
        "again in a minute",
    ),
    InvitationSituation.UNCERTAIN: Advice(
        "perhaps created at Equalture",
        "Equalture gave no usable answer to the create, so softgarden got an error: HR has to"
        " invite once more.",
        "invitations list --uncertain",
        "for Equalture's support, should an application be left over there",
    ),
    InvitationSituation.CREATE_REFUSED: Advice(
        "not created",
        "Equalture refused the application, and softgarden got an error: the job may be gone, or"
        " the account not allowed to use it.",
        "tests {customer}",
        "then HR invites again",
    ),
    InvitationSituation.CREATE_UNAVAILABLE: Advice(
        "not created",
        "Equalture could not be reached, and softgarden got an error.",
        _CHECK,
        "once it is fine, HR invites again",
    ),
    InvitationSituation.CREATE_BROKEN: Advice(
        "not created",
        "Equalture made the application without a link for the candidate; it is anonymised again.",
        "tests {customer}",
        "tell Equalture, then HR invites again",
    ),
    InvitationSituation.NOT_ISSUED: Advice(
        "softgarden never got its id",
        "the answer with its id was lost, so softgarden is not notified of it.",
        "",
        "HR invites again: softgarden then gets this invitation with its result",
    ),
    InvitationSituation.INVITED: Advice(
        "waiting for the candidate",
        "the candidate has not finished, as far as Equalture has said.",
        _REFRESH,
        _ASK,
    ),
    InvitationSituation.STARTED: Advice(
        "the candidate is at it",
        "the candidate began the test and has not finished it, as far as Equalture has said.",
        _REFRESH,
        _ASK,
    ),
    InvitationSituation.OVERDUE: Advice(
        "past its deadline",
        "the deadline is over; it expires with the next check, at the latest a day after it.",
        _REFRESH,
        "asks Equalture now",
    ),
    InvitationSituation.REPORTED: Advice(
        "waiting for Equalture's confirmation",
        "Equalture reported a result that its own answer does not have yet; after an hour the"
        " report counts.",
        _REFRESH,
        "asks Equalture now",
    ),
    InvitationSituation.PROVIDER_SILENT: Advice(
        "waiting for Equalture",
        "Equalture gives no usable answer about it ({reason}).",
        _CHECK,
        "says whether account and network are fine",
    ),
    InvitationSituation.NOTIFY_DUE: Advice(
        "about to be notified",
        "the notification is due and was not tried yet: no daemon runs, or it has a backlog.",
        "healthcheck",
        "says whether the daemon is ready",
    ),
    InvitationSituation.NOTIFY_RETRIED: Advice(
        "softgarden does not know yet",
        "softgarden did not take the notification ({reason}); it is tried again by plan.",
        _SHOW,
        "nothing has to be done while softgarden recovers",
    ),
    InvitationSituation.NOTIFY_RETRIED_UNAUTHORIZED: Advice(
        "softgarden does not know yet",
        "softgarden does not accept {client} of customer {customer}; it is tried again by plan.",
        "check",
        "then correct softgarden.client_id; a reload is enough",
    ),
    InvitationSituation.UNREAD: Advice(
        "softgarden was told, and has not read it",
        "softgarden took the notification, but has not asked for the result since.",
        "",
        "ask softgarden: the rest is on its side",
    ),
    InvitationSituation.DELIVERED: Advice(
        "delivered",
        "softgarden was notified and has read the result: what a recruiter does not see now is on"
        " softgarden's side, or hidden from them there.",
    ),
    InvitationSituation.EXPIRED_DELIVERED: Advice(
        "expired, and softgarden knows",
        "the candidate did not finish in time.",
        _REFRESH,
        "if the candidate says otherwise; else HR invites again",
    ),
}
