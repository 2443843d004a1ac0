"""A result as a plain PDF of one table. No name is on it: the bridge knows none."""

from __future__ import annotations

from collections.abc import Sequence

_WIDTH_MM = (70, 110)


def render_pdf(
    title: str, facts: Sequence[tuple[str, str]], rows: Sequence[tuple[str, str]]
) -> bytes:
    """The PDF's bytes; characters that its built-in font lacks are replaced.

    Takes long the first time, so call it in a thread.
    """
    # Here, since it is a third of what a start would import, and few processes ever make a PDF.
    from fpdf import FPDF

    document = FPDF(format="A4")
    document.set_creator("assessment-bridge")
    document.set_title(_plain(title))
    document.add_page()
    document.set_font("Helvetica", "B", 16)
    document.multi_cell(0, 9, _plain(title), new_x="LMARGIN", new_y="NEXT")
    document.ln(4)
    for table in (facts, rows):
        for name, text in table:
            document.set_font("Helvetica", "B", 10)
            document.multi_cell(
                _WIDTH_MM[0], 6, _plain(name), new_x="RIGHT", new_y="TOP", max_line_height=6
            )
            document.set_font("Helvetica", "", 10)
            document.multi_cell(
                _WIDTH_MM[1], 6, _plain(text), new_x="LMARGIN", new_y="NEXT", max_line_height=6
            )
        document.ln(6)
    return bytes(document.output())


def _plain(text: str) -> str:
    return text.encode("latin-1", "replace").decode("latin-1") or " "
