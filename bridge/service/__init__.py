"""The use cases: each loads a record, lets ``core`` decide, commits, and calls ports.

No HTTP, no Redis, no vendor JSON here.
"""

from __future__ import annotations

from dataclasses import dataclass

from bridge.ports import ProviderOf
from bridge.service.assessments import OfferedAssessments
from bridge.service.commit_loop import CommitLoop
from bridge.service.erasure import Erasure
from bridge.service.hiring import Hiring
from bridge.service.invite import Invite
from bridge.service.link_access import LinkAccess
from bridge.service.lookup import Lookup
from bridge.service.operations import Operations
from bridge.service.provider_events import ProviderEvents
from bridge.service.result_access import ResultAccess
from bridge.service.result_refresh import ResultRefresh
from bridge.service.result_texts import ResultTexts
from bridge.service.status_words import StatusWords
from bridge.service.task_handlers import TaskHandlers


@dataclass(frozen=True, slots=True)
class Services:
    """The use cases that handlers, commands and the worker call."""

    provider_of: ProviderOf

    tests: OfferedAssessments
    invitations: Invite
    results: ResultAccess
    events: ProviderEvents
    links: LinkAccess
    result_texts: ResultTexts
    erasure: Erasure
    hiring: Hiring
    tasks: TaskHandlers
    records: CommitLoop
    operations: Operations
    lookup: Lookup
    words: StatusWords
    refreshing: ResultRefresh
