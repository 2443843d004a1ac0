"""What may be kept of a vendor's error text: enough to see what went wrong, nothing that could name
a person.

A vendor's error text may name the candidate, and the bridge does not always know the name, so it
cannot search for it. Therefore only listed words of errors and protocols are kept; everything else
is masked. Words that are harmless only within a phrase ("has already been taken": Taken, Blank and
Left are surnames) are listed as a phrase.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

EXCERPT_BYTES = 2048
MASK = "***"
UNPRINTABLE = "(unprintable)"
"""Replaces every status that is not a plain word: the provider's text is free and could name a
person.
"""

_WORD = re.compile(r"[^\W_]+")
_VOCABULARY = re.compile(r"[a-z_-]{1,40}", re.ASCII)
_BLANK = re.compile(r"[\x00-\x1f\x7f-\x9f\s]+")
_SHORT_NUMBER = re.compile(r"[0-9]{1,4}", re.ASCII)
_COMMON_WORDS = """
a about after again all already also an and any are as at be because been before both but by can
cannot could did do does done each either else every for from get given had has have how if in
into is it its later less many more most must need needed neither never no none nor not now of
off on once one only or other our out over please same see seem seems should since so some such
than that the their then there these this those to too try tried twice under until up use used
valid via wait was we were what when where whether which while why will with within without
would yet you your accept accepted access account action active allowed anonymise anonymised
anonymize anonymized api applicant application applications argument arguments assessment
assessments async attempt attempts auth authentication authorization available backend bad
base64 basic bearer blocked body boolean broken browser bug busy bytes cache call callback
canceled cancelled candidate change changed characters check client closed cluster code company
complete completed config configuration conflict connect connection constraint content context
contract cookie corrupt create created credentials current data database date deadlock debug
decode default delete deleted denied deployment deprecated description detail details disabled
disk domain down duplicate email empty enabled encoding end endpoint entity entry error errors
event exceeded exception exist existing exists expected expired expires fail failed failure
false fatal fault fetch field fields file finished flag forbidden format found gateway gone
handler header headers hire hired host html http https id ids ignored illegal immediately
in_progress index input instance integer interface internal interrupted invalid invitation
invitations issue item job jobs json key language large length limit link list load locale lock
locked log login long lost maintenance malformed maximum media memory message messages method
minimum minute minutes missing mode moved name network new node null number object offline ok
old open operation option order organisation organization overloaded page parameter parameters
parse password payload pending permanently permission permissions phase plan pool position
present private problem process processing profile progress property provided proxy public
publish published query queue quota range rate reached read ready reason received record
redirect reference refused region rejected release reload report request requested requests
required reset resource response restart result results retry role route row rows rule scheduled
schema scope score scores second seconds send sent server service session short slow source
stack started state status step stopped store string support supported syntax system target task
team temporarily temporary test tests text throttled time timed timeout timestamp title token
tokens traceback trait traits true type unable unauthorized unavailable undefined unexpected
unique unknown unpublished unprocessable unsupported update updated upgrade upstream url usage
user username utf uuid validate validation value values version violation warning web worker
write wrong xml zone abgelaufen anfrage antwort bereits bitte bewerbung datenbank daten der die
das eine ein einladung erneut fehler fehlt fehlgeschlagen gefunden gelöscht gesperrt ist
kandidat kein keine konnte nicht oder sind spaeter später stelle unbekannt und ungültig
verweigert vorhanden werden wurde zeit zugriff
"""
_KNOWN = frozenset(_COMMON_WORDS.split())


class Redactor:
    """Keeps known words and short numbers, masks the rest.

    *words* and *phrases* (patterns) are those of one vendor, kept besides the common ones.
    """

    def __init__(self, words: Iterable[str] = (), phrases: Iterable[str] = ()) -> None:
        self._known = _KNOWN.union(words)
        # A phrase, a word, or characters that may be part of a name: ASCII punctuation never is.
        whole = rf"(?<![^\W_])(?:{'|'.join(phrases) or '(?!)'})(?![^\W_])"
        self._part = re.compile(rf"(?P<phrase>{whole})|[^\W_]+|[^\x00-\x7f]+", re.IGNORECASE)

    def redact(self, body: bytes, private: Iterable[str] = ()) -> str:
        """What may be kept of an answer: one line of at most ``EXCERPT_BYTES`` characters.

        The rest of *body* is left out. The words of *private* are masked even if they are listed:
        they were just sent, and may be a person's name (Will, Page).
        """
        text = " ".join(_BLANK.split(body[:EXCERPT_BYTES].decode("utf-8", "replace"))).strip()
        hidden = {word.lower() for sent in private for word in _WORD.findall(sent)}
        # The last word before the cut may be part of a longer one ("Will" of Williams).
        cut_at = len(text) if len(body) >= EXCERPT_BYTES else None

        def masked(match: re.Match[str]) -> str:
            if match.end() == cut_at:
                return MASK
            if match["phrase"]:
                return _WORD.sub(lambda one: MASK if one[0].lower() in hidden else one[0], match[0])
            word = match[0].lower()
            known = word in self._known or _SHORT_NUMBER.fullmatch(word)
            return match[0] if known and word not in hidden else MASK

        return self._part.sub(masked, text)[:EXCERPT_BYTES]


def mask_unprintable_word(word: str) -> str:
    """*word* as it may be logged: one of letters, ``_`` and ``-``, or ``UNPRINTABLE``."""
    low = word.strip().lower()
    return low if _VOCABULARY.fullmatch(low) else UNPRINTABLE
