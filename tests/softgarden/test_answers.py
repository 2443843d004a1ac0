"""What softgarden is answered is what the schemas of the OpenAPI document describe."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from bridge.core.invitation_view import InvitationView, InvitationViewStatus
from bridge.softgarden.schemas import AnswerFormat, InvitationSchema, ResultSchema
from bridge.softgarden.settings import AssessmentListFormat
from tests.core.build import INVITED

WIRE = AnswerFormat(AssessmentListFormat())
ZONES = st.sampled_from((UTC, timezone(timedelta(hours=2)), timezone(-timedelta(hours=11))))
TIMES = st.none() | st.datetimes(timezones=ZONES).filter(lambda at: 1000 < at.year < 9999)
URLS = st.text(max_size=20).map("https://bridge.example.com/".__add__)


@given(
    st.builds(
        InvitationView,
        status=st.sampled_from(InvitationViewStatus),
        result_url=URLS,
        completed_at=TIMES,
        expired_at=TIMES,
        report_url=st.none() | URLS,
        share_url=st.none() | URLS,
        score=st.none() | st.text(max_size=20),
    )
)
def test_result_is_written_as_its_schema_says(view: InvitationView) -> None:
    """The answer to a read is the schema's, with its fields in the same order."""
    expected = ResultSchema().dump(
        {
            "status": view.status.upper(),
            "completionTime": view.completed_at,
            "expirationTime": view.expired_at,
            "result": {
                "resultUrl": view.result_url,
                "reportUrl": view.report_url,
                "shareUrl": view.share_url,
                "score": view.score,
            },
        }
    )
    assert json.dumps(WIRE.result(view)) == json.dumps(expected)


@given(st.none() | st.integers(0, 10_000), TIMES, URLS)
def test_invitation_is_written_as_its_schema_says(
    duration: int | None, deadline: datetime | None, url: str
) -> None:
    """The answer to an invite is the schema's, with its fields in the same order."""
    invitation = replace(INVITED, duration=duration, deadline=deadline)
    expected = InvitationSchema().dump(
        {
            "invitationId": invitation.id,
            "testUrl": url,
            "duration": duration,
            "deadline": deadline,
        }
    )
    assert json.dumps(WIRE.invitation(invitation, url)) == json.dumps(expected)
