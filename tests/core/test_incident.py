"""When what is wrong is said again, when it is forgotten, and when a post is given up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bridge.core.incident import (
    DAY,
    HOUR,
    POST_RETRY_DELAYS,
    AlertPost,
    Incident,
    IncidentKind,
    OpenIncident,
    decide_next_attempt,
)

NOW = datetime(2026, 1, 6, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def incident(kind: IncidentKind = IncidentKind.DEAD_LETTER) -> Incident:
    """Something that is wrong."""
    return Incident(kind, "acme", "", "Something is wrong.", "assessment-bridge check")


def known(kind: IncidentKind, *, said: timedelta, news: timedelta) -> OpenIncident:
    """An incident that was said, and had something new, that long ago."""
    return OpenIncident(incident(kind), NOW - said, NOW - news)


@pytest.mark.parametrize(
    ("kind", "said", "news", "repeated"),
    [
        (IncidentKind.DEAD_LETTER, HOUR - SECOND, SECOND, False),
        (IncidentKind.DEAD_LETTER, HOUR, SECOND, True),
        (IncidentKind.DEAD_LETTER, HOUR, HOUR, False),
        (IncidentKind.DEAD_LETTER, DAY, DAY, True),
        (IncidentKind.UNAUTHORIZED, HOUR, SECOND, False),
        (IncidentKind.UNAUTHORIZED, DAY, SECOND, True),
        (IncidentKind.UNAUTHORIZED, DAY, DAY, False),
        (IncidentKind.ORPHAN, HOUR, SECOND, True),
        (IncidentKind.ORPHAN, 9 * DAY, 9 * DAY, False),
        (IncidentKind.RELOAD_REFUSED, DAY, DAY, True),
        (IncidentKind.WAITING, DAY, SECOND, True),
        (IncidentKind.WAITING, HOUR, SECOND, False),
    ],
)
def test_said_again(
    kind: IncidentKind, said: timedelta, news: timedelta, *, repeated: bool
) -> None:
    """News are said again after a pause; what stays until somebody acts, every day."""
    assert known(kind, said=said, news=news).is_repeated(NOW) is repeated


@pytest.mark.parametrize(
    ("kind", "said", "news", "over"),
    [
        (IncidentKind.ORPHAN, HOUR, HOUR, True),
        (IncidentKind.ORPHAN, HOUR - SECOND, HOUR, False),
        (IncidentKind.ORPHAN, HOUR, SECOND, False),
        (IncidentKind.UNAUTHORIZED, DAY, 2 * DAY, True),
        (IncidentKind.UNAUTHORIZED, DAY, DAY, False),
        (IncidentKind.DEAD_LETTER, 9 * DAY, 9 * DAY, False),
        (IncidentKind.RELOAD_REFUSED, 9 * DAY, 9 * DAY, False),
    ],
)
def test_over_by_itself(
    kind: IncidentKind, said: timedelta, news: timedelta, *, over: bool
) -> None:
    """What nothing would ever tell the end of is forgotten some time after its last news."""
    assert known(kind, said=said, news=news).ends_by_itself(NOW) is over


def test_one_is_one() -> None:
    """Two reports of one customer and kind are the same, whatever they say; others are not."""
    first = incident()
    again = Incident(IncidentKind.DEAD_LETTER, "acme", "", "Another one.", "another command")
    assert first.key == again.key
    others = {
        Incident(IncidentKind.DEAD_LETTER, "globex", "", "", "").key,
        Incident(IncidentKind.WAITING, "acme", "result", "", "").key,
        Incident(IncidentKind.WAITING, "acme", "work", "", "").key,
    }
    assert len(others | {first.key}) == 4


def test_a_post_is_given_up_in_the_end() -> None:
    """A post is tried again by its plan, for a day, and then no more."""
    whole = timedelta(0)
    for attempt, delay in enumerate(POST_RETRY_DELAYS, start=1):
        post = AlertPost("alert_1", incident(), NOW, attempt)
        assert decide_next_attempt(post, NOW) == NOW + delay
        whole += delay
    assert decide_next_attempt(AlertPost("alert_1", incident(), NOW, attempt + 1), NOW) is None
    assert DAY * 0.9 < whole < DAY * 1.1
