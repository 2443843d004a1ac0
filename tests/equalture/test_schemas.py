from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import response_parsing
from bridge.core.assessment import (
    ApplicationProgress,
    CreatedApplication,
    Job,
    PublicLink,
    Result,
    Trait,
)
from bridge.equalture import schemas

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4)
    ),
    max_leaves=12,
)
TRAIT = st.fixed_dictionaries(
    {},
    optional={
        "trait_code": JSON,
        "trait_name": JSON,
        "trait_bucket_score": JSON,
        "trait_bucket_description": JSON,
        "competency_profile": JSON
        | st.fixed_dictionaries({}, optional={"priority": JSON, "range": JSON}),
    },
)
REPORT = JSON | st.fixed_dictionaries(
    {},
    optional={
        "fit": JSON,
        "results_url": JSON | st.text(max_size=20).map("https://{}".format),
        "scores": JSON,
        "detailed_scores": JSON | st.lists(TRAIT | JSON, max_size=4),
    },
)
SHORT = JSON | st.fixed_dictionaries(
    {},
    optional={
        name: JSON | st.text(max_size=9).map("http://{}".format)
        for name in (
            "access_token",
            "jobs",
            "data",
            "reference_id",
            "assessment_url",
            "status",
            "url",
            "ttl",
            "ttl_units",
        )
    },
)
READERS: list[Callable[[object], object]] = [
    schemas.read_token,
    schemas.read_jobs,
    schemas.read_created,
    schemas.read_progress,
    schemas.read_public_link,
]
TWO_JOBS = (
    Job("0b8f5c52-8a3e-4a55-9f0c-6c1a5f1f2a11", "Assessment - Engineer"),
    Job("job-2", "Assessment - Accountant"),
)


@pytest.mark.parametrize("name", ["jobs_bare", "jobs_wrapped", "jobs_data"])
def test_jobs_in_every_documented_wrapping(name: str, sample) -> None:
    """All versions of the page give the same jobs."""
    assert schemas.read_jobs(response_parsing.parse_json(sample(name))) == TWO_JOBS


def test_jobs_with_odd_entries(sample) -> None:
    """Entries without id are skipped, numbers become text, a missing name is the id, and the first
    of two equals counts.
    """
    assert schemas.read_jobs(response_parsing.parse_json(sample("jobs_odd_entries"))) == (
        Job("42", "42"),
        Job("job-2", "job-2"),
    )


@pytest.mark.parametrize("answer", [[], {"jobs": []}, {"data": []}])
def test_no_jobs(answer: object) -> None:
    """An empty list is believed."""
    assert schemas.read_jobs(answer) == ()


@pytest.mark.parametrize(
    "answer",
    [
        None,
        1,
        "jobs",
        {},
        {"jobs": {}},
        {"jobs": None},
        {"items": []},
        {"errors": {}},
        [1, None],
        [{"uuid": "1"}],
        [{"id": True}],
    ],
)
def test_jobs_in_no_shape(answer: object) -> None:
    """What is no list of jobs is an error and never an empty list."""
    with pytest.raises(ValueError, match="list"):
        schemas.read_jobs(answer)


def test_created(sample) -> None:
    """The one-time link comes with its reference."""
    assert schemas.read_created(
        response_parsing.parse_json(sample("created_one_time_link"))
    ) == CreatedApplication(
        "7c1de0a4-93c5-4a0e-8a55-2d7f3a8b9c01",
        "https://app.equalture.example/en/assessments/73/token/SFMyNTY.c2FtcGxl",
    )


@pytest.mark.parametrize(
    "link",
    [
        None,
        7,
        "",
        "ftp://a/b",
        "javascript:x",
        "https://",
        "https://u@a/b",
        "https://a b",
        "https://[a",
    ],
)
def test_created_without_a_usable_link(link: object) -> None:
    """An odd link does not lose the reference of what exists."""
    assert schemas.read_created({"reference_id": 12, "assessment_url": link}) == CreatedApplication(
        "12", None
    )


@pytest.mark.parametrize("word", ["completed", "Completed", " COMPLETED ", "hired"])
def test_done(word: str) -> None:
    """Completed is done in any case, and so is hired."""
    found = schemas.read_progress({"status": word})
    assert found == ApplicationProgress(True, word.strip(), hired=word == "hired")


@pytest.mark.parametrize("word", ["started", "in_progress", "In Progress", "pending"])
def test_not_done(word: str) -> None:
    """A word that cannot mean finished is "not yet"."""
    assert schemas.read_progress({"status": word}) == ApplicationProgress(False, word)


@pytest.mark.parametrize("word", ["finished", "anonymized", "not completed", "x" * 900])
def test_unknown_word(word: str) -> None:
    """Every other word is "not yet" too, but one that nobody knows, and kept at a bearable
    length.
    """
    assert schemas.read_progress({"status": word}) == ApplicationProgress(
        False, word[:500], known=False
    )


@pytest.mark.parametrize(
    ("word", "done"), [("FINISHED ", True), ("all  done", True), ("completed", False)]
)
def test_done_words_are_a_setting(word: str, done: bool) -> None:
    """The customer's words decide, in any case and spacing, instead of the usual ones."""
    progress = schemas.read_progress({"status": word}, ("Finished", "All Done"))
    assert (done, done) == (progress.done, progress.known)


@pytest.mark.parametrize(
    ("ttl", "units", "life_s"),
    [
        ("120", "minutes", 7200),
        (120, "Minutes", 7200),
        (" 2 ", "hours", 7200),
        (90, "seconds", 90),
        (1, "hour", 3600),
        *(
            (bad, "minutes", None)
            for bad in (None, "", "soon", "-1", 0, -5, 1.5, True, [1], "9" * 5000)
        ),
        *(("120", bad, None) for bad in (None, "", "days", 1, ["minutes"])),
    ],
)
def test_public_link(ttl: object, units: object, life_s: int | None) -> None:
    """The life is read leniently, and unknown where it cannot be read; the link counts all the
    same.
    """
    answer = {"url": "https://a.example/x?token=T", "ttl": ttl, "ttl_units": units}
    assert schemas.read_public_link(answer) == PublicLink("https://a.example/x?token=T", life_s)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        "x",
        1,
        {},
        {"url": "x", "reference_id": " ", "status": "", "access_token": "a\nb", "jobs": 1},
        {"status": 1},
    ],
)
def test_unusable_answers(reader: Callable[[object], object], answer: object) -> None:
    """Whatever lacks the required is a ValueError."""
    if (reader, answer) == (schemas.read_jobs, []):
        return
    with pytest.raises(ValueError, match=r"."):
        reader(answer)


@pytest.mark.parametrize("reader", READERS)
@given(answer=SHORT)
def test_readers_raise_nothing_else(reader: Callable[[object], object], answer: object) -> None:
    """No JSON makes a reader raise anything but ValueError."""
    with contextlib.suppress(ValueError):
        reader(answer)


def test_messages_repeat_nothing() -> None:
    """A complaint names our fields and never quotes the answer."""
    with pytest.raises(ValueError, match=r"\Amissing or unusable: reference_id\Z"):
        schemas.read_created({"reference_id": ["Ada"], "Ada": "ada@example.org"})


def test_results(sample) -> None:
    """The documented results are read in full."""
    assert schemas.read_reported_result(response_parsing.parse_json(sample("results"))) == Result(
        fit="high",
        dashboard_url="https://dashboard.equalture.example/en/candidates/18",
        summary=(
            ("Cognitive trait", "(5) Very flexible"),
            ("Bahavioural style", "(2) Somewhat intuitive"),
        ),
        traits=(
            Trait(
                "working_memory",
                "Learning ability/Working memory",
                3,
                "(3) Average",
                (2, 3, 4, 5),
                "medium",
            ),
        ),
    )


def test_callback(sample) -> None:
    """The callback's body is a report of the same kind."""
    report = schemas.read_reported_result(response_parsing.parse_json(sample("callback")))
    assert report is not None
    assert report.fit == "low"
    assert [(trait.code, trait.score, trait.wanted) for trait in report.traits] == [
        ("problem_solving_style", 3, (1, 2, 3, 4, 5)),
        ("problem_solving_ability", 5, (1, 2, 3)),
    ]


def test_results_without_profile(sample) -> None:
    """A job without competency profile has traits without wish and no fit."""
    assert schemas.read_reported_result(
        response_parsing.parse_json(sample("results_no_profile"))
    ) == Result(
        fit=None,
        dashboard_url="https://dashboard.equalture.example/en/candidates/18",
        traits=(
            Trait("working_memory", "Working memory", 3, "(3) Average"),
            Trait("risk", "Risk", 4),
        ),
    )


def test_results_with_odd_parts(sample) -> None:
    """Odd parts are left out one by one, and nothing that was not asked for is kept."""
    report = schemas.read_reported_result(response_parsing.parse_json(sample("results_odd_parts")))
    assert report == Result(
        summary=(("Good", "(1) Kept"),), traits=(Trait("kept", "kept", wanted=(2, 5)),)
    )
    assert "Ada" not in repr(report)


@pytest.mark.parametrize(
    "answer",
    [
        None,
        1,
        "x",
        [],
        {},
        {"fit": None, "scores": {}, "detailed_scores": []},
        {"name": "Ada"},
        {"fit": " \n"},
        {"scores": [1]},
    ],
)
def test_no_report(answer: object) -> None:
    """What holds nothing usable is no report."""
    assert schemas.read_reported_result(answer) is None


def test_report_is_bounded() -> None:
    """However much is sent, texts stay within 500 characters and lists within 100 items."""
    report = schemas.read_reported_result(
        {
            "fit": "f" * 9999,
            "results_url": "https://a.example/" + "x" * 9999,
            "scores": {f"n{i}": "v" * 9999 for i in range(999)},
            "detailed_scores": [{"trait_code": "c" * 9999, "trait_bucket_description": "d" * 9999}]
            * 999,
        }
    )
    assert report is not None
    assert report.fit == "f" * 500
    assert report.dashboard_url is None
    assert len(report.summary) == len(report.traits) == 100
    assert (
        len(report.summary[0][1])
        == len(report.traits[0].code)
        == len(report.traits[0].description)
        == 500
    )


@given(answer=REPORT)
def test_read_report_never_raises(answer: object) -> None:
    """Any JSON is a sane report or none: scores 1 to 5, names not empty, links http(s)."""
    report = schemas.read_reported_result(answer)
    if report is not None:
        assert all(
            trait.name and (trait.score is None or 1 <= trait.score <= 5) for trait in report.traits
        )
        assert all(1 <= one <= 5 for trait in report.traits for one in trait.wanted)
        assert report.dashboard_url is None or report.dashboard_url.lower().startswith("http")


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("assessment_started", "started"),
        ("Application_Started", "started"),
        ("assessment.finished", "finished"),
        ("finished", "finished"),
        ("assessment_begun", ""),
        ("assessment_finished_again", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_event_names(kind: object, word: str) -> None:
    """Both spellings of the page are understood, by the last word; no other name is."""
    assert schemas.read_event({"type": kind}).word == word


def test_event_names_are_settings() -> None:
    """An event may be called as the settings say, by its whole name or its last word."""
    found = [
        schemas.read_event({"type": kind}, ["Begun"], ["application_completed"]).word
        for kind in ("assessment_begun", "application_completed", "assessment_completed", "started")
    ]
    assert found == ["started", "finished", "", ""]
