"""Use case: which tests can HR choose?"""

from __future__ import annotations

from bridge.core import translate
from bridge.core.customers import Customer
from bridge.core.models import Test
from bridge.errors import UnknownTest
from bridge.ports import TestCatalogue


class Tests:
    """The provider's jobs merged with the customer's mapping."""

    __test__ = False

    def __init__(self, catalogue: TestCatalogue) -> None:
        self._catalogue = catalogue

    async def list(self, customer: Customer) -> tuple[Test, ...]:
        """The customer's tests; an older list while the provider is down; ``UpstreamError`` where there is none."""
        return translate.offered(await self._catalogue.list_jobs(customer), customer.tests)

    async def resolve(self, customer: Customer, test_id: str) -> Test:
        """The test that an order means; raises ``UnknownTest``.

        A mapped test needs no list, so that it can be ordered while the list cannot be read. An unmapped one is looked for
        in a fresh list before it is refused: it may have been published a second ago.
        """
        test = translate.mapped(customer.tests, test_id)
        if test is not None:
            return test
        if customer.tests.publish_unmapped and test_id not in customer.tests.hidden:
            for fresh in (False, True):
                jobs = await self._catalogue.list_jobs(customer, fresh=fresh)
                for offered in translate.offered(jobs, customer.tests):
                    if offered.id == test_id:
                        return offered
        detail = "This test is not offered: hidden, not published, or not of type assessment at Equalture."
        raise UnknownTest(detail, {"testId": ["Unknown test."]})
