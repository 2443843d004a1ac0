"""The pages that people see at the Equalture fake."""

from __future__ import annotations

from html import escape

from bridge.sandbox.accounts import Application
from bridge.sandbox.samples import TRAITS
from bridge.sandbox.wire import Answer, page


def assessment(application: Application) -> Answer:
    """The "test": one button, which posts to the page's own address."""
    return page(
        200,
        _frame(
            "Assessment",
            f"<p>Hello {escape(application.first_name)}, this plays Equalture's test for "
            f"<b>{escape(application.job_name)}</b>.</p>"
            '<form method="post"><label>Fit <select name="fit"><option>high<option>medium<option>low</select></label> '
            '<button type="submit">Finish the test</button></form>',
        ),
    )


def finished(callback_status: int) -> Answer:
    """After the test; says what became of the callback, as whoever clicks here is trying a bridge out."""
    told = f"answered {callback_status}" if callback_status else "could not be reached"
    return page(200, _frame("Thank you", f"<p>The test is finished. The callback {told}.</p>"))


def gone(text: str) -> Answer:
    """A link that does not work any more."""
    return page(410, _frame("Link no longer valid", f"<p>{escape(text)}</p>"))


def public_result(application: Application, language: str) -> Answer:
    """The result that a public link shows."""
    rows = "".join(
        f"<tr><td>{escape(trait.names[language])}</td><td>{application.scores[trait.code]} / 5</td>"
        f"<td>{escape(trait.buckets[language][application.scores[trait.code] - 1])}</td></tr>"
        for trait in TRAITS
    )
    fit = f"<p>Fit: <b>{escape(application.fit)}</b></p>" if application.fit else ""
    name = escape(f"{application.first_name} {application.last_name}")
    return page(200, _frame(f"Result of {name}", f"<p>{escape(application.job_name)}</p>{fit}<table>{rows}</table>"))


def _frame(title: str, content: str) -> str:
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title} - Equalture sandbox</title>"
        '<body style="font-family: sans-serif; max-width: 40rem; margin: 3rem auto">'
        f"<h1>{title}</h1>{content}<p><small>Equalture sandbox: nothing here is real.</small></p></body></html>"
    )


__all__ = ["assessment", "finished", "gone", "public_result"]
