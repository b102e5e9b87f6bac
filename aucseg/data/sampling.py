"""The stream of batches: which images a step sees, in which order, from which seeds.

Plain, or stratified sampling for the data loader, plain and improved (AUCSeg, E.1), with what it repeats. All
randomness depends on (seed, step, position) alone: a training that is resumed at any step, or loads with any
number of workers, sees the same items with the same augmentation as one that never stopped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler
from torchvision.transforms import v2

from aucseg.data.items import typed
from aucseg.errors import OptionError

# index, seed of the item and, from samplers that draw images for a class, its train id
Key = tuple[int, int] | tuple[int, int, int]


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
        self.epoch_length = num_images
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
        places = (divmod(step * size + place, self.epoch_length) for place in range(size))
        return [self._order(epoch)[at] for epoch, at in places]

    def _epoch(self, epoch: int) -> list[int]:
        """The order of an epoch; what a sampler of another order replaces."""
        return epoch_order(self.num_images, self.seed, epoch).tolist()


class SeededDataset(Dataset[Any]):
    """A data set whose transform draws from the seed that comes with the index.

    Where the sampler says for which class it drew the image, a transform that has ``takes_label`` is called
    with it.

    Args:
        dataset: gives ``(image, mask)`` for an index, as tv_tensors or plain tensors; see
            :func:`aucseg.data.items.typed`.
        transform: called as ``transform(image, mask)`` on tv_tensors; draws from torch's CPU generator only.
    """

    def __init__(self, dataset: Any, transform: Callable[..., Any]) -> None:
        self.dataset = dataset
        self.transform = transform

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: Key) -> Any:
        index, item_seed, *label = key
        item = self.dataset[index]
        if isinstance(self.transform, v2.Transform) or all(isinstance(part, torch.Tensor) for part in item):
            item = typed(*item)  # another function may take what it likes
        with seeded(item_seed):
            return self.transform(*item, *(label if getattr(self.transform, "takes_label", False) else ()))


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


class StratifiedBatchSampler(StepBatchSampler):
    r"""Batches that follow the class distribution: conventional stratified sampling.

    Each image belongs to one stratum, that of the rarest class it holds: the paper leaves open how an image
    of many classes finds its stratum, and with the rarest no rare class drowns in a frequent one. In an epoch
    each image comes once and the strata are spread evenly: the j-th of a stratum's n shuffled images stands
    at (j + u) / n of the epoch, u uniform for each stratum. A batch of B holds about B n / N images of it: of
    a class that fewer than N / B images hold most batches hold none, which is why the paper needs a bank.

    Streams, seeds, resuming and ranks are those of :class:`StepBatchSampler`.

    Args:
        presence: which image holds which class, (N, K) bool.
        batch_size: images in a step on one rank.
        options: ``seed``, ``steps`` and the others of :class:`StepBatchSampler`.

    Raises:
        ValueError: if ``presence`` is not a matrix of bool, or a count is out of its range.
    """

    def __init__(self, presence: np.ndarray, batch_size: int, **options: Any) -> None:
        self.presence = check_presence(presence)
        super().__init__(len(self.presence), batch_size, **options)
        by_rarity = np.argsort(self.presence.sum(0), kind="stable")
        self._stratum = np.append(self.presence[:, by_rarity], np.ones((self.num_images, 1), bool), 1).argmax(
            1
        )

    def _epoch(self, epoch: int) -> list[int]:
        rng = np.random.default_rng(mix_seed("strata", self.seed, epoch))
        at = np.empty(self.num_images)
        for stratum in np.unique(self._stratum):
            members = rng.permutation(np.flatnonzero(self._stratum == stratum))
            at[members] = (np.arange(len(members)) + rng.random()) / len(members)
        order: list[int] = at.argsort(kind="stable").tolist()
        return order


class CoveringBatchSampler(StepBatchSampler):
    """Batches that all hold every promised class: the paper's improved stratified sampling.

    Images are grouped by class, an image in as many groups as it has classes. A batch takes, from the rarest
    class on, an image from the group of each class that it does not hold yet, and fills up with images of the
    plain random stream. The group of a class is walked through in shuffled rounds: step s takes its image
    number s mod n, so repeats are spread evenly and a batch depends on seed and step alone. Where places
    become scarce the image is chosen that covers the most of what is missing.

    Under several ranks the global batch holds every class, a rank's part need not. The price is repetition:
    a class of n images shows each of them once in n steps or more often, see :func:`count_repeats`.

    Args:
        presence: which image holds which class, (N, K) bool.
        batch_size: images in a step on one rank.
        classes: the promised classes; all classes if None.
        options: ``seed``, ``steps`` and the others of :class:`StepBatchSampler`.

    Raises:
        ValueError: if a promised class is in no image or outside the matrix, or the batch is too small: with
            how many images a cover was found.
    """

    def __init__(
        self,
        presence: np.ndarray,
        batch_size: int,
        *,
        classes: Sequence[int] | None = None,
        **options: Any,
    ) -> None:
        self.presence = check_presence(presence)
        super().__init__(len(self.presence), batch_size, **options)
        number = self.presence.shape[1]
        self.classes = tuple(range(number)) if classes is None else tuple(int(c) for c in classes)
        if not self.classes or len(set(self.classes)) < len(self.classes):
            raise ValueError(f"classes are some of the {number} classes, each once, got {self.classes}")
        if not 0 <= min(self.classes) <= max(self.classes) < number:
            raise ValueError(f"classes are 0 to {number - 1}, got {self.classes}")
        self._needed = np.isin(np.arange(number), self.classes)
        cover = len(greedy_cover(self.presence, self._needed))
        places = self.batch_size * self.world_size
        if cover > places:
            raise OptionError(
                f"a batch of {places} cannot hold all {len(self.classes)} classes, the "
                f"cover found takes {cover} images; use a larger batch, or promise fewer classes, as the tail"
            )
        self._rarest_first = sorted(self.classes, key=lambda c: (self.presence[:, c].sum(), c))
        self._groups = {c: np.flatnonzero(self.presence[:, c]) for c in self.classes}
        self._round = lru_cache(maxsize=4 * len(self.classes))(self._shuffled_group)

    def global_batch(self, step: int) -> list[int]:
        """Indices of the images of a step on all ranks together, ``batch_size * world_size``."""
        size = self.batch_size * self.world_size
        batch = self._cover(step, size)
        for index in super().global_batch(step):
            if len(batch) < size and index not in batch:
                batch.append(index)
        # an epoch's end, or several, may fall inside the batch, whose stream then repeats images
        distinct = len(batch)
        batch += [batch[i % distinct] for i in range(size - distinct)]
        shuffle = torch.Generator().manual_seed(mix_seed("places", self.seed, step))
        return [batch[i] for i in torch.randperm(size, generator=shuffle).tolist()]

    def _cover(self, step: int, size: int) -> list[int]:
        """The images that keep the promise. What is open can always be covered within the places left."""
        batch: list[int] = []
        open_ = self._needed.copy()
        for label in self._rarest_first:
            if not open_[label]:
                continue
            epoch, at = divmod(step, len(self._groups[label]))
            index = int(self._round(label, epoch)[at])
            left, after = size - len(batch) - 1, open_ & ~self.presence[index]
            if after.sum() > left and len(greedy_cover(self.presence, after)) > left:
                return batch + greedy_cover(self.presence, open_)
            batch.append(index)
            open_ = after
        return batch

    def _shuffled_group(self, label: int, epoch: int) -> np.ndarray:
        rng = np.random.default_rng(mix_seed("group", self.seed, label, epoch))
        return rng.permutation(self._groups[label])


def check_presence(presence: np.ndarray) -> np.ndarray:
    """A presence matrix (images, classes) of bool, stored by classes."""
    matrix = np.asarray(presence)
    if matrix.ndim != 2 or matrix.dtype != bool or matrix.shape[1] < 1:
        raise ValueError(f"presence is (images, classes) of bool, got {matrix.shape} of {matrix.dtype}")
    return np.asfortranarray(matrix)  # classes are looked up far more often than images


def greedy_cover(presence: np.ndarray, needed: np.ndarray) -> list[int]:
    """Images that hold all needed classes, each time the one with the most that are still missing.

    At most ln(C) + 1 times as many as the smallest such set. Of two equally good images the first is taken,
    so the cover of what the first image leaves is the rest of the list: samplers rely on it.

    Args:
        presence: which image holds which class, (N, K) bool.
        needed: the classes to hold, (K,) bool.

    Raises:
        ValueError: if a needed class is in no image.
    """
    by_class = presence.T
    open_ = needed.copy()
    gain = by_class[open_].sum(0, dtype=np.int16)
    chosen = []
    while open_.any():
        best = int(gain.argmax())
        if not gain[best]:
            raise OptionError(f"class {int(np.flatnonzero(open_)[0])} is in no image: no batch can hold it")
        chosen.append(best)
        gain -= by_class[open_ & presence[best]].sum(0, dtype=np.int16)
        open_ &= ~presence[best]
    return chosen


@dataclass(frozen=True, eq=False)
class Repeats:
    """How often a sampler showed each image.

    Args:
        times: how often each image came, (N,) int64.
        per_class: mean times of the images of each class, over the mean of all images: 1 is no repetition
            beyond the others', (K,); NaN for a class without an image.
        most: the most often shown image, over the mean of all images.
        unseen: images that never came.
        missed: share of the steps whose batch lacks each class, (K,).
    """

    times: np.ndarray
    per_class: np.ndarray
    most: float
    unseen: int
    missed: np.ndarray


def count_repeats(sampler: StepBatchSampler, presence: np.ndarray) -> Repeats:
    """Walk through a sampler and count what it repeats and what its batches miss.

    On one of several ranks it counts that rank's part.

    Args:
        sampler: any sampler of this package that still has a step to give.
        presence: which image holds which class, (N, K) bool.

    Raises:
        ValueError: if the matrix is not of the sampler's images, or no step is left.
    """
    presence = check_presence(presence)
    if len(presence) != sampler.num_images:
        raise ValueError(f"presence has {len(presence)} images, the sampler {sampler.num_images}")
    steps = sampler.steps - sampler.start_step
    if not steps:
        raise ValueError(f"no step is left from start_step={sampler.start_step} to steps={sampler.steps}")
    times, missed = np.zeros(len(presence), np.int64), np.zeros(presence.shape[1])
    for batch in sampler:
        indices = [key[0] for key in batch]
        np.add.at(times, indices, 1)
        missed += ~presence[indices].any(0)
    held, mean = presence.sum(0), times.mean()
    shown = times @ presence.astype(np.int64)
    per_class = np.divide(shown, held * mean, out=np.full(len(held), np.nan), where=held > 0)
    return Repeats(times, per_class, float(times.max() / mean), int((times == 0).sum()), missed / steps)
