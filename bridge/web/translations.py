"""What the pages say, in German and English."""

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
            "This link is not known. Please open the application in your recruiting software again."
        ),
        "gone_title": "Deleted",
        "gone_text": "These data have been deleted.",
        "later_title": "Please try again later",
        "later_text": "The result cannot be fetched right now. Please try again in a few minutes.",
        "mailed_title": "Please look into your mail",
        "mailed_text": (
            "The link to this test was sent to you by e-mail. If you do not find it, look into the"
            " folder for spam, too."
        ),
        "over_title": "This test is over",
        "over_text": "It has been completed, or its time has run out.",
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
            " Bewerbersoftware."
        ),
        "gone_title": "Gelöscht",
        "gone_text": "Diese Daten wurden gelöscht.",
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
        "over_text": "Er wurde abgeschlossen, oder die Zeit dafür ist abgelaufen.",
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
