from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.core import assessment_mapping, invitation_view, score
from bridge.core.assessment import Assessment, Job, Result, Trait
from bridge.core.customers import (
    AssessmentMapping,
    AssessmentMappingEntry,
    CandidateLinkTarget,
    ResultLinkTarget,
    ResultPolicy,
    Secret,
)
from bridge.core.invitation import Invitation, State
from bridge.core.invitation_view import InvitationView, InvitationViewStatus
from bridge.core.lifecycle.events import (
    ApplicationAnonymised,
    ReportedResultAccepted,
    ResultReported,
)
from bridge.core.links import LinkSigner
from bridge.equalture.settings import EqualtureAccount
from tests.core.build import (
    COMPLETED,
    CREATED_2,
    CREATING,
    DEADLINE,
    ERASED,
    EXPIRED,
    FAILED,
    INVITED,
    LOST_BUT_COMPLETED,
    NOW,
    REPORT,
    SECOND_ATTEMPT,
    STARTED,
    UNCERTAIN,
    UNCONFIRMED,
    CreateOutcomeUnknown,
    after,
    customer,
)

LINKS = LinkSigner("https://bridge.example", [b"key"])
JOBS = [Job("job-1", "Sales"), Job("job-2", "Support"), Job("job-3", "Boss")]
ACME = customer()


def trait(score: int | None, wanted: tuple[int, ...] = ()) -> Trait:
    """A trait with this score and profile."""
    return Trait("X", "x", score, wanted=wanted)


# ------------------------------------------------------------ tests


def test_every_job_is_a_test_without_mapping() -> None:
    """Without a mapping each job appears under its own id and name."""
    assert tuple(
        Assessment(job.id, job.id, job.name) for job in JOBS
    ) == assessment_mapping.list_offered_assessments(JOBS, AssessmentMapping())


def test_mapped_job_appears_as_the_mapping_says() -> None:
    """A mapping gives a job another id, name, description and duration."""
    mapping = AssessmentMapping(
        (AssessmentMappingEntry("sales", "job-1", "Sales test", "For sales", 20),)
    )
    expected = Assessment("sales", "job-1", "Sales test", "For sales", 20)
    assert expected == assessment_mapping.list_offered_assessments(JOBS, mapping)[0]


def test_mapped_job_without_name_keeps_its_own() -> None:
    """A mapping line without a name shows the job's name."""
    assert (Assessment("sales", "job-1", "Sales"),) == assessment_mapping.list_offered_assessments(
        JOBS[:1], AssessmentMapping((AssessmentMappingEntry("sales", "job-1"),))
    )


def test_mapped_job_that_is_not_listed_is_left_out() -> None:
    """A test to which an invitation would fail is not offered."""
    assert () == assessment_mapping.list_offered_assessments(
        [], AssessmentMapping((AssessmentMappingEntry("sales", "job-1"),))
    )


def test_hidden_and_unmapped_jobs_can_be_left_out() -> None:
    """Hidden jobs never appear; with ``publish_unmapped: false`` only mapped ones do."""
    hidden = AssessmentMapping(hidden=frozenset({"job-2"}))
    assert ["job-1", "job-3"] == [
        test.id for test in assessment_mapping.list_offered_assessments(JOBS, hidden)
    ]
    only = AssessmentMapping((AssessmentMappingEntry("sales", "job-1"),), publish_unmapped=False)
    assert ["sales"] == [
        test.id for test in assessment_mapping.list_offered_assessments(JOBS, only)
    ]


@pytest.mark.parametrize("test_id", ["sales", "job-1"])
def test_mapped_test_is_known_by_both_ids(test_id: str) -> None:
    """A mapping line is found by the test's id and by the job's, and is named after its id if it
    has no name.
    """
    mapping = AssessmentMapping(
        (
            AssessmentMappingEntry("other", "job-9"),
            AssessmentMappingEntry("sales", "job-1", description="For sales", duration=20),
        )
    )
    assert Assessment(
        "sales", "job-1", "sales", "For sales", 20
    ) == assessment_mapping.find_mapped_assessment(mapping, test_id)


def test_unmapped_test_is_not_known() -> None:
    """An id that no line names has to be asked for at the provider."""
    assert (
        assessment_mapping.find_mapped_assessment(
            AssessmentMapping((AssessmentMappingEntry("sales", "job-1", "Sales test"),)), "job-2"
        )
        is None
    )


# ------------------------------------------------------------ views


@pytest.mark.parametrize(
    "record", [CREATING, UNCERTAIN, INVITED, STARTED, FAILED], ids=lambda record: record.state
)
def test_open_invitation_is_pending(record: Invitation) -> None:
    """What is not at its end is PENDING, with the results page and nothing else."""
    assert InvitationView(
        InvitationViewStatus.PENDING, LINKS.results_url(record.id)
    ) == invitation_view.build_invitation_view(record, ACME, LINKS)


def test_expired_invitation() -> None:
    """An expired invitation tells when, and has the same page."""
    expected = InvitationView(
        InvitationViewStatus.EXPIRED, LINKS.results_url(EXPIRED.id), expired_at=DEADLINE
    )
    assert expected == invitation_view.build_invitation_view(EXPIRED, ACME, LINKS)


def test_completed_invitation() -> None:
    """A completed invitation tells when, the score and all links."""
    expected = InvitationView(
        InvitationViewStatus.COMPLETED,
        LINKS.results_url(COMPLETED.id),
        completed_at=NOW,
        report_url=LINKS.report_url(COMPLETED.id),
        share_url=LINKS.share_url(COMPLETED.id),
        score="High fit (1/1)",
    )
    assert expected == invitation_view.build_invitation_view(COMPLETED, ACME, LINKS)


def test_late_completion_does_not_tell_of_the_expiry() -> None:
    """A completion overrides an expiry, also in what softgarden is told."""
    assert (
        invitation_view.build_invitation_view(
            replace(COMPLETED, expired_at=DEADLINE), ACME, LINKS
        ).expired_at
        is None
    )


def test_links_can_be_switched_off() -> None:
    """Report and share links and the score are there only where the customer wants them."""
    quiet = customer(results=ResultPolicy(score=(), share=False, report=False))
    expected = InvitationView(
        InvitationViewStatus.COMPLETED, LINKS.results_url(COMPLETED.id), completed_at=NOW
    )
    assert expected == invitation_view.build_invitation_view(COMPLETED, quiet, LINKS)


def test_result_url_may_be_the_dashboard() -> None:
    """With ``result_url: dashboard`` it is the provider's once completed, where there is one, and
    our page before.
    """
    asked = customer(results=ResultPolicy(result_url=ResultLinkTarget.DASHBOARD))
    done = replace(COMPLETED, result=replace(REPORT, dashboard_url="https://dashboard.example/1"))
    assert (
        "https://dashboard.example/1"
        == invitation_view.build_invitation_view(done, asked, LINKS).result_url
    )
    assert (
        LINKS.results_url(COMPLETED.id)
        == invitation_view.build_invitation_view(COMPLETED, asked, LINKS).result_url
    )
    assert (
        LINKS.results_url(INVITED.id)
        == invitation_view.build_invitation_view(INVITED, asked, LINKS).result_url
    )
    assert (
        LINKS.results_url(done.id)
        == invitation_view.build_invitation_view(done, ACME, LINKS).result_url
    )


def test_share_link_needs_a_known_application() -> None:
    """A result whose application's id was never learnt cannot be shared, so no link is offered."""
    assert invitation_view.build_invitation_view(LOST_BUT_COMPLETED, ACME, LINKS).share_url is None


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (COMPLETED, "reference-1"),
        (UNCONFIRMED, "reference-1"),
        (LOST_BUT_COMPLETED, None),
        (
            after(
                CreateOutcomeUnknown(1),
                SECOND_ATTEMPT,
                CREATED_2,
                ResultReported(1, REPORT),
                ReportedResultAccepted(),
            ),
            None,
        ),
        (INVITED, None),
        (EXPIRED, None),
        (replace(ERASED, state=State.ERASED), None),
    ],
)
def test_result_reference(record: Invitation, expected: str | None) -> None:
    """Only a completed invitation has an application that a result belongs to, and never another
    attempt's.
    """
    assert expected == invitation_view.get_completed_application_id(record)


def test_view_does_not_show_its_links() -> None:
    """The links of a view are secrets, so its text leaves them out."""
    text = repr(invitation_view.build_invitation_view(COMPLETED, ACME, LINKS))
    assert "https://" not in text


def test_candidate_is_sent_to_the_test_or_to_our_page() -> None:
    """The test's URL is the provider's link, or our landing page where the customer wants it."""
    assert "https://test.example/1" == invitation_view.choose_candidate_url(INVITED, ACME, LINKS)
    assert LINKS.start_url(INVITED.id) == invitation_view.choose_candidate_url(
        INVITED, customer(test_url=CandidateLinkTarget.LANDING), LINKS
    )
    assert LINKS.start_url(CREATING.id) == invitation_view.choose_candidate_url(
        CREATING, ACME, LINKS
    )


# ------------------------------------------------------------ scores


@pytest.mark.parametrize(
    ("pattern", "result", "expected"),
    [
        ("", REPORT, None),
        ("{fit}", Result(fit="high"), "high"),
        ("{fit}", Result(), None),
        ("{fit} ({in_range}/{traits})", Result(fit="high"), None),
        (
            "{fit} ({in_range}/{traits})",
            Result("high", traits=(trait(3, (3, 4)), trait(1, (5,)))),
            "high (1/2)",
        ),
        ("{traits}", Result(traits=(trait(3), trait(4), trait(None))), "2"),
        ("{traits}", Result(traits=(trait(3), trait(4, (1,)))), "1"),
        ("{traits}", Result(traits=(trait(None, (1, 2)),)), None),
        ("{in_range}", Result(traits=(trait(3),)), None),
        ("{in_range}", Result(traits=(trait(3, (1,)),)), "0"),
        (
            "{match_percent} %",
            Result(traits=(trait(3, (3,)), trait(3, (3,)), trait(3, (1,)))),
            "67 %",
        ),
        ("{match_percent} %", Result(traits=(trait(3, (1,)),)), "0 %"),
        ("{match_percent} %", Result(traits=(trait(3),)), None),
        ("{average}", Result(traits=(trait(3), trait(4), trait(None))), "3.5"),
        ("{average}", Result(traits=(trait(5), trait(5), trait(4))), "4.7"),
        ("{average}", Result(), None),
        ("{fit_label}", Result(fit="low"), "Low fit"),
        ("{fit_label}", Result(), None),
        ("completed", Result(), "completed"),
        ("{{{fit}}}", Result(fit="high"), "{high}"),
        ("{unheard_of}", Result(fit="high"), None),
        ("  {fit}\n\t{fit} ", Result(fit="high"), "high high"),
        ("{fit}", Result(fit="  "), None),
        ("{fit}", Result(fit="x" * 200), "x" * 100),
    ],
)
def test_score_text(pattern: str, result: Result, expected: str | None) -> None:
    """The pattern is filled in on one short line, and left out where a field that it uses has no
    value.
    """
    assert expected == score.render_score([pattern], result, "en")


WITH_PROFILE = Result("high", traits=(trait(3, (3, 4)), trait(1, (5,))))


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (WITH_PROFILE, "Hohe Passung (1/2)"),
        (Result("high", traits=(trait(3), trait(4))), "3.5"),
        (Result(traits=(trait(3, (3,)),)), "3.0"),
        (Result("high"), None),
        (Result(), None),
    ],
    ids=["profile", "no profile", "no fit", "no traits", "nothing"],
)
def test_default_score(result: Result, expected: str | None) -> None:
    """By default the fit is told in the customer's language, or the mean where the job has no
    profile, or nothing.
    """
    assert expected == score.render_score(ResultPolicy().score, result, "de")


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ((), None),
        (("", "{fit}"), "high"),
        (("{average}", "{unheard_of}", "done"), "2.0"),
        (("<>", "{fit}"), "high"),
    ],
)
def test_first_pattern_with_all_its_values_counts(
    patterns: tuple[str, ...], expected: str | None
) -> None:
    """Of several patterns the first that makes a text is the score; without any there is none."""
    assert expected == score.render_score(patterns, WITH_PROFILE, "en")


@pytest.mark.parametrize(
    ("fit", "expected"),
    [
        ("<b>high</b>", "bhigh/b"),
        ("a\x00b\x1b[31m\u2028c", "ab[31m c"),
        ("x" * 99 + " y", "x" * 99),
        ("<" * 50 + "z" * 200, "z" * 100),
    ],
)
def test_score_is_plain_text(fit: str, expected: str) -> None:
    """Whatever the provider says, a score has no markup and no control characters, and at most 100
    characters.
    """
    assert expected == score.render_score(["{fit}"], Result(fit=fit), "en")


@pytest.mark.parametrize(
    ("fit", "locale", "expected"),
    [
        ("high", "en", "High fit"),
        ("medium", "en-GB", "Medium fit"),
        ("HIGH", "de", "Hohe Passung"),
        ("low", "DE-at", "Geringe Passung"),
        ("high", "nl", "Hoge match"),
        ("low", "fr_CA", "Adéquation faible"),
        ("high", "pl", "High fit"),
        ("excellent", "de", "excellent"),
    ],
)
def test_fit_label(fit: str, locale: str, expected: str) -> None:
    """The fit has a label in the customer's language, else in English; an unknown fit is shown as
    it is.
    """
    assert expected == score.render_score(["{fit_label}"], Result(fit=fit), locale)


def test_score_speaks_the_language_of_the_customer() -> None:
    """The view's score uses the locale of the customer."""
    access = EqualtureAccount(
        base_url="https://e.example", client_id="id", client_secret=Secret("s"), locale="de"
    )
    german = customer(provider=access, results=ResultPolicy(score=("{fit_label}",)))
    assert "Hohe Passung" == invitation_view.build_invitation_view(COMPLETED, german, LINKS).score


def test_score_fields_are_the_same_for_every_result() -> None:
    """Every field has its place, with or without a value."""
    assert set(score.list_score_fields(Result(), "en")) == set(
        score.list_score_fields(REPORT, "en")
    )
    assert set(score.list_score_fields(Result(), "en").values()) == {None}


def test_anonymised_orphan_is_never_shared() -> None:
    """A result of an orphan that is anonymised at the provider has no public link there."""
    record = after(
        CreateOutcomeUnknown(1), SECOND_ATTEMPT, CREATED_2, ApplicationAnonymised("reference-2")
    )
    assert (
        invitation_view.get_completed_application_id(replace(record, state=State.COMPLETED)) is None
    )
