"""Words and phrases of Equalture's refusals that name no person."""

from __future__ import annotations

from bridge.core.redaction import Redactor

_COUNT = r"(?:[0-9]{1,6}|%\{(?:count|number)\})"
_APOSTROPHE = r"(?:'|\u2019|\\u0027|\\u2019|&\#39;|&\#x27;|&apos;)"
# Assumption: Equalture is a Phoenix application (its tokens look like it), so its refusals are the
# standard messages of Ecto's changesets under the names of fields:
# {"errors": {"email": ["has already been taken"]}}.
# https://hexdocs.pm/ecto/Ecto.Changeset.html
_CHANGESET_MESSAGES = (
    "has already been taken",
    "(?:is|was|has) already (?:been )?(?:taken|used|invited|registered|applied)",
    f"can(?:{_APOSTROPHE}|no)t be (?:blank|empty)",
    "is reserved",
    "has an invalid entry",
    "must be accepted",
    "does not match(?: confirmation)?",
    "(?:is|are) still associated with this entry",
    rf"should (?:be|have)(?: at (?:least|most))? {_COUNT} (?:character|byte|item)(?:\(s\)|s)?",
    f"must be (?:less than|greater than|equal to)(?: or equal to)? {_COUNT}",
)
_CREDITS = (
    "(?:no|not enough|insufficient|out of)(?: more)? credits?(?: left| remaining| available)?"
)
# https://equalture-ats.readme.io/reference/introduction, "Creating an application"
_FIELDS = (
    "applicant_details|(?:first|last)_name|(?:first|last) name|job_id|callback_url"
    "|invitation_type|reference_id"
)

REDACTOR = Redactor(("equalture", "phoenix", "plug"), (*_CHANGESET_MESSAGES, _CREDITS, _FIELDS))
