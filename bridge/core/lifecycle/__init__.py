"""The life of an invitation: what an event changes in a record, and when to check again.

Nothing here does I/O or reads a clock. In the order in which to read it:

==================  ===============================================================================
``events``          What can happen.
``policy``          Every duration and setting that decisions depend on.
``attempts``        Questions about creates and the applications that they made.
``confirmation``    Questions about reported results that are not confirmed yet.
``timing``          Deadline, end, and every reason to look again in one table.
``checks``          What a CHECK has to find out now.
``orders``          What an order gets: the invitation that exists, another attempt, or a new one.
``decide``          ``decide(invitation, event, policy, now) -> Transition``, the only place where
                    an invitation changes; by ``creates``, ``completion``, ``hires`` and
                    ``tombstone``.
==================  ===============================================================================

All states and transitions are drawn in ``.github/STATES.md``, which a test compares with what
``decide`` does. States only move forward, and ``completed_at`` is set once.

A reported result completes an open or expired invitation: confirmed, once the provider itself gives
the result; unconfirmed, once the provider was unreachable for ``UNREACHABLE_TIMEOUT``, had no
result for ``NO_RESULT_TIMEOUT`` or until the end, or cannot be asked about it. An invitation never
expires while it has a reported result that nothing refuted.

The ATS is notified of COMPLETED and EXPIRED if it has the id, else as soon as it gets it. A create
is never repeated automatically: only a new order of the ATS opens another attempt.

Other events come in while a CHECK runs, and the CHECK ends once its outcome is committed. So every
event that leaves an invitation open, or a reported result unconfirmed, queues a CHECK; none relies
on one that was queued before.
"""
