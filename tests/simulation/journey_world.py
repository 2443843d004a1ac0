"""What journeys need of their world: whom they call, and what explains what they see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from bridge.core.invitation import Invitation
from tests.simulation.equalture_machine import EqualtureApplication, EqualtureMachine
from tests.simulation.memory_network import MemoryNetwork
from tests.simulation.order_round import OrderRound
from tests.simulation.tape import Tape


@dataclass(slots=True)
class World:
    """What journeys need of their world."""

    network: MemoryNetwork
    equalture: EqualtureMachine
    tape: Tape
    draws_of: Callable[[str], Random]
    by_invitation: dict[str, tuple[int, OrderRound]]
    complain: Callable[[str, str, int], None]
    """Notes a broken promise: which one, how, and in which journey."""
    kill: Callable[[str, float], None]
    """Kills a process at once, for some seconds."""
    may_be_unknown: Callable[[str], bool]
    """Whether a process may not have this customer."""
    judge: Callable[[int, str, float, str], None]
    """Is told in which journey what was called, how long it took, and which error came."""
    lost_claim: Callable[[int], bool]
    """Whether the entry that says that a journey's order was answered is destroyed, or lost."""
    is_gone: Callable[[str, str], bool]
    """Whether Redis has forgotten an invitation, or its attempt with this secret."""
    went_back: Callable[[float], bool]
    """Whether Redis has gone back to an earlier moment since then."""
    explains_delay: Callable[[float, float, str, str], bool]
    """Whether trouble that concerns a customer, or an invitation, was near between two times."""
    token_of: Callable[[str], str]
    """Which bearer token softgarden sends for a customer now."""
    find_life: Callable[[EqualtureApplication, str], float]
    """How long the link of an application lives that has this deadline."""
    is_dead: Callable[[str, str], bool]
    """Whether the key of a link of this kind is listed no longer."""
    may_be_dead: Callable[[str, str], bool]
    """Whether it is being taken off the list, or was."""
    is_unlisted: Callable[[str, EqualtureApplication], bool]
    """Whether Redis could not write down whose an application is."""
    find_record: Callable[[str], Invitation | None]
    """An invitation as it was last committed."""
