"""Randomness that depends on (seed, step, position) alone.

A training that is resumed at any step, or loads with any number of workers, sees the same items with the
same augmentation as one that never stopped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import torch
from torch.utils.data import Dataset, Sampler

from aucseg.errors import OptionError

Key = tuple[int, int]


def mix_seed(*parts: int | str) -> int:
    """A 63-bit seed from numbers and labels, by BLAKE2b.

    A hash and not a sum: with sums, (seed 1, step 2) and (seed 2, step 1) would share their draws.
    """
    text = "\x1f".join(f"{type(p).__name__}:{p}" for p in parts)
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def epoch_order(num_images: int, seed: int, epoch: int) -> torch.Tensor:
    """The permutation (num_images,) int64 in which an epoch visits the images."""
    generator = torch.Generator().manual_seed(mix_seed("epoch", seed, epoch))
    return torch.randperm(num_images, generator=generator)


class StepBatchSampler(Sampler[list[Key]]):
    """Batches of ``(index, item_seed)`` for steps ``start_step`` to ``steps - 1``.

    The stream is one epoch's permutation after the other, cut into global batches of
    ``batch_size * world_size``; an epoch's end may fall inside a batch. Rank r takes the r-th piece, so
    that the global batch does not depend on how many ranks share it. ``len`` is ``steps``, whatever
    ``start_step`` is.

    Pass it as ``DataLoader(..., batch_sampler=...)``, and tell Lightning's trainer
    ``use_distributed_sampler=False``.

    Args:
        num_images: images in the data set.
        batch_size: images in a step on one rank.
        seed: of the order and of all augmentation.
        steps: steps of the whole training.
        start_step: first step to yield; may be set later, before iterating.
        rank: this process, 0 to ``world_size - 1``.
        world_size: number of processes.

    Raises:
        ValueError: if a count is out of its range.
    """

    def __init__(
        self,
        num_images: int,
        batch_size: int,
        *,
        seed: int,
        steps: int,
        start_step: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if num_images < 1 or batch_size < 1 or world_size < 1:
            raise OptionError(
                "num_images, batch_size and world_size are at least 1, "
                f"got {num_images}, {batch_size} and {world_size}"
            )
        if not 0 <= start_step <= steps:
            raise ValueError(f"need 0 <= start_step <= steps, got start_step={start_step}, steps={steps}")
        if not 0 <= rank < world_size:
            raise ValueError(f"rank is 0 to world_size - 1, got rank={rank}, world_size={world_size}")
        self.num_images, self.batch_size, self.seed = num_images, batch_size, seed
        self.steps, self.start_step = steps, start_step
        self.rank, self.world_size = rank, world_size
        self._order = lru_cache(maxsize=4)(self._epoch)

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[list[Key]]:
        for step in range(self.start_step, self.steps):
            first = self.rank * self.batch_size
            own = self.global_batch(step)[first : first + self.batch_size]
            yield [(i, mix_seed("item", self.seed, step, place)) for place, i in enumerate(own, start=first)]

    def global_batch(self, step: int) -> list[int]:
        """Indices of the images of a step on all ranks together, ``batch_size * world_size``."""
        size = self.batch_size * self.world_size
        places = (divmod(step * size + place, self.num_images) for place in range(size))
        return [self._order(epoch)[at] for epoch, at in places]

    def _epoch(self, epoch: int) -> list[int]:
        """The order of an epoch; what a sampler of another order replaces."""
        return epoch_order(self.num_images, self.seed, epoch).tolist()


class SeededDataset(Dataset[Any]):
    """A data set whose transform draws from the seed that comes with the index.

    Args:
        dataset: gives ``(image, mask)`` for an index.
        transform: called as ``transform(image, mask)``; draws from torch's CPU generator only.
    """

    def __init__(self, dataset: Any, transform: Callable[..., Any]) -> None:
        self.dataset = dataset
        self.transform = transform

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: Key) -> Any:
        index, item_seed = key
        item = self.dataset[index]
        with seeded(item_seed):
            return self.transform(*item)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Let torch's CPU generator start at a seed, and put it back to where it was afterwards.

    Args:
        seed: of the draws inside.
    """
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed would seed the GPUs too, in the main process only: then dropout would
        # depend on the number of workers.
        torch.default_generator.manual_seed(seed)
        yield
