"""Equalture's JSON in every variant its pages show, turned into core values.

Short answers with required fields are marshmallow schemas; job lists and reports are read leniently
by hand, since there an odd part must be left out and not fail the rest. Everything here raises
``ValueError`` and nothing else, with a message that names fields but never repeats their content.

Fields that the pages do not name are ignored everywhere.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

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
from bridge.equalture.field_readers import (
    read_header_token,
    read_id,
    read_life_s,
    read_link,
    read_text,
    read_time,
)

ITEMS_LIMIT = 100
"""Traits and summary lines kept of one report."""
SCORES = range(1, 6)
NOT_YET_WORDS = frozenset({"invited", "pending", "started", "in progress", "in_progress"})
"""Words that cannot mean finished.

None is documented; any other is logged once, in case that it does mean it.
"""

HIRED_WORD = "hired"

_ALL_BUT_LAST_WORD = re.compile(r"^.*[_.]", re.DOTALL)


# https://equalture-ats.readme.io/reference/introduction, "Request for Access token"
def read_token(answer: object) -> str:
    """The token in ``{"access_token": "..."}``."""
    token: str = load_answer(_TOKEN_ANSWER, answer)["access_token"]
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
        job_id = read_id(entry.get("id")) if isinstance(entry, dict) else None
        if job_id is not None:
            jobs.setdefault(job_id, Job(id=job_id, name=read_text(entry.get("name")) or job_id))
    if entries and not jobs:
        raise ValueError("no entry of the list has an id")
    return tuple(jobs.values())


# https://equalture-ats.readme.io/reference/introduction, "Creating an application"
# and "Invitation types"
def read_created(answer: object, *, mailed: bool = False) -> CreatedApplication:
    """The application just made; without a usable link its *assessment_url* is None, and so it is
    where Equalture mails it: the candidate shall not have two.
    """
    created = load_answer(_CREATED_ANSWER, answer)
    # It exists as soon as it has a reference, so an odd link must not lose that.
    link = None if mailed else read_link(created["assessment_url"])
    return CreatedApplication(created["reference_id"], link, mailed)


# https://equalture-ats.readme.io/reference/introduction, "5c. Requesting status":
# "completed, with results available, or still in progress"
def read_progress(answer: object, done_words: Iterable[str] = DONE_WORDS) -> ApplicationProgress:
    """How far an application is."""
    # Assumption: a candidate hired after completion may be reported as "hired", a state that
    # "Hiring an applicant" names; the results are asked for next and decide. Only "completed" is
    # documented; setting equalture.done_words.
    word: str = load_answer(_STATUS_ANSWER, answer)["status"]
    low = _fold(word)
    done = low in _fold_all(tuple(done_words))
    # Assumption: "Hiring an applicant" names the state, "Requesting status" no word for it; it is
    # asked for only after a hire that got no usable answer. No setting.
    hired = low == HIRED_WORD
    return ApplicationProgress(
        done=done, word=word, known=done or hired or low in NOT_YET_WORDS, hired=hired
    )


def _fold(words: str) -> str:
    return " ".join(words.lower().split())


@functools.lru_cache(maxsize=256)
def _fold_all(words: tuple[str, ...]) -> frozenset[str]:
    return frozenset(map(_fold, words))


# https://equalture-ats.readme.io/reference/introduction, "5a. Requesting a public link"
def read_public_link(answer: object) -> PublicLink:
    """The link without login; a life that cannot be read is None."""
    link = load_answer(_PUBLIC_LINK_ANSWER, answer)
    return PublicLink(link["url"], read_life_s(link["ttl"], link["ttl_units"]))


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
    fit, link = read_text(answer.get("fit")), read_link(answer.get("results_url"))
    summary, traits = _summary(answer.get("scores")), _traits(answer.get("detailed_scores"))
    if fit is None and link is None and not summary and not traits:
        return None
    return Result(fit=fit, dashboard_url=link, summary=summary, traits=traits)


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
        word,
        read_id(data.get("reference_id")),
        read_time(data.get("application_start_date")),
    )


def _summary(scores: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(scores, dict):
        return ()
    lines = [(read_text(name), read_text(value)) for name, value in scores.items()]
    return tuple([(name, value) for name, value in lines if name and value][:ITEMS_LIMIT])


def _traits(detailed: object) -> tuple[Trait, ...]:
    if not isinstance(detailed, list):
        return ()
    traits = [_trait(item) for item in detailed if isinstance(item, dict)]
    return tuple([trait for trait in traits if trait is not None][:ITEMS_LIMIT])


def _trait(item: Mapping[str, object]) -> Trait | None:
    code = read_text(item.get("trait_code")) or ""
    name = read_text(item.get("trait_name")) or code
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
        description=read_text(item.get("trait_bucket_description")) or "",
        wanted=_wanted_scores(wanted) if isinstance(wanted, list) else (),
        # Assumption: priority is how much the trait counts for the job; low and medium are shown,
        # so high is likely. No setting: another word is not shown.
        weight=read_text(profile.get("priority")) or "",
    )


def _wanted_scores(scores: list[object]) -> tuple[int, ...]:
    wanted = {one for one in scores if type(one) is int}  # True would pass for 1
    return tuple([score for score in SCORES if score in wanted])


def _score(value: object) -> int | None:
    # Only 3 and 5 are shown as scores, 1 to 5 as range; True would pass for 1.
    return value if type(value) is int and value in SCORES else None


class _Readable(fields.Field[str]):
    """A required field that *read* makes something of."""

    def __init__(self, read: Callable[[object], str | None]) -> None:
        super().__init__(required=True)
        self.read = read

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        found = self.read(value)
        if found is None:
            raise ValidationError("Unusable.")
        return found


class _Answer(Schema):
    class Meta:
        unknown = EXCLUDE


class TokenAnswer(_Answer):
    """An access token."""

    access_token = _Readable(read_header_token)


class CreatedAnswer(_Answer):
    """The application just made."""

    reference_id = _Readable(read_id)
    assessment_url = fields.Raw(load_default=None, allow_none=True)


class StatusAnswer(_Answer):
    """How far an application is."""

    status = _Readable(read_text)


class PublicLinkAnswer(_Answer):
    """A link without login, and its life."""

    url = _Readable(read_link)
    ttl = fields.Raw(load_default=None, allow_none=True)
    ttl_units = fields.Raw(load_default=None, allow_none=True)


_TOKEN_ANSWER = TokenAnswer()
_CREATED_ANSWER = CreatedAnswer()
_STATUS_ANSWER = StatusAnswer()
_PUBLIC_LINK_ANSWER = PublicLinkAnswer()


def load_answer(schema: Schema, answer: Any) -> dict[str, Any]:
    """The fields of an answer; raises ``ValueError`` naming those that are missing or unusable."""
    plain = _load_plainly(schema, answer)
    if plain is not None:
        return plain
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


def _load_plainly(schema: Schema, answer: object) -> dict[str, Any] | None:
    """What *schema* loads, of an answer that it loads without a complaint; None: ask it."""
    if type(answer) is not dict:
        return None
    loaded = {}
    for name, field in schema.fields.items():
        value = answer.get(name)
        if isinstance(field, _Readable):
            value = field.read(value)
            if value is None:
                return None
        loaded[name] = value
    return loaded
