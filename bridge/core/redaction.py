"""What may be kept of a vendor's words: enough to see what went wrong, nothing that could be a
person.

A vendor's error text may name the candidate, whom the bridge does not know by name and so cannot
look for. So it is the other way round: words that belong to errors and protocols are known, and
whatever else there is gets masked. What only as a whole is no name ("has already been taken":
Taken, Blank and Left are surnames) is known as a phrase.
"""

from __future__ import annotations

import re

LIMIT = 2048
MASK = "***"

_COUNT = r"(?:[0-9]{1,6}|%\{(?:count|number)\})"
_APOSTROPHE = r"(?:'|\u2019|\\u0027|\\u2019|&\#39;|&\#x27;|&apos;)"
# Assumption: Equalture is a Phoenix application (its tokens look like it), so its refusals are the
# standard messages of Ecto's changesets under the names of fields: {"errors": {"email": ["has
# already been taken"]}}.
_PHRASES = (
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
    "(?:no|not enough|insufficient|out of)(?: more)? credits?(?: left| remaining| available)?",
    "applicant_details|(?:first|last)_name|(?:first|last) name|job_id|callback_url|invitation_type|reference_id",
)
_TOKEN = re.compile(
    rf"(?P<phrase>(?<![^\W_])(?:{'|'.join(_PHRASES)})(?![^\W_]))|[^\W_]+", re.IGNORECASE
)
_PLAIN_NUMBER = re.compile(r"[0-9]{1,4}", re.ASCII)
_KNOWN_WORDS = (
    "a about after again all already also an and any are as at be because been before both but by can cannot could did do "
    "does done each either else every for from get given had has have how if in into is it its later less many more most "
    "must need needed neither never no none nor not now of off on once one only or other our out over please same see seem "
    "seems should since so some such than that the their then there these this those to too try tried twice under until up "
    "use used valid via wait was we were what when where whether which while why will with within without would yet you your "
    "accept accepted access account action active allowed anonymise anonymised anonymize anonymized api applicant "
    "application applications argument arguments assessment assessments async attempt attempts auth authentication "
    "authorization available backend bad base64 basic bearer blocked body boolean broken browser bug busy bytes cache call "
    "callback canceled cancelled candidate change changed characters check client closed cluster code company complete "
    "completed config configuration conflict connect connection constraint content context contract cookie corrupt could "
    "create created credentials current data database date deadlock debug decode default delete deleted denied deployment "
    "deprecated description detail details disabled disk domain down duplicate email empty enabled encoding end endpoint "
    "entity entry equalture error errors event exceeded exception exist existing exists expected expired expires fail failed "
    "failure false fatal fault fetch field fields file finished flag forbidden format found gateway gone handler header "
    "headers hire hired host html http https id ids ignored illegal immediately in_progress index input instance integer "
    "interface internal interrupted invalid invitation invitations issue item job jobs json key language large length limit "
    "link list load locale lock locked log login long lost maintenance malformed maximum media memory message messages method "
    "minimum minute minutes missing mode moved name network new node null number object offline ok old open operation option "
    "order organisation organization overloaded page parameter parameters parse password payload pending permanently "
    "permission permissions phase phoenix plug plan pool position present private problem process processing profile progress "
    "property provided proxy public publish published query queue quota range rate reached read ready reason received record "
    "redirect reference refused region rejected release reload report request requested requests required reset resource "
    "response restart result results retry role route row rows rule scheduled schema scope score scores second seconds send "
    "sent server service session short slow softgarden source stack started state status step stopped store string support "
    "supported syntax system target task team temporarily temporary test tests text throttled time timed timeout timestamp "
    "title token tokens traceback trait traits true type unable unauthorized unavailable undefined unexpected unique unknown "
    "unpublished unprocessable unsupported update updated upgrade upstream url usage user username utf uuid validate "
    "validation value values version violation warning web worker write wrong xml zone "
    "abgelaufen anfrage antwort bereits bitte bewerbung datenbank daten der die das eine ein einladung erneut fehler fehlt "
    "fehlgeschlagen gefunden gelöscht gesperrt ist kandidat kein keine konnte nicht oder server sind spaeter später stelle "
    "unbekannt und ungültig verweigert vorhanden werden wurde zeit zugriff"
)
_KNOWN = frozenset(_KNOWN_WORDS.split(" "))


def redact_unknown_words(text: str) -> str:
    """*text* with all masked that is not a known word, a known phrase or a short number, cut to 2
    kB.
    """
    return _TOKEN.sub(_masked, text[:LIMIT])[:LIMIT]


def _masked(match: re.Match[str]) -> str:
    word = match[0]
    return (
        word if match["phrase"] or word.lower() in _KNOWN or _PLAIN_NUMBER.fullmatch(word) else MASK
    )
