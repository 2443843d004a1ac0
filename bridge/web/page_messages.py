"""Pages that hold nothing but a title and a text: those whose names begin with ``start_`` are for
candidates, the others for recruiters and their colleagues.
"""

from __future__ import annotations

from collections.abc import Mapping

from bridge.languages.language import N_

MESSAGES: Mapping[str, tuple[str, str]] = {
    "unknown": (
        N_("Nothing here"),
        N_(
            "This link is not known. Please open the application in your recruiting software again,"
            " or ask whoever sent you the link for a new one."
        ),
    ),
    "gone": (
        N_("Not available any more"),
        N_("These data have been deleted, or this link is not in use any more."),
    ),
    "later": (
        N_("Please try again later"),
        N_("The result cannot be fetched right now. Please try again in a few minutes."),
    ),
    "shared": (
        N_("A test result is shared with you"),
        N_("It is fetched when you open it."),
    ),
    "start_unknown": (
        N_("This link does not work"),
        N_(
            "Perhaps it was cut off. Please open the link in your invitation once more, or ask the"
            " company that you applied to."
        ),
    ),
    "start_gone": (
        N_("This invitation is no longer valid"),
        N_(
            "The test can no longer be taken here. If you have questions, please ask the company"
            " that you applied to."
        ),
    ),
    "start_later": (
        N_("Please try again later"),
        N_("The test cannot be opened right now. Please try again in a few minutes."),
    ),
}
"""Title and text of each, as keys of the catalogues."""
