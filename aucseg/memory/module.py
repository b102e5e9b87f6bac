"""What every bank of objects has: a store, a diary, a generator, reports, and a state."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from aucseg.memory.diary import Diary
from aucseg.memory.options import check_generator
from aucseg.memory.policies import ReplacementPolicy, make_policy
from aucseg.memory.state import pack, saved_bytes, unpack
from aucseg.memory.store import Entry, ObjectStore


class ObjectBank(nn.Module):
    """Stored objects, counters and random numbers of a bank, and what it reports and saves of them.

    Args:
        tail_classes: labels of the classes that it stores.
        memory_size: S_M, objects kept for each class.
        replacement: name of a policy, or a policy.
        offload: keep objects in the CPU's memory.
        generator: a CPU generator to draw from; by default a new one.
    """

    def __init__(
        self,
        tail_classes: tuple[int, ...],
        memory_size: int,
        replacement: str | ReplacementPolicy,
        *,
        offload: bool,
        generator: torch.Generator | None,
    ) -> None:
        super().__init__()
        self.tail_classes, self.memory_size, self.offload = tail_classes, memory_size, offload
        self.replacement = make_policy(replacement)
        self._generator = check_generator(generator)
        self.reset()

    def reset(self) -> None:
        """Forget every stored object and set the counters to zero; random state and policy go on."""
        self._store = ObjectStore(self.tail_classes, self.memory_size, self.replacement, offload=self.offload)
        self._diary = Diary(self.tail_classes)

    def _draw(self, size: int) -> int:
        return int(torch.randint(size, (), generator=self._generator))

    def __len__(self) -> int:
        return sum(self.sizes().values())

    def sizes(self) -> dict[int, int]:
        """Number of stored objects of each tail class."""
        return {label: len(entries) for label, entries in self._store.entries.items()}

    def objects(self) -> dict[int, list[tuple[Tensor, Tensor]]]:
        """The stored objects of each tail class, to look at.

        Returns:
            For each class pairs of a picture (C, h, w), the tight box around the object, and its mask (h, w),
            boolean. They are the stored tensors themselves: do not write to them.
        """
        return {
            label: [(entry.crop.image, entry.crop.mask) for entry in entries]
            for label, entries in self._store.entries.items()
        }

    def ages(self) -> dict[int, list[int]]:
        """How many steps ago each stored object of each tail class was stored."""
        return {
            label: [self._diary.steps - entry.born for entry in entries]
            for label, entries in self._store.entries.items()
        }

    def stats(self) -> dict[str, dict[int, int]]:
        """Counters since the start, for each tail class.

        Returns:
            ``"stored"``: objects put into the bank. ``"missing"``: images (with ``scope="batch"`` batches)
            without the class. ``"pasted"``: objects pasted. ``"empty"``: draws lost because nothing was
            stored yet. ``"replaced"``: objects that made room for another. ``"too_small"``: objects below
            ``min_area``. ``"crowded"``: draws given up for ``max_cover``. ``"pasted_age"``: steps between
            storing and pasting, summed over all pastes.
        """
        return {name: dict(counts) for name, counts in self._diary.counters.items()}

    def metrics(self, prefix: str = "bank/") -> dict[str, float]:
        """Numbers to log during training: means over the last 100 batches, and the present content.

        Args:
            prefix: of each name.

        Returns:
            ``missing``: share of the tail classes that an image (with ``scope="batch"`` a batch) misses.
            ``stored``, ``replaced``, ``pasted``: objects for each image. ``lost``, ``crowded``: share of the
            draws that found nothing stored, or no place. ``pasted_age``: mean age of a pasted object in
            steps. ``coverage_before``, ``coverage_after``: share of the batches that hold all tail classes
            before and after pasting; a pasted class counts as held even if void or a later paste covers all
            of it. ``objects``, ``bytes``: what is stored, and ``age``, its mean age in steps. A mean over
            nothing (the age before anything was pasted) is left out.
        """
        ages = [age for found in self.ages().values() for age in found]
        found = self._diary.metrics()
        found |= {"objects": float(len(ages)), "bytes": float(sum(self._store.nbytes().values()))}
        if ages:
            found["age"] = sum(ages) / len(ages)
        return {prefix + name: value for name, value in found.items()}

    def nbytes(self) -> dict[str, int]:
        """Size of the bank.

        Returns:
            Bytes of the stored pictures and masks: ``"device"`` on accelerators, ``"host"`` in the CPU's
            memory. ``"disk"``: of the file that ``torch.save(bank.state_dict(), ...)`` writes; finding that
            costs as much as saving.
        """
        return self._store.nbytes() | {"disk": saved_bytes(self.state_dict())}

    def get_extra_state(self) -> dict[str, Any]:
        """Objects, counters, random state and the policy's, for ``state_dict``."""
        return pack(self._store, self._diary, self._generator.get_state())

    def set_extra_state(self, state: Any) -> None:
        """Take over the state of a bank with the same tail classes.

        Args:
            state: what ``get_extra_state`` returned, in this version or the one before.

        Raises:
            ValueError: if it is not the state of such a bank.
        """
        new = unpack(state, self.tail_classes, self.memory_size)
        self._check_entries(entry for shelf in new.entries.values() for entry in shelf)
        if new.policy is not None:
            name, remembered = new.policy
            if name == type(self.replacement).__name__:
                self.replacement.load_state_dict(remembered)
            elif remembered:
                raise ValueError(
                    f"the state holds what a {name} remembers, this bank has a "
                    f"{type(self.replacement).__name__}; build it with the same replacement policy"
                )
        self._store.load(new.entries, new.number)
        self._diary = new.diary
        self._generator.set_state(new.generator)

    def _check_entries(self, entries: Iterable[Entry]) -> None:
        """Refuse stored objects that this bank cannot use."""

    def extra_repr(self) -> str:
        """The options, for ``repr``."""
        policy = type(self.replacement).__name__
        return f"tail_classes={self.tail_classes!r}, memory_size={self.memory_size}, replacement={policy}"
