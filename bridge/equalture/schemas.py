"""Equalture's JSON in every variant its pages show, turned into core values.

Short answers with required fields are marshmallow schemas; job lists and reports are read leniently
by hand, since there an odd part must be left out and not fail the rest. Everything here raises
``ValueError`` and nothing else, with a message that names fields but never repeats their content.

Fields that the pages do not name are ignored everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from marshmallow import EXCLUDE, Schema, ValidationError, fields

from bridge.core.assessment import (
    ApplicationProgress,
    CreatedApplication,
    Job,
    PublicLink,
    Result,
    Trait,
)
from bridge.core.customers import DONE_WORDS

TEXT_LIMIT = 500
"""Characters kept of a display text."""
LINK_LIMIT = 4096
"""Characters of the longest link that is believed."""
ITEMS_LIMIT = 100
"""Traits and summary lines kept of one report."""
SCORES = range(1, 6)
NOT_YET_WORDS = frozenset({"invited", "pending", "started", "in progress", "in_progress"})
"""Words that cannot mean finished.

None is documented; any other is logged once, in case that it does mean it.
"""

HIRED_WORD = "hired"

_ALL_BUT_LAST_WORD = re.compile(r"^.*[_.]", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x20\x7f-\xa0]+")
_HOST = re.compile(r"[\w.:\[\]-]+")
_TOKEN = re.compile(r"[\x21-\x7e]{1,8192}")
_UNIT_S = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hour", "hours"), 3600),
}


# https://equalture-ats.readme.io/reference/introduction, "Request for Access token"
def read_token(answer: object) -> str:
    """The token in ``{"access_token": "..."}``."""
    token: str = _load(_TOKEN_ANSWER, answer)["access_token"]
    return token


# https://equalture-ats.readme.io/reference/introduction, "Listing available jobs"
def read_jobs(answer: object) -> tuple[Job, ...]:
    """The jobs, each id once, in Equalture's order.

    Today's page shows a bare list, older versions ``{"jobs": [...]}``; ``{"data": [...]}`` is read
    too. Entries without an id are skipped, a missing name is the id. An empty list is believed; one
    in which nothing is a job is not, since HR would take "no tests" for the truth.
    """
    entries = answer
    if isinstance(answer, dict):
        entries = answer.get("jobs", answer.get("data"))
    if not isinstance(entries, list):
        raise ValueError("neither a list nor an object with a list under jobs or data")
    jobs: dict[str, Job] = {}
    for entry in entries:
        job_id = _opaque(entry.get("id")) if isinstance(entry, dict) else None
        if job_id is not None:
            jobs.setdefault(job_id, Job(id=job_id, name=_text(entry.get("name")) or job_id))
    if entries and not jobs:
        raise ValueError("no entry of the list has an id")
    return tuple(jobs.values())


# https://equalture-ats.readme.io/reference/introduction, "Creating an application"
# and "Invitation types"
def read_created(answer: object, *, mailed: bool = False) -> CreatedApplication:
    """The application just made; without a usable link its *assessment_url* is None, and so it is
    where Equalture mails it: the candidate shall not have two.
    """
    created = _load(_CREATED_ANSWER, answer)
    # It exists as soon as it has a reference, so an odd link must not lose that.
    link = None if mailed else _link(created["assessment_url"])
    return CreatedApplication(created["reference_id"], link, mailed)


# https://equalture-ats.readme.io/reference/introduction, "5c. Requesting status":
# "completed, with results available, or still in progress"
def read_progress(answer: object, done_words: Iterable[str] = DONE_WORDS) -> ApplicationProgress:
    """How far an application is."""
    # Assumption: a candidate hired after completion may be reported as "hired", a state that
    # "Hiring an applicant" names; the results are asked for next and decide. Only "completed" is
    # documented; setting equalture.done_words.
    word: str = _load(_STATUS_ANSWER, answer)["status"]
    low = " ".join(word.lower().split())
    done = low in {" ".join(one.lower().split()) for one in done_words}
    # Assumption: "Hiring an applicant" names the state, "Requesting status" no word for it; it is
    # asked for only after a hire that got no usable answer. No setting.
    hired = low == HIRED_WORD
    return ApplicationProgress(
        done=done, word=word, known=done or hired or low in NOT_YET_WORDS, hired=hired
    )


# https://equalture-ats.readme.io/reference/introduction, "5a. Requesting a public link"
def read_public_link(answer: object) -> PublicLink:
    """The link without login; a life that cannot be read is None."""
    link = _load(_PUBLIC_LINK_ANSWER, answer)
    return PublicLink(link["url"], _life_s(link["ttl"], link["ttl_units"]))


# https://equalture-ats.readme.io/reference/introduction,
# "Receiving application results upon completion" and "5b. Requesting results"
def read_reported_result(answer: object) -> Result | None:
    """A result, from a callback's body or from GET results; None: nothing usable in it.

    Both have ``fit``, ``results_url``, ``scores`` and ``detailed_scores``. Only these are kept,
    bounded in number and length; whatever is missing, null or of another type is left out. Never
    raises.
    """
    if not isinstance(answer, dict):
        return None
    result = Result(
        fit=_text(answer.get("fit")),
        dashboard_url=_link(answer.get("results_url")),
        summary=_summary(answer.get("scores")),
        traits=_traits(answer.get("detailed_scores")),
    )
    return None if result == Result() else result


@dataclass(frozen=True, slots=True)
class ProviderEvent:
    """A webhook's event; *word* is ``started`` or ``finished``, or empty for any other."""

    word: str
    reference_id: str | None
    at: datetime | None = None


# https://equalture-ats.readme.io/reference/webhooks-1
def read_event(
    answer: object, started: Iterable[str] = ("started",), finished: Iterable[str] = ("finished",)
) -> ProviderEvent:
    """A webhook's event, read leniently: what cannot be read is left out."""
    # Assumption: the page's list says application_started, its samples assessment_started, so the
    # end of the name decides. Settings: equalture.started_words, equalture.finished_words.
    # Assumption: application_start_date, which has no zone, is in UTC. No setting: it only opens
    # the grace period.
    event = answer if isinstance(answer, dict) else {}
    data = event.get("data")
    data = data if isinstance(data, dict) else {}
    kind = event.get("type")
    name = kind.strip().lower() if isinstance(kind, str) else ""
    meant = {name, _ALL_BUT_LAST_WORD.sub("", name)} - {""}
    word = ""
    for our_word, words in (("started", started), ("finished", finished)):
        if meant & {one.strip().lower() for one in words}:
            word = our_word
    return ProviderEvent(
        word, _opaque(data.get("reference_id")), _time(data.get("application_start_date"))
    )


def _time(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _summary(scores: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(scores, dict):
        return ()
    lines = ((_text(name), _text(value)) for name, value in scores.items())
    return tuple((name, value) for name, value in lines if name and value)[:ITEMS_LIMIT]


def _traits(detailed: object) -> tuple[Trait, ...]:
    if not isinstance(detailed, list):
        return ()
    traits = (_trait(item) for item in detailed if isinstance(item, dict))
    return tuple(trait for trait in traits if trait is not None)[:ITEMS_LIMIT]


def _trait(item: Mapping[str, object]) -> Trait | None:
    code = _text(item.get("trait_code")) or ""
    name = _text(item.get("trait_name")) or code
    if not name:
        return None
    # Assumption: a job without a competency profile gives null or no competency_profile; the page
    # shows only jobs with one.
    profile = item.get("competency_profile")
    if not isinstance(profile, dict):
        profile = {}
    wanted = profile.get("range")
    return Trait(
        code=code,
        name=name,
        score=_score(item.get("trait_bucket_score")),
        description=_text(item.get("trait_bucket_description")) or "",
        wanted=tuple(sorted({s for s in map(_score, wanted) if s}))
        if isinstance(wanted, list)
        else (),
        # Assumption: priority is how much the trait counts for the job; low and medium are shown,
        # so high is likely. No setting: another word is not shown.
        weight=_text(profile.get("priority")) or "",
    )


def _score(value: object) -> int | None:
    # Only 3 and 5 are shown as scores, 1 to 5 as range; True would pass for 1.
    return value if type(value) is int and value in SCORES else None


def _text(value: object) -> str | None:
    """A display text in one line, without control characters, cut to the limit; None where there is
    none.
    """
    if not isinstance(value, str):
        return None
    return _CONTROL.sub(" ", value).strip()[:TEXT_LIMIT].strip() or None


def _opaque(value: object) -> str | None:
    """An id.

    The page says UUID and shows others, so anything that can be written down goes; numbers become
    text.
    """
    if type(value) is int:
        return str(value)
    return value if isinstance(value, str) and value.strip() else None


def _link(value: object) -> str | None:
    """An absolute http(s) link without user, blanks or control characters; None for everything
    else.
    """
    if (
        not isinstance(value, str)
        or len(value) > LINK_LIMIT
        or not value.isprintable()
        or set(value) & {" ", "\\"}
    ):
        return None
    try:
        parts = urlsplit(value)
        # The host goes into a Content-Security-Policy, in which punctuation has a meaning.
        fine = (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and _HOST.fullmatch(parts.netloc) is not None
        )
        _ = parts.port  # raises where it is no number
    except ValueError:
        return None
    return value if fine else None


def _token(value: object) -> str | None:
    # It goes into a header; aiohttp refuses line ends there with a bare ValueError.
    return value if isinstance(value, str) and _TOKEN.fullmatch(value) else None


def _life_s(ttl: object, units: object) -> int | None:
    """Seconds of ``"ttl": "120", "ttl_units": "minutes"``: the number is drawn as a string, both
    are read leniently.
    """
    if isinstance(ttl, str) and re.fullmatch(r"\s*[0-9]{1,9}\s*", ttl):
        ttl = int(ttl)
    if type(ttl) is not int or ttl <= 0 or not isinstance(units, str):
        return None
    unit = _UNIT_S.get(units.strip().lower())
    return ttl * unit if unit else None


class _Readable(fields.Field[str]):
    """A required field that *read* makes something of."""

    def __init__(self, read: Callable[[object], str | None]) -> None:
        super().__init__(required=True)
        self._read = read

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        found = self._read(value)
        if found is None:
            raise ValidationError("Unusable.")
        return found


class _Answer(Schema):
    class Meta:
        unknown = EXCLUDE


class _TokenAnswer(_Answer):
    access_token = _Readable(_token)


class _CreatedAnswer(_Answer):
    reference_id = _Readable(_opaque)
    assessment_url = fields.Raw(load_default=None, allow_none=True)


class _StatusAnswer(_Answer):
    status = _Readable(_text)


class _PublicLinkAnswer(_Answer):
    url = _Readable(_link)
    ttl = fields.Raw(load_default=None, allow_none=True)
    ttl_units = fields.Raw(load_default=None, allow_none=True)


_TOKEN_ANSWER = _TokenAnswer()
_CREATED_ANSWER = _CreatedAnswer()
_STATUS_ANSWER = _StatusAnswer()
_PUBLIC_LINK_ANSWER = _PublicLinkAnswer()


def _load(schema: Schema, answer: Any) -> dict[str, Any]:
    try:
        loaded: dict[str, Any] = schema.load(answer)
    except ValidationError as error:
        # The names are ours: unknown fields are excluded, so nothing of the answer gets into the
        # message.
        names = sorted(error.messages) if isinstance(error.messages, dict) else []
        what = ", ".join(name for name in names if name != "_schema") or "the answer as a whole"
        msg = f"missing or unusable: {what}"
        raise ValueError(msg) from None
    return loaded
