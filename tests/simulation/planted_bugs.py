"""Bugs that are planted in a copy of the bridge, to see that a world finds each of them.

Each is an edit of the source: what is replaced must stand there exactly once, else the list has to
follow the code.
"""

from __future__ import annotations

from typing import Final

from tests.simulation.planted_customer_bugs import CUSTOMER_BUGS
from tests.simulation.planted_eviction_bugs import EVICTION_BUGS
from tests.simulation.planted_key_bugs import KEY_BUGS
from tests.simulation.planted_queue_bugs import QUEUE_BUGS
from tests.simulation.planted_record_bugs import RECORD_BUGS
from tests.simulation.planted_storage_bugs import STORAGE_BUGS
from tests.simulation.planted_web_bugs import WEB_BUGS
from tests.simulation.planting import build_bug as _bug

COMPLETION, TOMBSTONE = "core/lifecycle/completion.py", "core/lifecycle/tombstone.py"
CREATES, ORDERS = "core/lifecycle/creates.py", "core/lifecycle/orders.py"
CONFIRMATION, TIMING = "core/lifecycle/confirmation.py", "core/lifecycle/timing.py"

BUGS: Final = (
    # tasks
    _bug(
        "a completion queues no notification",
        (
            COMPLETION,
            "return (ScheduleTask(TaskKind.NOTIFY, now),) if invitation.issued else ()",
            "return ()",
        ),
    ),
    _bug(
        "an expiry queues no notification",
        (
            COMPLETION,
            "return Transition(expired, (*check, *schedule_notification(expired, now)))",
            "return Transition(expired, check)",
        ),
    ),
    _bug(
        "no poll is queued",
        (TIMING, "known and not creating and not accepted, now + policy.poll_every", "False, now"),
    ),
    _bug(
        "a deletion queues no anonymisation",
        (TOMBSTONE, "tasks = (*ended, anonymise)", "tasks = tuple(ended)"),
    ),
    _bug(
        "a task that is queued again is lost",
        (
            "store/settle.lua",
            "enqueue(KEYS[4], KEYS[1], KEYS[2], lane, id, ARGV[7], ARGV[10] == '1')",
            "enqueue(KEYS[4], KEYS[1], KEYS[2], lane, id)",
        ),
    ),
    _bug(
        "a task that was renewed during its lease is lost",
        ("store/settle.lua", "if entry.upcoming ~= '' then\n", "if false then\n"),
        (
            "store/commit.lua",
            "local again = ended.upcoming ~= '' and ended.upcoming",
            "local again = false",
        ),
    ),
    _bug(
        "leases live for a day",
        (
            "core/queueing.py",
            "LEASE_LIFE = timedelta(seconds=10)",
            "LEASE_LIFE = timedelta(days=1)",
        ),
    ),
    _bug(
        "a lease is not written, so that tasks are leased again and again",
        ("store/lease.lua", "        redis.call('ZADD', due, till, id)\n", ""),
    ),
    _bug(
        "every lease counts as an attempt",
        (
            "core/queueing.py",
            "return self.attempt if ended.counted else self.attempt - 1",
            "return self.attempt",
        ),
    ),
    _bug(
        "the worker ends when Redis refuses",
        (
            "worker.py",
            "        except StoreUnavailable as error:\n            self._warn_once(error)\n"
            "            await asyncio.sleep(_STORE_RETRY_S)\n            return 0\n",
            "        except StoreUnavailable:\n            raise\n",
        ),
    ),
    _bug(
        "tasks of a removed customer are done with",
        (
            "service/task_handlers.py",
            "return self._customers().get(customer) is not None",
            "return True",
        ),
        (
            "service/task_handlers.py",
            "return RetryTask(self._records.clock(), counted=False)\n        try:",
            "return TaskDone()\n        try:",
        ),
    ),
    _bug(
        "a task that is handed over is forgotten",
        (
            "worker.py",
            "        self._handed.add(offer.build_lease(invitation.id), invitation)\n",
            "        self._handed.withdraw(offer.lane)\n",
        ),
    ),
    # records
    _bug(
        "a commit compares no version",
        (
            "store/commit.lua",
            "if (version or '0') ~= ARGV[4] or ARGV[5] ~= '' and known ~= ARGV[5] then",
            "if false then",
        ),
    ),
    _bug(
        "a commit compares the version's number alone",
        ("store/commit.lua", " or ARGV[5] ~= '' and known ~= ARGV[5] then", " then"),
        troubles=("Redis fails over to a replica that was behind", "process stands still"),
    ),
    _bug(
        "a commit does not look who holds the order",
        (
            "store/commit.lua",
            "if order_op == 'claim' and holder ~= id and (holder or '') ~= ARGV[11] then",
            "if false then",
        ),
    ),
    _bug(
        "completionTime is the last confirmation",
        (
            COMPLETION,
            "confirmed = copy_with(invitation, result=event.result, confirmed=True,"
            " unconfirmed_result=None)\n    return",
            "confirmed = copy_with(invitation, result=event.result, confirmed=True,"
            " unconfirmed_result=None, completed_at=now)\n    return",
        ),
    ),
    _bug(
        "an expiry is final",
        (
            COMPLETION,
            "    if invitation.state in OPEN or invitation.state is State.EXPIRED:\n        done",
            "    if invitation.state in OPEN:\n        done",
        ),
    ),
    _bug(
        "a completion without confirmation can expire",
        (COMPLETION, "over = invitation.state in OPEN and now >=", "over = now >="),
    ),
    _bug(
        "a callback brings a tombstone back",
        (
            COMPLETION,
            "    if not needs_confirmation(invitation):\n        return Transition(invitation)\n"
            "    if invitation.state is State.COMPLETED:\n",
            "    if invitation.state is State.ERASED and event.report is not None:\n"
            "        return Transition(_completed(invitation, event.report, now, confirmed=True))\n"
            "    if not needs_confirmation(invitation):\n        return Transition(invitation)\n"
            "    if invitation.state is State.COMPLETED:\n",
        ),
    ),
    _bug(
        "a tombstone keeps the provider's ids",
        (
            TOMBSTONE,
            "reference_id=None if forgotten else event.reference_id",
            "reference_id=event.reference_id",
        ),
    ),
    _bug(
        "orphans are left at the provider",
        (
            CREATES,
            "return Transition(orphaned, (*again, anonymise))",
            "return Transition(orphaned, again)",
        ),
    ),
    # what callers are told
    _bug(
        "a callback is answered before it is stored",
        (
            "equalture/handlers.py",
            "        await results.receive_result(invitation, attempt,"
            " schemas.read_reported_result(parsed))\n",
            "        import asyncio\n        later = results.receive_result(\n"
            "            invitation, attempt, schemas.read_reported_result(parsed))\n"
            "        asyncio.get_running_loop().call_later(\n"
            "            0.3, lambda: asyncio.ensure_future(later))\n",
        ),
    ),
    _bug(
        "a deletion is confirmed before the provider has",
        (
            "service/erasure.py",
            "        if attempts.list_applications_to_anonymise(await self._latest(invitation)):\n"
            "            raise UpstreamNotConfirmed(_NOT_YET)\n",
            "",
        ),
    ),
    _bug(
        "an open invitation is not given again",
        (
            ORDERS,
            "return OrderMatch.SAME if now < get_invitation_expiry(known, policy) else",
            "return OrderMatch.NEW if now < get_invitation_expiry(known, policy) else",
        ),
    ),
    _bug(
        "a create that is under way is not waited for",
        (
            ORDERS,
            "return OrderMatch.WAIT if is_create_in_progress(known, policy, now) else",
            "return OrderMatch.RETRY if is_create_in_progress(known, policy, now) else",
        ),
    ),
    # vendors
    _bug(
        "a create without an answer is repeated",
        (
            "service/invite.py",
            "            created = await provider.create_application(customer, draft)\n",
            "            try:\n"
            "                created = await provider.create_application(customer, draft)\n"
            "            except OutcomeUnknown:\n"
            "                created = await provider.create_application(customer, draft)\n",
        ),
    ),
    _bug(
        "every answer to a notification is a success",
        ("core/retry.py", "if 200 <= status < 300:", "if 200 <= status:"),
    ),
    _bug(
        "a notification without an answer is a success",
        (
            "service/notify_task.py",
            "            note = self.failures.note(error, begun)\n"
            "            retry_after_s = error.retry_after_s\n",
            "            return TaskDone()\n",
        ),
    ),
    _bug(
        "a token that the vendor forgot is not renewed",
        ("equalture/client.py", "        if reply.status != 401:\n", "        if reply.status:\n"),
    ),
    _bug(
        "all customers share a token",
        (
            "equalture/tokens.py",
            "slot = self._slots.get(customer.key)",
            "slot = self._slots.get('')",
        ),
        (
            "equalture/tokens.py",
            "if slot is None or (slot.access is not access and slot.access != access):",
            "if slot is None:",
        ),
        (
            "equalture/tokens.py",
            "slot = self._slots[customer.key] = _Slot(access)",
            "slot = self._slots[''] = _Slot(access)",
        ),
    ),
    _bug(
        "the breaker goes by the host's clock",
        (
            "app/runtime.py",
            "open_ats(settings, vendors, outward, monotonic, meter",
            "open_ats(settings, vendors, outward, lambda: wall().timestamp(), meter",
        ),
    ),
    # the rest
    _bug(
        "names are logged",
        (
            "service/invite.py",
            '            "invitation.created" if failure is None else'
            ' "invitation.create_failed",\n',
            '            "invitation.created" if failure is None else "invitation.create_failed",\n'
            "            who=order.candidate.email,\n",
        ),
    ),
    _bug(
        "scripts that Redis forgot are not sent again",
        (
            "store/redis_access.py",
            "                if isinstance(answers[index], NoScriptError):\n",
            "                if False:\n",
        ),
    ),
    _bug(
        "each host goes by its own clock",
        (
            "store/shared_clock.py",
            "        if self._zero is None:\n            return self._wall()\n",
            "        if True:\n            return self._wall()\n",
        ),
    ),
    _bug(
        "one customer may take all slots",
        (
            "concurrency.py",
            "        return max(0, max(PER_LANE, int(own)) - self._running[lane])\n",
            "        return 1000\n",
        ),
        (
            "concurrency.py",
            "            free = min(free, slots - slots // URGENT_PART - self._not_urgent)\n",
            "            pass\n",
        ),
        ("concurrency.py", "MOST_SLOTS = 256\n", "MOST_SLOTS = 64\n"),
    ),
    *CUSTOMER_BUGS,
    *EVICTION_BUGS,
    *KEY_BUGS,
    *QUEUE_BUGS,
    *RECORD_BUGS,
    *STORAGE_BUGS,
    *WEB_BUGS,
)
