"""What Equalture's callbacks and webhooks look like, for people who read the documentation."""

from __future__ import annotations

from bridge.web.routing import CallExample

_REFERENCE = "ef955117-1ef3-4b08-b658-65da99f8a1b8"
# https://equalture-ats.readme.io/reference/introduction, receiving results; own values
CALLBACK = (
    CallExample(
        name="reported",
        title="A result is reported",
        status=200,
        body={
            "results_url": "https://dashboard.equalture.com/applications/7c1de0a4",
            "scores": {"Cognitive flexibility": "(5) Very flexible"},
            "detailed_scores": [
                {
                    "trait_code": "cognitive_flexibility",
                    "trait_name": "Cognitive flexibility",
                    "trait_bucket_score": 5,
                    "trait_bucket_description": "(5) Very flexible",
                    "competency_profile": {"priority": "high", "range": [4, 5]},
                }
            ],
            "fit": "high",
        },
        answer={"status": "ok"},
    ),
    CallExample(
        name="unknown",
        title="The id, the secret or the callback token is wrong",
        status=404,
        body={"fit": "high"},
        answer={
            "type": "/docs#unknown_invitation",
            "title": "Unknown invitation",
            "status": 404,
            "detail": "No invitation with this id was issued to this customer.",
            "code": "unknown_invitation",
        },
    ),
)
# https://equalture-ats.readme.io/reference/webhooks-1; own values
_SIGNED = {
    "webhook-id": "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W",
    "webhook-timestamp": "1739793491",
    "webhook-signature": "v1,YstBD1VnZiLf5e7iftCVlCY1uFCEi/nWwVUnriOnxUU=",
}
_EVENT = {
    "id": "c4b26ab9-1d6f-4142-bace-d4263cccd951",
    "type": "assessment_finished",
    "data": {"reference_id": _REFERENCE},
}
WEBHOOK = (
    CallExample(
        name="finished",
        title="A candidate has finished",
        status=200,
        headers=_SIGNED,
        body=_EVENT,
        answer={"status": "ok"},
    ),
    CallExample(
        name="not_signed",
        title="The signature is missing",
        status=401,
        body=_EVENT,
        answer={
            "type": "/docs#bad_signature",
            "title": "The signature does not fit",
            "status": 401,
            "detail": "webhook-id is missing or malformed",
            "code": "bad_signature",
        },
    ),
)
