"""Bugs about tasks, leases, plans and fairness; see ``planted_bugs.py``."""

from __future__ import annotations

from typing import Final

from tests.simulation.planting import build_bug

COMMIT, SETTLE = "store/commit.lua", "store/settle.lua"
RETRY, WORKER = "core/retry.py", "worker.py"

QUEUE_BUGS: Final = (
    build_bug(
        "a lease that a commit hands over is not written",
        (COMMIT, "      write(KEYS[2], field, fresh)\n", ""),
    ),
    build_bug(
        "a commit does not end its lease",
        (COMMIT, "if not ours(ended, ARGV[19], ARGV[20]) then", "if true then"),
    ),
    build_bug(
        "a worker starts what was leased to another",
        (
            "service/commit_loop.py",
            "if outcome is CommitOutcome.LEASED:",
            "if outcome is not CommitOutcome.LOST:",
        ),
    ),
    build_bug(
        "a lease ends whoever says so",
        (SETTLE, "if not ours(entry, ARGV[4], ARGV[5]) then", "if not entry then"),
    ),
    build_bug(
        "leases are not extended",
        (
            WORKER,
            "            await self.extend_leases_before_clock_step(self._clock())\n",
            "",
        ),
    ),
    build_bug(
        "leases of tasks that wait for a slot are not extended",
        (
            WORKER,
            "held = (*self._running.values(), *self._handed.list_leases())",
            "held = tuple(self._running.values())",
        ),
    ),
    build_bug(
        "work begins by the host's clock until Redis answers",
        (
            WORKER,
            "self._time_is_known = await self._synchronise_clock(extend)",
            "self._time_is_known = bool(await self._synchronise_clock(extend)) or True",
        ),
    ),
    build_bug(
        "requests are taken before the time is known",
        (
            "web/routing.py",
            "(refusal := state.get_refusal()) is not None",
            "(refusal := state.not_ready_reason) is not None",
        ),
        troubles=("a start without Redis", "Redis refuses connections"),
    ),
    build_bug(
        "a worker sleeps until somebody wakes it",
        (
            WORKER,
            "asyncio.timeout(min(IDLE_S, left) if left > 0 else IDLE_S)",
            "asyncio.timeout(None)",
        ),
    ),
    build_bug(
        "a worker sleeps until the first task that it knew of",
        (
            WORKER,
            "asyncio.timeout(min(IDLE_S, left) if left > 0 else IDLE_S)",
            "asyncio.timeout(left if 0 < left < math.inf else IDLE_S)",
        ),
    ),
    build_bug(
        "lanes are listed by their last task",
        (
            "store/common.lua",
            "redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')",
            "redis.call('ZRANGE', due, -1, -1, 'WITHSCORES')",
        ),
    ),
    build_bug(
        "the sweep takes living tasks for lost ones",
        (
            "store/reconciliation.py",
            "LATEST: Final = timedelta(days=800)",
            "LATEST: Final = timedelta(seconds=5)",
        ),
    ),
    build_bug(
        "a commit is answered before Redis has it",
        (
            "store/invitation_store.py",
            "            return CommitOutcome(await self._commands.run_confirmed(call))\n",
            "            import asyncio\n"
            "            asyncio.ensure_future(self._commands.run_confirmed(call))\n"
            "            return CommitOutcome.WRITTEN\n",
        ),
    ),
    # plans
    build_bug(
        "a dead letter is not written", (SETTLE, "if outcome == 'done' then", "if true then")
    ),
    build_bug(
        "the retry plan has no end",
        (RETRY, "    if attempt > len(plan):\n", "    if False:\n"),
        (
            RETRY,
            "add_jitter(plan[attempt - 1], random_fraction)",
            "add_jitter(plan[min(attempt, len(plan)) - 1], random_fraction)",
        ),
    ),
    build_bug(
        "every pause is the first of the plan",
        (RETRY, "add_jitter(plan[attempt - 1], random", "add_jitter(plan[0], random"),
    ),
    build_bug(
        "Retry-After replaces the plan",
        (
            RETRY,
            "len(plan)) - 1])\n    return RetryTask(now + max(delay, cap_retry_after(",
            "len(plan)) - 1])\n    return RetryTask(now + (lambda *both: both[1] or both[0])"
            "(delay, cap_retry_after(",
        ),
    ),
    build_bug(
        "attempts are not counted",
        (
            "store/task_queue.py",
            "            calls = lease.count_calls(settlement)\n",
            "            calls = 0\n",
        ),
    ),
    build_bug(
        "an expiry comes with the last poll before the deadline",
        (
            "core/lifecycle/completion.py",
            "over = invitation.state in OPEN and now >= get_invitation_expiry(",
            "over = invitation.state in OPEN and now + policy.poll_every * 1.5"
            " >= get_invitation_expiry(",
        ),
    ),
    build_bug(
        "a check that got no answer is not queued again",
        (
            "service/check_task.py",
            "return replace(again, at=min(again.at, ends)) if ends is not None else again",
            "return TaskDone()",
        ),
    ),
    build_bug(
        "a report is checked with the next poll",
        (
            "core/lifecycle/completion.py",
            "reported, schedule_next_check(reported, policy, now, CheckTrigger.RECORD_CHANGED)",
            "reported",
        ),
    ),
    build_bug(
        "a report waits for a silent provider without end",
        (
            "core/lifecycle/policy.py",
            "UNREACHABLE_TIMEOUT = timedelta(seconds=30)",
            "UNREACHABLE_TIMEOUT = timedelta(days=30)",
        ),
    ),
    # fairness
    build_bug(
        "all customers share a breaker",
        (
            "resilience.py",
            "        guards = self._guards.get((customer, pool.name))\n",
            '        customer = ""\n        guards = self._guards.get((customer, pool.name))\n',
        ),
        troubles=("a customer's account is dead",),
    ),
    build_bug(
        "all customers share the turns of a few calls",
        (
            "resilience.py",
            "            guards = _Guards(target, self._monotonic, self._observer)\n",
            "            guards = _Guards(target, self._monotonic, self._observer)\n"
            "            for other in self._guards.values():\n"
            "                guards.bulkhead = other.bulkhead\n",
        ),
        ("resilience.py", 'ALL = CallPool("all", 128)', 'ALL = CallPool("all", 24)'),
    ),
    build_bug(
        "a lane never grows",
        ("concurrency.py", "            self._limits[lane] = limit + 1\n", "            pass\n"),
    ),
)
