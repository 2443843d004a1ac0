"""The use cases: each loads, lets ``core`` decide, commits, and calls ports. No HTTP, no Redis, no vendor JSON here."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.service.erasure import Erasure
from bridge.service.events import Events
from bridge.service.invitations import Invitations
from bridge.service.links import Links
from bridge.service.operations import Operations
from bridge.service.records import Records
from bridge.service.refresh import Refreshing
from bridge.service.results import Results
from bridge.service.tasks import Tasks
from bridge.service.tests import Tests
from bridge.service.words import StatusWords


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a handler, a command or the worker may ask for."""

    tests: Tests
    invitations: Invitations
    results: Results
    events: Events
    links: Links
    erasure: Erasure
    tasks: Tasks
    records: Records
    operations: Operations
    words: StatusWords
    refreshing: Refreshing
