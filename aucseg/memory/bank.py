"""The tail-class memory bank (AUCSeg, Section 4.3 and Algorithm 2)."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from aucseg.functional.checks import check_labels
from aucseg.memory.boxes import tail_boxes
from aucseg.memory.paste import Crop, cut, fit, paste
from aucseg.memory.state import COUNTERS, pack, unpack


class TailMemoryBank(nn.Module):
    """Stores objects of tail classes and pastes them into the images of a batch that miss them.

    For each batch, in this order (AUCSeg, Algorithm 2, with the missing classes counted for each image as
    Section 4.3 says):

    1. Store: the pixels of each tail class of each image, cut out by their tight box. A class keeps at most
       S_M objects; once it is full a new object replaces a random old one.
    2. Retrieve: an image that misses n tail classes draws ceil(n R_S) of them without
       replacement. The draw of a class that has nothing stored is lost.
    3. Paste: a random stored object of each drawn class is scaled by R_R and pasted at a uniformly random
       place. A later paste may cover an earlier one, or tail pixels of the image itself.

    Void pixels stay void: the papers do not say, but a void border that turned into labelled pixels would
    teach the model the annotator's doubt. The whole batch is stored before anything is pasted, so only clean
    pixels are kept. In ``eval()`` mode the batch is handed back as it came, and nothing is stored.

    The bank has no parameters. Its objects, counters and random state travel in ``state_dict`` and resume
    exactly. Objects live on the device of the batch they came from, at the size of their boxes. Random
    choices come from one generator on the CPU, so they depend neither on the device nor on the number of
    workers.

    Args:
        tail_classes: labels of the tail classes, for example ``ClassSpec.tail``.
        memory_size: S_M, objects kept for each class, at least 1.
        sample_ratio: R_S, share of an image's missing tail classes that is drawn, in (0, 1].
        resize_ratio: R_R, by which both sides of an object are scaled, in (0, 1].
        ignore_index: label of void pixels.
        generator: a CPU generator to draw from; by default a new one, seeded from ``torch.initial_seed()``
            without touching the global generator.

    Raises:
        ValueError: if there is no tail class, one is given twice, is negative or is ``ignore_index``, if
            ``memory_size`` is below 1 or a ratio is outside (0, 1], or if the generator is not on the CPU.

    Example:
        >>> bank = TailMemoryBank([6, 7], memory_size=5)
        >>> images, target = torch.rand(2, 3, 16, 16), torch.randint(0, 8, (2, 16, 16))
        >>> images, target = bank(images, target)
        >>> bank.sizes()
        {6: 2, 7: 2}
    """

    def __init__(
        self,
        tail_classes: Sequence[int],
        *,
        memory_size: int = 5,
        sample_ratio: float = 0.05,
        resize_ratio: float = 0.4,
        ignore_index: int = 255,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.tail_classes = _checked_tail(tail_classes, ignore_index)
        if not isinstance(memory_size, int) or memory_size < 1:
            raise ValueError(
                f"memory_size must be an int of at least 1, got {memory_size}; else leave the bank out"
            )
        for name, ratio in (("sample_ratio", sample_ratio), ("resize_ratio", resize_ratio)):
            if not 0 < ratio <= 1:
                raise ValueError(
                    f"{name} must be in (0, 1], got {ratio}; to paste nothing leave the bank out"
                )
        if generator is not None and generator.device.type != "cpu":
            raise ValueError(f"generator must be on the CPU, got one on {generator.device}")
        self.memory_size = memory_size
        self.sample_ratio = sample_ratio
        self.resize_ratio = resize_ratio
        self.ignore_index = ignore_index
        self._generator = _own_generator() if generator is None else generator
        self.reset()

    def reset(self) -> None:
        """Forget every stored object and set the counters to zero; the random state goes on."""
        self._crops: dict[int, list[Crop]] = {label: [] for label in self.tail_classes}
        self._counters = {name: dict.fromkeys(self.tail_classes, 0) for name in COUNTERS}

    @torch.no_grad()
    def forward(self, images: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Store what tail classes a batch holds and paste those that its images miss.

        Args:
            images: (B, C, H, W), floating point or uint8, on any device.
            target: (B, H, W), integer, on the same device.

        Returns:
            New images and target of the same shape, dtype and device; in ``eval()`` mode the inputs.

        Raises:
            TypeError: if the target is not integer.
            ValueError: if images and target do not fit each other or the objects stored before.
        """
        self._check(images, target)
        if not self.training:
            return images, target
        boxes = tail_boxes(target, self.tail_classes)
        for image, labels, present in zip(images, target, boxes, strict=True):
            for label, box in present.items():
                self._store(label, cut(image, labels, label, box))
        images, target = images.clone(), target.clone()
        for image, labels, present in zip(images, target, boxes, strict=True):
            self._complete(image, labels, [label for label in self.tail_classes if label not in present])
        return images, target

    def _store(self, label: int, crop: Crop) -> None:
        stored = self._crops[label]
        self._counters["stored"][label] += 1
        if len(stored) < self.memory_size:
            stored.append(crop)
        else:
            stored[self._draw(self.memory_size)] = crop

    def _complete(self, image: Tensor, labels: Tensor, missing: list[int]) -> None:
        """Paste the drawn share of the missing classes into one image, in place."""
        for label in missing:
            self._counters["missing"][label] += 1
        # 0.07 * 100 is 7.000000000000001 in binary: the ceiling must not make 8 of it
        count = math.ceil(len(missing) * self.sample_ratio - 1e-9)
        for position in torch.randperm(len(missing), generator=self._generator)[:count].tolist():
            label = missing[position]
            if not self._crops[label]:
                self._counters["empty"][label] += 1
                continue
            crop = fit(self._recall(label, image.device), self.resize_ratio, *labels.shape)
            height, width = crop.mask.shape
            top, left = self._draw(labels.shape[0] - height + 1), self._draw(labels.shape[1] - width + 1)
            paste(image, labels, crop, label, top, left, self.ignore_index)
            self._counters["pasted"][label] += 1

    def _recall(self, label: int, device: torch.device) -> Crop:
        """A random stored object; one that a checkpoint left on another device is moved for good."""
        stored = self._crops[label]
        position = self._draw(len(stored))
        stored[position] = stored[position].to(device)
        return stored[position]

    def _draw(self, size: int) -> int:
        return int(torch.randint(size, (), generator=self._generator))

    def _check(self, images: Tensor, target: Tensor) -> None:
        check_labels(target)
        shape, labels = tuple(images.shape), tuple(target.shape)
        if len(shape) != 4 or (shape[0], *shape[2:]) != labels:
            raise ValueError(
                f"images must have shape (B, C, H, W) and target (B, H, W) of the same batch and size, got "
                f"{shape} and {labels}"
            )
        if images.device != target.device:
            raise ValueError(f"images are on {images.device}, target on {target.device}; move one of them")
        if not images.is_floating_point() and images.dtype != torch.uint8:
            raise ValueError(f"images must be floating point or uint8, got {images.dtype}")
        old = next((stored[0].image for stored in self._crops.values() if stored), None)
        if old is not None and (old.shape[0], old.dtype) != (shape[1], images.dtype):
            raise ValueError(
                f"the bank holds {old.dtype} objects of {old.shape[0]} channels, these images are "
                f"{images.dtype} with {shape[1]}; keep one format, or call reset() first"
            )

    def __len__(self) -> int:
        return sum(map(len, self._crops.values()))

    def sizes(self) -> dict[int, int]:
        """Number of stored objects of each tail class."""
        return {label: len(stored) for label, stored in self._crops.items()}

    def stats(self) -> dict[str, dict[int, int]]:
        """Counters since the start, for each tail class.

        Returns:
            ``"stored"``: objects put into the bank. ``"missing"``: images without the class. ``"pasted"``:
            objects pasted. ``"empty"``: draws lost because nothing was stored yet.
        """
        return {name: dict(counts) for name, counts in self._counters.items()}

    def get_extra_state(self) -> dict[str, Any]:
        """Objects, counters and random state, for ``state_dict``."""
        return pack(self.tail_classes, self._crops, self._counters, self._generator.get_state())

    def set_extra_state(self, state: Any) -> None:
        """Take over the state of a bank with the same tail classes.

        Args:
            state: what ``get_extra_state`` returned.

        Raises:
            ValueError: if it is not the state of such a bank.
        """
        self._crops, self._counters, generator = unpack(state, self.tail_classes, self.memory_size)
        self._generator.set_state(generator.cpu())

    def extra_repr(self) -> str:
        """The options, for ``repr``."""
        names = ("tail_classes", "memory_size", "sample_ratio", "resize_ratio", "ignore_index")
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in names)


def _checked_tail(tail_classes: Sequence[int], ignore_index: int) -> tuple[int, ...]:
    tail = tuple(operator.index(label) for label in tail_classes)  # refuses 5.7, takes numpy's integers
    if not tail:
        raise ValueError("tail_classes is empty; without tail classes leave the bank out")
    for label in tail:
        if label < 0:
            raise ValueError(f"tail_classes holds {label}; labels are not negative")
        if label == ignore_index:
            raise ValueError(f"tail_classes holds {label}, which is ignore_index, the void label")
        if tail.count(label) > 1:
            raise ValueError(f"tail_classes holds {label} twice")
    return tail


def _own_generator() -> torch.Generator:
    # another seed than the global generator's, so that the two streams are not the same numbers
    return torch.Generator().manual_seed((torch.initial_seed() + 0x9E3779B97F4A7C15) % 2**63)
