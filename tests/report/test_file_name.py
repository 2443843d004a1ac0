"""What a report is called when it is saved."""

from __future__ import annotations

import pytest

from bridge.web.report_download import create_disposition
from tests.report.orders import NAME, ordered


@pytest.mark.parametrize(
    ("name", "application", "plain", "extended"),
    [
        (
            NAME,
            "app-1001",
            "Entwickler Denken & Handeln (m w d) app-1001",
            "Entwickler%20Denken%20%26%20Handeln%20%28m%20w%20d%29%20app-1001",
        ),
        (
            "Führung ß Łódź",
            "7",
            "Fuhrung ss Lodz 7",
            "F%C3%BChrung%20%C3%9F%20%C5%81%C3%B3d%C5%BA%207",
        ),
        ('a"; x="\r\nSet-Cookie: a', "../../b", "a x Set-Cookie a .. .. b", None),
        ("日本", "語", "report", "%E6%97%A5%E6%9C%AC%20%E8%AA%9E"),
        ("\x00\x1f", "", "report", "report"),
        ("x" * 500, "y", "x" * 100, "x" * 100),
    ],
)
def test_a_report_is_named_for_test_and_application(
    name: str, application: str, plain: str, extended: str | None
) -> None:
    """The file's name says whose it is, in ASCII for all and as it is for those who can; nothing in
    it ends the header or names a folder.
    """
    header = create_disposition(ordered(name=name, application=application).invitation)
    disposition, first, second = header.split("; filename")
    assert disposition == "inline"
    assert first == f'="{plain}.pdf"'
    if extended is not None:
        assert second == f"*=UTF-8''{extended}.pdf"
    assert header.isascii()
    assert header.isprintable()
    assert "/" not in header
