"""What a report says, in the reader's language: everything that differs between two reports."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from bridge.core.display import DisplaySettings
from bridge.core.interview_guide import InterviewGuide
from bridge.core.invitation import Invitation
from bridge.core.result_view import MOST_GAPS, ResultView, TraitView, build_result_view, list_gaps
from bridge.languages import result_words
from bridge.languages.language import Language
from bridge.report.printable_text import make_printable

RUNNING_LENGTH = 40
"""Characters of test and application at the top of each further page, where one line is free."""


@dataclass(frozen=True, slots=True)
class ReportOrder:
    """Whose report is wanted: a completed invitation with its result, and for whom.

    *provider* is the name of who measured, *valid_until* the end of the link to the report,
    *guide* has the questions for the interview, where the customer wants them.
    """

    invitation: Invitation
    display: DisplaySettings
    provider: str
    valid_until: datetime | None = None
    guide: InterviewGuide | None = None


def write_report(order: ReportOrder, words: Language) -> dict[str, object]:
    """The report's texts as plain data, every one of them printable."""
    invitation, zone = order.invitation, order.display.timezone
    result = invitation.result
    if result is None:
        raise ValueError("a report needs a result")
    view = build_result_view(result)
    completed_at = (invitation.completed_at or invitation.updated_at).astimezone(UTC)
    facts = [
        (words.gettext("Application"), invitation.application_id),
        (words.gettext("Completed on"), words.moment(completed_at, zone)),
    ]
    if order.valid_until is not None:
        facts.append((words.gettext("Link valid until"), words.date(order.valid_until, zone)))
    text: dict[str, object] = {
        "language": words.code,
        "title": words.gettext(
            "%(test)s: result of application %(application)s",
            test=invitation.test_name,
            application=invitation.application_id,
        ),
        "author": order.provider,
        "created": completed_at.timetuple()[:6],
        "origin": _describe_origin(order, words),
        # PDF/UA-1 forbids a heading without text, and a name may have nothing that can be shown.
        "heading": make_printable(invitation.test_name) or words.gettext("Assessment result"),
        "running": (
            invitation.test_name[:RUNNING_LENGTH],
            invitation.application_id[:RUNNING_LENGTH],
        ),
        "facts": facts,
        "fit": _describe_fit(view, words),
        "gaps": _list_gaps(view, words),
        "traits": [_describe_trait(trait, view, order.guide, words) for trait in view.traits],
        "summary": view.summary,
        "explanation": [words.gettext(sentence) for sentence in result_words.EXPLANATION],
        "confidential": words.gettext(result_words.CONFIDENTIAL),
        "reference": invitation.id,
        "page": words.gettext("Page %(page)s of %(pages)s", page="{page}", pages="{pages}"),
        "words": _list_words(view, words),
    }
    return {key: _make_printable(value) for key, value in text.items()}


def _describe_origin(order: ReportOrder, words: Language) -> str:
    employer = order.display.name
    what = words.gettext("Assessment result")
    if not employer:
        return f"{what} · {order.provider}"
    whose = words.gettext(
        "%(provider)s for %(employer)s", provider=order.provider, employer=employer
    )
    return f"{what} · {whose}"


def _describe_fit(view: ResultView, words: Language) -> dict[str, object]:
    """The answer in one glance; *level* is none of ours where the provider says nothing we know."""
    fit, counted = result_words.describe_fit(view, words), result_words.count_in_range(view, words)
    if counted:
        headline, detail = fit or counted, counted if fit else ""
    elif view.traits:
        headline = fit or words.gettext("Values without comparison")
        detail = words.gettext("There is no wanted range to compare the values with.")
    else:
        headline = fit or words.gettext("No fit was given")
        detail = words.gettext("There are no values of single traits.")
    return {
        "level": view.fit_level or "unknown",
        "share": f"{view.in_range}/{view.compared}" if view.compared else None,
        "headline": headline,
        "detail": detail,
    }


def _list_gaps(view: ResultView, words: Language) -> dict[str, object]:
    """What to ask about first; *more* is empty where all are named."""
    gaps = list_gaps(view)
    left = len(gaps) - MOST_GAPS
    return {
        "named": [
            {
                "name": trait.name,
                "position": trait.position,
                "verdict": result_words.describe_position(trait, words),
            }
            for _, trait in gaps[:MOST_GAPS]
        ],
        "more": words.ngettext("and %(num)s more", "and %(num)s more", left) if left > 0 else "",
    }


def _describe_trait(
    trait: TraitView, view: ResultView, guide: InterviewGuide | None, words: Language
) -> dict[str, object]:
    position = result_words.describe_position(trait, words)
    question = result_words.choose_question(trait, guide, words)
    return {
        "name": trait.name,
        "text": trait.text,
        "weight": result_words.describe_weight(trait, words),
        "score": trait.score,
        "ranges": result_words.split_runs(trait.wanted),
        "position": trait.position or "unknown",
        "verdict": position if view.compared or trait.score is None else "",
        "value": result_words.describe_value(trait, words) or position,
        "question": None
        if question is None
        else {"heading": words.gettext(result_words.ASK), **question._asdict()},
    }


def _list_words(view: ResultView, words: Language) -> dict[str, object]:
    legend = {"value": words.gettext("value of the person, 1 to 5")}
    if view.compared:
        legend["outside"] = words.gettext("value outside the wanted range")
        legend["wanted"] = words.gettext("range that this job asks for")
    return {
        "ask": words.gettext("Worth a question in the interview:"),
        "traits": words.gettext("Traits"),
        "legend": legend,
        "trait": words.gettext("Trait"),
        "value": words.gettext("Value"),
        "comparison": words.gettext("Comparison"),
        "summary": words.gettext("More about this result"),
        "meaning": words.gettext("What was found"),
        "how_to_read": words.gettext(result_words.HOW_TO_READ),
    }


def _make_printable(value: object) -> object:
    match value:
        case str():
            return make_printable(value)
        case dict():
            return {key: _make_printable(one) for key, one in value.items()}
        case list() | tuple():
            return [_make_printable(one) for one in value]
        case _:
            return value
