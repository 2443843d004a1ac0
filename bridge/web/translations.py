"""What the pages say, in German and English: ``start_...``, ``mailed_...`` and ``over_...`` to
candidates, all else to recruiters and their colleagues.
"""

from __future__ import annotations

TRANSLATIONS = {
    "en": {
        "state": "State",
        "completed_at": "Completed",
        "deadline": "Can be taken until",
        "fit": "Fit",
        "traits": "Traits",
        "dashboard": "Open in {provider} (login needed)",
        "pending": "Not finished yet",
        "completed": "Completed",
        "expired": "Expired",
        "unknown_title": "Nothing here",
        "unknown_text": (
            "This link is not known. Please open the application in your recruiting software again,"
            " or ask whoever sent you the link for a new one."
        ),
        "gone_title": "Not available any more",
        "gone_text": "These data have been deleted, or this link is not in use any more.",
        "later_title": "Please try again later",
        "later_text": "The result cannot be fetched right now. Please try again in a few minutes.",
        "mailed_title": "Please look into your mail",
        "mailed_text": (
            "The link to this test was sent to you by e-mail. If you do not find it, look into the"
            " folder for spam, too."
        ),
        "over_title": "This test is over",
        "over_text": (
            "It has been completed, or its time has run out. If you could not take it, please ask"
            " the company that you applied to."
        ),
        "start_unknown_title": "This link does not work",
        "start_unknown_text": (
            "Perhaps it was cut off. Please open the link in your invitation once more, or ask the"
            " company that you applied to."
        ),
        "start_gone_title": "This invitation is no longer valid",
        "start_gone_text": (
            "The test can no longer be taken here. If you have questions, please ask the company"
            " that you applied to."
        ),
        "start_later_title": "Please try again later",
        "start_later_text": (
            "The test cannot be opened right now. Please try again in a few minutes."
        ),
        "start_text": (
            "Take your time and make sure that you will not be interrupted. The link to"
            " the test works once."
        ),
        "start_button": "Start the test",
    },
    "de": {
        "state": "Stand",
        "completed_at": "Abgeschlossen am",
        "deadline": "Möglich bis",
        "fit": "Passung",
        "traits": "Merkmale",
        "dashboard": "In {provider} öffnen (Anmeldung nötig)",
        "pending": "Noch nicht abgeschlossen",
        "completed": "Abgeschlossen",
        "expired": "Abgelaufen",
        "unknown_title": "Hier ist nichts",
        "unknown_text": (
            "Dieser Link ist nicht bekannt. Bitte öffnen Sie die Bewerbung noch einmal in Ihrer"
            " Bewerbersoftware, oder lassen Sie sich den Link neu schicken."
        ),
        "gone_title": "Nicht mehr verfügbar",
        "gone_text": ("Diese Daten wurden gelöscht, oder dieser Link wird nicht mehr verwendet."),
        "later_title": "Bitte später noch einmal versuchen",
        "later_text": (
            "Das Ergebnis kann gerade nicht abgerufen werden. Bitte versuchen Sie es in"
            " einigen Minuten noch einmal."
        ),
        "mailed_title": "Bitte sehen Sie in Ihr E-Mail-Postfach",
        "mailed_text": (
            "Der Link zu diesem Test wurde Ihnen per E-Mail geschickt. Wenn Sie ihn nicht finden,"
            " sehen Sie bitte auch im Spam-Ordner nach."
        ),
        "over_title": "Dieser Test ist beendet",
        "over_text": (
            "Er wurde abgeschlossen, oder die Zeit dafür ist abgelaufen. Wenn Sie ihn nicht machen"
            " konnten, fragen Sie bitte das Unternehmen, bei dem Sie sich beworben haben."
        ),
        "start_unknown_title": "Dieser Link funktioniert nicht",
        "start_unknown_text": (
            "Vielleicht ist er unvollständig. Bitte öffnen Sie den Link in Ihrer Einladung noch"
            " einmal, oder fragen Sie das Unternehmen, bei dem Sie sich beworben haben."
        ),
        "start_gone_title": "Diese Einladung ist nicht mehr gültig",
        "start_gone_text": (
            "Der Test kann hier nicht mehr gemacht werden. Bei Fragen wenden Sie sich bitte an das"
            " Unternehmen, bei dem Sie sich beworben haben."
        ),
        "start_later_title": "Bitte versuchen Sie es später noch einmal",
        "start_later_text": (
            "Der Test kann gerade nicht geöffnet werden. Bitte versuchen Sie es in einigen Minuten"
            " noch einmal."
        ),
        "start_text": (
            "Nehmen Sie sich Zeit und sorgen Sie für Ruhe. Der Link zum Test funktioniert"
            " nur einmal."
        ),
        "start_button": "Test starten",
    },
}


def language(preference: str) -> str:
    """``de`` or ``en``, whichever a locale or an ``Accept-Language`` header names first."""
    for part in preference.lower().replace(";", ",").split(","):
        if part.strip()[:2] in TRANSLATIONS:
            return part.strip()[:2]
    return "en"
