"""Stratified sampling for the data loader, plain and improved (AUCSeg, E.1), and what it repeats."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch

from aucseg.data.cover import greedy_cover
from aucseg.data.sampling import StepBatchSampler, mix_seed
from aucseg.errors import OptionError


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
        seed: of the order and of all augmentation.
        steps: steps of the whole training.
        start_step: first step to yield; may be set later, before iterating.
        rank: this process, 0 to ``world_size - 1``.
        world_size: number of processes.

    Raises:
        ValueError: if ``presence`` is not a matrix of bool, or a count is out of its range.
    """

    def __init__(
        self,
        presence: np.ndarray,
        batch_size: int,
        *,
        seed: int,
        steps: int,
        start_step: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.presence = check_presence(presence)
        super().__init__(
            len(self.presence),
            batch_size,
            seed=seed,
            steps=steps,
            start_step=start_step,
            rank=rank,
            world_size=world_size,
        )
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
        seed: of the order and of all augmentation.
        steps: steps of the whole training.
        start_step: first step to yield; may be set later, before iterating.
        rank: this process, 0 to ``world_size - 1``.
        world_size: number of processes.

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
        seed: int,
        steps: int,
        start_step: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        options = {"start_step": start_step, "rank": rank, "world_size": world_size}
        self.presence = check_presence(presence)
        super().__init__(len(self.presence), batch_size, seed=seed, steps=steps, **options)
        number = self.presence.shape[1]
        self.classes = tuple(range(number)) if classes is None else tuple(int(c) for c in classes)
        if not self.classes or len(set(self.classes)) < len(self.classes):
            raise ValueError(f"classes are some of the {number} classes, each once, got {self.classes}")
        if not 0 <= min(self.classes) <= max(self.classes) < number:
            raise ValueError(f"classes are 0 to {number - 1}, got {self.classes}")
        self._needed = np.isin(np.arange(number), self.classes)
        cover = len(greedy_cover(self.presence, self._needed))
        if cover > batch_size * world_size:
            raise OptionError(
                f"a batch of {batch_size * world_size} cannot hold all {len(self.classes)} classes, the "
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
