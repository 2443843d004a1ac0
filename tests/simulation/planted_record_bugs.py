"""Bugs about damaged entries, other versions and customers' files; see ``planted_bugs.py``."""

from __future__ import annotations

from typing import Final

from tests.simulation.planting import build_bug

RECORD_BUGS: Final = (
    build_bug(
        "a reload sets a customer aside whose file is broken",
        (
            "app/customer_reload.py",
            "        if customers.set_aside:\n            raise",
            "        if not customers and customers.set_aside:\n            raise",
        ),
    ),
    build_bug(
        "nonsense in a queue is dropped in silence",
        ("store/quarantine_task.lua", "return redis.call('HSETNX', KEYS[4], ARGV[4], ARGV[5])", ""),
    ),
    build_bug(
        "a record that is too new is taken for a lost one",
        (
            "service/task_handlers.py",
            "        except RecordUnreadable as error:\n",
            "        except RecordUnreadable as error:\n            return self._lost(lease)\n",
        ),
    ),
)
