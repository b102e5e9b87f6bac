"""Every replacement policy against sequences worked out by hand (AUCSeg, Table 19)."""

from __future__ import annotations

import pytest
import torch

from aucseg.errors import OptionError
from aucseg.memory import (
    FIFO,
    LIFO,
    POLICIES,
    PriorityUsed,
    RandomReplacement,
    ReplacementPolicy,
    TailMemoryBank,
)
from aucseg.memory.objects import Crop, NewObject, ObjectStore, Origin

PIXEL = Crop(torch.zeros(3, 1, 1), torch.ones(1, 1, dtype=torch.bool))


class Script:
    """Random numbers from a list, and what each was asked for."""

    def __init__(self, *numbers):
        self.numbers, self.asked = list(numbers), []

    def __call__(self, size):
        self.asked.append(size)
        return self.numbers.pop(0)


def play(policy, moves, draw, size=3):
    """Orders of the objects on the shelf after each move: a number uses that position, ``None`` stores."""
    store = ObjectStore((5,), size, policy, offload=False)
    found = []
    for step, move in enumerate(moves):
        if move is None:
            store.put(NewObject(5, PIXEL, 1, Origin(0, 0, 1, 1)), step, draw)
        else:
            store.shelves[5][move].uses += 1
        found.append([stored.order for stored in store.shelves[5]])
    return found


def saved_orders(bank):
    """How many objects had been stored before each one of the only class."""
    (notes,) = bank.get_extra_state()["entries"]
    return [order for _, order, *_ in notes]


STORE = [None] * 6
FILL = [[0], [0, 1], [0, 1, 2]]


def test_random_replaces_what_is_drawn():
    draw = Script(1, 1, 2)
    assert play(RandomReplacement(), STORE, draw) == [*FILL, [0, 3, 2], [0, 4, 2], [0, 4, 5]]
    assert draw.asked == [3, 3, 3]


def test_first_in_first_out():
    assert play(FIFO(), [*STORE, None], Script()) == [*FILL, [3, 1, 2], [3, 4, 2], [3, 4, 5], [6, 4, 5]]


def test_last_in_first_out():
    assert play(LIFO(), STORE, Script()) == [*FILL, [0, 1, 3], [0, 1, 4], [0, 1, 5]]


def test_used_ones_go_first():
    draw = Script(1, 0, 2)
    moves = [None, None, None, 0, 2, 2, None, None, None]
    assert play(PriorityUsed(), moves, draw) == [
        *FILL,
        *[[0, 1, 2]] * 3,  # positions 0 and 2 are used, the latter twice
        [0, 1, 3],  # the second of the two used ones is drawn
        [4, 1, 3],  # the only used one that is left
        [4, 1, 5],  # none is used: any of the three
    ]
    assert draw.asked == [2, 1, 3]


@pytest.mark.parametrize("name", POLICIES)
def test_by_name(name):
    bank = TailMemoryBank((5,), memory_size=2, replacement=name)
    for _ in range(5):
        bank(torch.rand(1, 3, 8, 8), torch.full((1, 8, 8), 5))
    assert len(bank) == 2
    assert bank.stats()["replaced"] == {5: 3}
    assert f"replacement={type(bank.replacement).__name__}" in repr(bank)
    orders = set(saved_orders(bank))
    if name in ("fifo", "lifo"):
        assert orders == ({3, 4} if name == "fifo" else {0, 4})


class Turns(ReplacementPolicy):
    """Replaces each position in turn; remembers where it was."""

    def __init__(self):
        self.next = 0

    def choose(self, slots, draw):
        self.next += 1
        return (self.next - 1) % len(slots)

    def state_dict(self):
        return {"next": self.next}

    def load_state_dict(self, state):
        self.next = state["next"]


class Duck:
    def choose(self, slots, draw):
        return len(slots)

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


def filled(policy, steps):
    bank = TailMemoryBank((5,), memory_size=3, replacement=policy)
    for _ in range(steps):
        bank(torch.rand(1, 3, 4, 4), torch.full((1, 4, 4), 5))
    return bank


def test_a_policy_of_ones_own_and_its_state():
    bank = filled(Turns(), 5)
    assert saved_orders(bank) == [3, 4, 2]
    again = TailMemoryBank((5,), memory_size=3, replacement=Turns())
    again.load_state_dict(bank.state_dict())
    assert again.replacement.next == 2
    with pytest.raises(
        OptionError, match="what a Turns remembers, this bank has a FIFO; build it with the same"
    ):
        TailMemoryBank((5,), memory_size=3, replacement="fifo").load_state_dict(bank.state_dict())


def test_what_the_policies_look_at_is_saved():
    bank = filled("fifo", 7)
    again = TailMemoryBank((5,), memory_size=3, replacement="fifo")
    again.load_state_dict(bank.state_dict())
    for each in (bank, again):
        each(torch.rand(1, 3, 4, 4), torch.full((1, 4, 4), 5))
    assert [saved_orders(each) for each in (bank, again)] == [[6, 7, 5]] * 2


def test_bad_policies():
    with pytest.raises(ValueError, match=r"Duck.choose returned 3; it must be 0 to 2"):
        filled(Duck(), 4)
    for bad in (FIFO, 3, object()):
        with pytest.raises(TypeError, match="a name or an instance with the methods of ReplacementPolicy"):
            TailMemoryBank((5,), replacement=bad)
    with pytest.raises(OptionError, match=r"FIFO remembers nothing, got a state of \['next'\]"):
        FIFO().load_state_dict({"next": 1})
    with pytest.raises(NotImplementedError):
        ReplacementPolicy().choose([], int)
