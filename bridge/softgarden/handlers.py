"""What softgarden calls, its four endpoints and its data export: load, call the use case, dump."""

from __future__ import annotations

from aiohttp import web

from bridge import errors
from bridge.core import invitation_view
from bridge.core.links import LinkSigner
from bridge.errors import InvalidRequest, UnknownInvitation, UnknownInvitationOnDelete
from bridge.log_context import bind_log_fields
from bridge.softgarden import call_examples, request_shapes
from bridge.softgarden.auth import require_customer_token, require_data_export_token
from bridge.softgarden.schemas import (
    AnswerFormat,
    InvitationSchema,
    InviteSchema,
    ResultSchema,
    read_exported_application_id,
    rename_fields_in_error,
)
from bridge.web import request_body
from bridge.web.app_keys import CUSTOMER, SERVICES
from bridge.web.json_answer import JsonAnswer, json_response
from bridge.web.rate_limits import RateLimit
from bridge.web.routing import Endpoint

BODY_LIMIT = 64 * 1024


class SoftgardenHandlers:
    """The handlers of softgarden's four endpoints."""

    def __init__(self, wire: AnswerFormat, links: LinkSigner) -> None:
        self._wire = wire
        self._links = links
        self._intake = request_body.BodyReader(BODY_LIMIT)

    # https://dev.softgarden.de/assessment-api
    async def tests(self, request: web.Request) -> web.Response:
        """The tests that HR can choose."""
        request_shapes.record_request_shape(request, "tests")
        customer = request[CUSTOMER]
        tests = await request.app[SERVICES].tests.list(customer)
        return JsonAnswer(self._wire.render_tests(customer.key, tests))

    # https://dev.softgarden.de/assessment-api/invite-candidate-to-test
    async def invite(self, request: web.Request) -> web.Response:
        """Invite a candidate to a test."""
        customer = request[CUSTOMER]
        body = await self._body(request)
        request_shapes.record_request_shape(request, "invite", body)
        order = self._wire.order(body)

        def caller_waits() -> bool:
            return request.transport is not None and not request.transport.is_closing()

        try:
            invitation = await request.app[SERVICES].invitations.invite(
                customer, order, caller_waits
            )
        except InvalidRequest as error:
            raise rename_fields_in_error(error) from None
        bind_log_fields(invitation_id=invitation.id)
        return json_response(
            self._wire.invitation(
                invitation, invitation_view.choose_candidate_url(invitation, customer, self._links)
            )
        )

    # https://dev.softgarden.de/assessment-api/get-test-results
    async def result(self, request: web.Request) -> web.Response:
        """Read an invitation's state and result."""
        request_shapes.record_request_shape(request, "result")
        view = await request.app[SERVICES].results.read(
            request[CUSTOMER], request.match_info["invitation_id"]
        )
        return json_response(self._wire.result(view))

    # https://dev.softgarden.de/applicant-data-export
    async def hired(self, request: web.Request) -> web.Response:
        """Have the applicant hired of whom the data export tells.

        Of its body only the id of the application is read; nothing of the rest is kept.
        """
        request_shapes.record_request_shape(request, "hired")
        customer = request[CUSTOMER]
        application_id = read_exported_application_id(
            await self._body(request), customer.hire.id_field
        )
        await request.app[SERVICES].hiring.applicant_hired(customer, application_id)
        return json_response({"status": "ok"})

    async def _body(self, request: web.Request) -> object:
        self._intake.check_headers(request)
        if "Content-Type" in request.headers and not request.content_type.endswith("json"):
            msg = "The body has to be JSON."
            raise InvalidRequest(msg, {"Content-Type": ["Send application/json."]})
        return request_body.parse_json_body(await self._intake.read(request, request[CUSTOMER].key))

    # https://dev.softgarden.de/assessment-api/delete-candidate-data
    async def delete(self, request: web.Request) -> web.Response:
        """Delete a candidate's data.

        On DELETE only: the vendor page's curl shows GET, which must never erase.
        """
        request_shapes.record_request_shape(request, "delete")
        try:
            await request.app[SERVICES].erasure.erase(
                request[CUSTOMER], request.match_info["invitation_id"]
            )
        except UnknownInvitation as error:
            raise UnknownInvitationOnDelete(str(error)) from None
        return web.Response(status=204)


def create_softgarden_endpoints(
    wire: AnswerFormat, links: LinkSigner, limit: RateLimit
) -> list[Endpoint]:
    """softgarden's endpoints with their descriptions."""
    handlers = SoftgardenHandlers(wire, links)
    by_id = {"invitation_id": "The invitationId of the invite's answer."}
    unanswered = (errors.UpstreamRefused, errors.UpstreamContractBroken, errors.UpstreamUnavailable)
    return [
        Endpoint(
            "GET",
            "/softgarden/tests",
            require_customer_token(handlers.tests, limit),
            "List the tests that HR can choose.",
            {200: ("The tests; the shape is a setting.", "application/json")},
            tag="softgarden",
            refusals=unanswered,
            secured=True,
            examples=call_examples.build_test_list_examples(wire),
        ),
        Endpoint(
            "POST",
            "/softgarden/invitations",
            require_customer_token(handlers.invite, limit),
            "Invite a candidate; a repeat of an open order returns the same invitation.",
            {200: ("The open invitation.", InvitationSchema)},
            tag="softgarden",
            request=InviteSchema,
            refusals=(
                errors.InvalidRequest,
                errors.UnknownAssessment,
                errors.CallbackNotAllowed,
                errors.BodyTimeout,
                errors.BodyTooLarge,
                *unanswered,
                errors.OutcomeUnknown,
            ),
            secured=True,
            name="invite",
            examples=call_examples.INVITE,
            leads_to={
                name: {"invitation_id": "invitationId"}
                for name in ("readResult", "deleteInvitation")
            },
        ),
        Endpoint(
            "GET",
            "/softgarden/results/{invitation_id}",
            require_customer_token(handlers.result, limit),
            "Read an invitation's state and result.",
            {200: ("The state, and the result once completed.", ResultSchema)},
            tag="softgarden",
            refusals=(errors.UnknownInvitation,),
            secured=True,
            parameters=by_id,
            name="readResult",
            examples=call_examples.RESULTS,
        ),
        Endpoint(
            "DELETE",
            "/softgarden/invitations/{invitation_id}",
            require_customer_token(handlers.delete, limit),
            "Delete the candidate's data here and have Equalture anonymise it.",
            {204: "Deleted, also the second time."},
            tag="softgarden",
            refusals=(errors.UnknownInvitationOnDelete, errors.UpstreamNotConfirmed),
            secured=True,
            parameters=by_id,
            name="deleteInvitation",
            examples=call_examples.DELETION,
        ),
        Endpoint(
            "POST",
            "/softgarden/hired/{customer}",
            require_data_export_token(handlers.hired, limit),
            "Take in an applicant of the data export who was hired, and tell Equalture once.",
            {200: ("Taken in durably, also where there is nothing to hire.", "application/json")},
            tag="softgarden",
            request="application/json",
            refusals=(
                errors.InvalidRequest,
                errors.EndpointNotEnabled,
                errors.BodyTimeout,
                errors.BodyTooLarge,
            ),
            secured=True,
            parameters={"customer": "The customer's key."},
            name="applicantHired",
            examples=call_examples.HIRED,
        ),
    ]
