"""The whole bridge, both vendors and Redis in one Python process, under one seed.

``python -m tests.simulation`` plays *worlds*. In a world time is virtual, all randomness and the
order in which tasks run come from the seed, and the network and Redis are in memory; the bridge is
the real one: its applications behind its own listener, its clients, its worker, its Lua scripts.
So a world with the same seed is the same, to the last byte of its trace, and what goes wrong in it
goes wrong again when it is played again.

``closed_world`` takes time and randomness away from Python and must be imported before the bridge;
``event_loop`` runs tasks, ``network`` carries HTTP, ``memory_redis`` is Redis. ``bridge_process``
is one process of the bridge, ``equalture_machine`` and ``softgarden_machine`` are the vendors,
``vendor_quirks`` what is odd about them in one journey, ``incidents`` what goes wrong in a world,
carried out by ``trouble``, ``promises`` what must hold nevertheless, checked by ``record_watch`` at
every commit, by ``journey`` at every answer and by ``end_checks`` when all is over. ``world`` puts
them together, by a ``world_script`` that is drawn from the seed; ``shrinking`` makes scripts
shorter, and ``story`` tells what is on the tape.
"""
