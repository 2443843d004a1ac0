"""The endpoints that Equalture calls: with a result, once the applicant has completed, and with
events.
"""

from __future__ import annotations

import hmac

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from bridge import errors, tracing, webhook_signature
from bridge.core.customers import Customer
from bridge.equalture import answer_shapes, callback_examples, schemas
from bridge.equalture.protocol import VENDOR
from bridge.equalture.settings import EqualtureAccount
from bridge.errors import BadSignature, EndpointNotEnabled, InvalidRequest, RequestError
from bridge.log_context import bind_log_fields
from bridge.ports import Clock
from bridge.web import request_body
from bridge.web.app_keys import CUSTOMERS, OBSERVER, SERVICES
from bridge.web.json_answer import json_response
from bridge.web.routing import Endpoint

BODY_LIMIT = 256 * 1024

log = structlog.get_logger()


# https://equalture-ats.readme.io/reference/introduction,
# "Receiving application results upon completion"
def create_callback_handler() -> Handler:
    """Receive a result: answers exactly 200, and only after Redis has it.

    The URL identifies the application; URL and token together permit a body. An unreadable body is
    an error, but the check is made due nevertheless: the sender knows the secret, so there is news,
    and the result is fetched with the bridge's own token.
    """
    intake = request_body.BodyReader(BODY_LIMIT)

    async def handle(request: web.Request) -> web.StreamResponse:
        results = request.app[SERVICES].results
        where = request.match_info
        if len(request.headers.getall("Authorization", ())) > 1:
            detail = "There is more than one Authorization header."
            raise InvalidRequest(detail, {"Authorization": ["Send it once."]})

        def may_report(customer: Customer) -> bool:
            # Whoever comes here knows the secret: should the token be looked for in the wrong
            # header, the contract watch shows which ones there are.
            headers = answer_shapes.list_header_facts(request.headers)
            request.app[OBSERVER].record_shape(VENDOR, "callback", headers)
            return _may_report(request, customer)

        invitation, attempt = await results.recognise(
            where["invitation_id"], where["secret"], may_report
        )
        bind_log_fields(customer=invitation.customer)
        tracing.trust_caller()
        try:
            parsed = request_body.parse_json_body(
                await intake.read(request, invitation.customer, unpack=True)
            )
            if not isinstance(parsed, dict):
                msg = "The body has to be a JSON object."
                raise InvalidRequest(msg, {"body": ["Not an object."]})
        except (RequestError, ConnectionError):
            await results.receive_result(invitation, attempt, None)
            raise
        shape = answer_shapes.list_request_facts("callback", parsed)
        request.app[OBSERVER].record_shape(VENDOR, "callback", shape)
        await results.receive_result(invitation, attempt, schemas.read_reported_result(parsed))
        return json_response({"status": "ok"})

    return handle


# https://equalture-ats.readme.io/reference/webhooks-1
def create_webhook_handler(clock: Clock) -> Handler:
    """Receive an event: 401 unless it is signed by Standard Webhooks and fresh."""
    intake = request_body.BodyReader(
        BODY_LIMIT, request_body.BodyBudget(8 * 1024 * 1024, 2 * 1024 * 1024)
    )

    async def handle(request: web.Request) -> web.StreamResponse:
        customer = request.app[CUSTOMERS]().find(request.match_info["customer"])
        access = customer.provider if customer is not None else None
        secret = access.webhook_secret if isinstance(access, EqualtureAccount) else None
        if customer is None or not isinstance(access, EqualtureAccount) or not secret:
            msg = "No webhook secret is configured for this customer."
            raise EndpointNotEnabled(msg)
        bind_log_fields(customer=customer.key)
        intake.check_headers(request)
        try:
            delivery = webhook_signature.read_signature_headers(request.headers, clock())
            raw = await intake.read(request, customer.key)
            event_id = webhook_signature.verify_signature(raw, delivery, secret.reveal())
        except BadSignature as error:
            # A wrong clock, or a secret that was changed on one side only: the operator has to see
            # which.
            log.warning("webhook.refused", customer=customer.key, reason=str(error))
            raise
        tracing.trust_caller()
        parsed = request_body.parse_json_body(raw)
        shape = answer_shapes.list_request_facts("webhook", parsed)
        shape |= answer_shapes.list_header_facts(request.headers)
        request.app[OBSERVER].record_shape(VENDOR, "webhook", shape)
        event = schemas.read_event(parsed, access.started_words, access.finished_words)
        await request.app[SERVICES].events.take(
            customer, event_id, event.word, event.reference_id, event.at
        )
        return json_response({"status": "ok"})

    return handle


def create_equalture_endpoints(clock: Clock) -> list[Endpoint]:
    """Equalture's endpoints with their descriptions."""
    body = (errors.InvalidRequest, errors.BodyTimeout, errors.BodyTooLarge)
    return [
        Endpoint(
            "PUT",
            "/equalture/callbacks/{invitation_id}/{secret}",
            create_callback_handler(),
            "Report a completed assessment.",
            {200: ("Stored durably.", "application/json")},
            tag="equalture",
            request="application/json",
            refusals=(*body, errors.UnknownInvitation),
            parameters={
                "invitation_id": "The bridge's invitation id.",
                "secret": "The secret of this attempt.",
            },
            examples=callback_examples.CALLBACK,
        ),
        Endpoint(
            "POST",
            "/equalture/webhooks/{customer}",
            create_webhook_handler(clock),
            "Report an event, signed by Standard Webhooks.",
            {200: ("Taken in, or of no concern to the bridge.", "application/json")},
            tag="equalture",
            request="application/json",
            refusals=(*body, errors.BadSignature, errors.EndpointNotEnabled),
            parameters={"customer": "The customer's key."},
            examples=callback_examples.WEBHOOK,
        ),
    ]


# https://equalture-ats.readme.io/reference/introduction,
# "Receiving application results upon completion"
def _may_report(request: web.Request, customer: Customer) -> bool:
    """Whether the customer's callback token was sent, behind ``Bearer`` or ``Token`` or alone; True
    for a customer without one.
    """
    access = customer.provider
    if not isinstance(access, EqualtureAccount):
        return False
    wanted = access.callback_token
    if not wanted:
        return True
    # Assumption: a token is arranged by personal contact; the page has no word on its header.
    # Setting: equalture.callback_header.
    given = request.headers.getall(access.callback_header, ())
    scheme, blank, value = given[0].strip().partition(" ") if len(given) == 1 else ("", "", "")
    token = scheme
    if blank:
        token = value.strip() if scheme.lower() in ("bearer", "token") else ""
    return hmac.compare_digest(wanted.reveal().encode(), token.encode("utf-8", "surrogatepass"))
