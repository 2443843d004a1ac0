"""What a report says, in the reader's language: everything that differs between two reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from bridge.core.display import DisplaySettings
from bridge.core.invitation import Invitation
from bridge.core.result_view import ResultView, TraitView, build_result_view
from bridge.languages import result_words
from bridge.languages.language import Language
from bridge.report.printable_text import make_printable

RUNNING_LENGTH = 40
"""Characters of test and application at the top of each further page, where one line is free."""


@dataclass(frozen=True, slots=True)
class ReportOrder:
    """Whose report is wanted: a completed invitation with its result, and for whom.

    *provider* is the name of who measured, *valid_until* the end of the link to the report.
    """

    invitation: Invitation
    display: DisplaySettings
    provider: str
    valid_until: datetime | None = None


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
        "traits": [_describe_trait(trait, words) for trait in view.traits],
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
    counted = result_words.count_in_range(view, words)
    if counted is None and view.traits:
        counted = words.gettext("There is no wanted range to compare the values with.")
    fit = result_words.describe_fit(view, words)
    return {
        "level": view.fit_level or "unknown",
        "share": f"{view.in_range}/{view.compared}" if view.compared else None,
        "headline": fit or words.gettext("No fit was given"),
        "detail": counted or words.gettext("There are no values of single traits."),
    }


def _describe_trait(trait: TraitView, words: Language) -> dict[str, object]:
    return {
        "name": trait.name,
        "text": trait.text,
        "weight": result_words.describe_weight(trait, words),
        "score": trait.score,
        "ranges": result_words.split_runs(trait.wanted),
        "position": trait.position or "unknown",
        "verdict": result_words.describe_position(trait, words),
        "value": result_words.describe_value(trait, words)
        or result_words.describe_position(trait, words),
    }


def _list_words(view: ResultView, words: Language) -> Mapping[str, str]:
    legend = [words.gettext("Mark with a number: the person's value, from 1 to 5.")]
    if view.compared:
        legend.append(words.gettext("Dotted area: the range wanted for this job."))
    return {
        "traits": words.gettext("Traits"),
        "legend": " ".join(legend),
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
