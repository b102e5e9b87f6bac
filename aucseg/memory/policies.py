"""Which stored object makes room for a new one (AUCSeg, Appendix G.9 and Table 19)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

from aucseg.errors import OptionError


class Slot(Protocol):
    """What a policy may know of a stored object."""

    @property
    def order(self) -> int:
        """How many objects had been stored before it; larger is later."""

    @property
    def born(self) -> int:
        """The step in which it was stored."""

    @property
    def uses(self) -> int:
        """How often it was pasted."""


@runtime_checkable
class ReplacementPolicy(Protocol):
    """Chooses the stored object that makes room for a new one of its class.

    Inherit from it, or write a class with the same three methods, and give the bank an instance. What the
    built-in policies look at belongs to the stored objects and travels with them in ``state_dict``; a policy
    that remembers more returns it from ``state_dict``, as numbers, lists, dictionaries and tensors.
    """

    def __init__(self) -> None:
        """Remembers nothing."""

    def choose(self, slots: Sequence[Slot], draw: Callable[[int], int]) -> int:
        """The position of the object to replace.

        Args:
            slots: the stored objects of one class, S_M of them.
            draw: ``draw(n)`` is a random number of 0 to n - 1 from the bank's generator.

        Returns:
            A position in ``slots``.
        """
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """What the policy remembers; nothing by default."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what ``state_dict`` returned.

        Args:
            state: of the same policy.

        Raises:
            OptionError: if it holds something and this policy remembers nothing.
        """
        if state:
            raise OptionError(f"{type(self).__name__} remembers nothing, got a state of {sorted(state)}")


class RandomReplacement(ReplacementPolicy):
    """Any stored object, each alike: Algorithm 2."""

    def choose(self, slots: Sequence[Slot], draw: Callable[[int], int]) -> int:
        """One draw."""
        return draw(len(slots))


class FIFO(ReplacementPolicy):
    """First in, first out: the object that was stored first."""

    def choose(self, slots: Sequence[Slot], draw: Callable[[int], int]) -> int:
        """The least order; no draw."""
        return min(range(len(slots)), key=lambda position: slots[position].order)


class LIFO(ReplacementPolicy):
    """Last in, first out: the object that was stored last, so that all others stay for ever."""

    def choose(self, slots: Sequence[Slot], draw: Callable[[int], int]) -> int:
        """The largest order; no draw."""
        return max(range(len(slots)), key=lambda position: slots[position].order)


class PriorityUsed(ReplacementPolicy):
    """An object that was pasted before, if there is one.

    The paper says no more than that such objects go first. Here all objects that were pasted at least once
    are alike, however often it was, and one of them is drawn; where none was pasted, one of all is drawn.
    """

    def choose(self, slots: Sequence[Slot], draw: Callable[[int], int]) -> int:
        """One draw, among the used objects or among all."""
        used = [position for position, slot in enumerate(slots) if slot.uses]
        return used[draw(len(used))] if used else draw(len(slots))


POLICIES: dict[str, Callable[[], ReplacementPolicy]] = {
    "random": RandomReplacement,
    "fifo": FIFO,
    "lifo": LIFO,
    "priority_used": PriorityUsed,
}


def make_policy(policy: str | ReplacementPolicy) -> ReplacementPolicy:
    """A policy by its name, or the one that was given.

    Args:
        policy: a name in ``POLICIES``, or an instance.

    Returns:
        An instance.

    Raises:
        OptionError: for a name that is not known.
        TypeError: for anything that lacks a policy's methods, a class instead of an instance included.
    """
    if isinstance(policy, str):
        if policy not in POLICIES:
            raise OptionError(f"replacement must be one of {', '.join(POLICIES)} or a policy, got {policy!r}")
        return POLICIES[policy]()
    if isinstance(policy, type) or not isinstance(policy, ReplacementPolicy):
        raise TypeError(
            f"replacement must be a name or an instance with the methods of ReplacementPolicy (choose, "
            f"state_dict, load_state_dict), got {policy!r}"
        )
    return policy
