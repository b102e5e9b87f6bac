"""The tail-class memory bank (AUCSeg, Section 4.3 and Algorithm 2)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import torch
import torch.distributed as dist
from torch import Tensor

from aucseg.memory import options
from aucseg.memory.boxes import Box, tail_areas, tail_boxes
from aucseg.memory.canvas import Canvas
from aucseg.memory.exchange import Piece, all_gather_pieces, ranks_of
from aucseg.memory.module import ObjectBank
from aucseg.memory.paste import Crop, cut, fit
from aucseg.memory.placing import box_places, canvas_places, canvas_ratio, find_place
from aucseg.memory.policies import ReplacementPolicy
from aucseg.memory.store import Entry, Origin, known


class TailMemoryBank(ObjectBank):
    """Stores objects of tail classes and pastes them into the images of a batch that miss them.

    For each batch, in this order (AUCSeg, Algorithm 2):

    1. Store: the pixels of each tail class of each image, cut out by their tight box. A class keeps at most
       S_M objects; once it is full a new object replaces an old one.
    2. Retrieve: an image that misses n tail classes draws ceil(n R_S) of them without
       replacement. The draw of a class that has nothing stored is lost.
    3. Paste: a random stored object of each drawn class is scaled by R_R and pasted at a uniformly random
       place. A later paste may cover an earlier one, or tail pixels of the image itself.

    The whole batch is stored before anything is pasted, so only clean pixels are kept. Where nothing is
    pasted, as in ``eval()`` mode (which stores nothing either), the tensors are handed back that came in.

    Void pixels stay void: the papers do not say, but a void border that turned into labelled pixels would
    teach the model the annotator's doubt. An object keeps at least one pixel however far it is scaled down.

    The bank has no parameters. Its objects, counters and random state travel in ``state_dict`` and resume
    exactly. Objects live on the device of the batch they came from, at the size of their boxes. Random
    choices come from one generator on the CPU, so they depend neither on the device nor on the number of
    workers.

    Args:
        tail_classes: labels of the tail classes, for example ``ClassSpec.tail``.
        memory_size: S_M, objects kept for each class; 0 for no bank.
        sample_ratio: R_S, share of the missing tail classes that is drawn, in [0, 1]; 0 stores only.
        resize_ratio: R_R, by which both sides of an object are scaled, in (0, 1].
        scope: where a class is missing. ``"image"``: in each image by itself, as Section 4.3 and the released
            code have it. ``"batch"``: in the whole batch, as Algorithm 2 prints it; then the batch draws
            ceil(n R_S) classes, and each object goes to a random image ("paste randomly
            into D_B"). Objects are stored from each image that holds the class in either case, although
            Algorithm 2 reads as if a batch gave one: Section 4.3 stores "whenever a new image arrives".
        min_area: pixels that an object needs to be stored, at full size. The paper stores any; a few pixels
            that the crop left of an object show little of it. A smaller object still counts as present.
        max_cover: share of the pixels that another tail class has in an image, in [0, 1], which one paste may
            cover; ``None`` for no limit, as in the paper. 0 keeps all of them. Up to 10 places are tried,
            then the draw is given up. On CUDA this waits for the device.
        antialias: average when a picture is scaled down. The release does not; its thin structures flicker.
        edge: ``"hard"`` pastes the resized picture as it is, at whose edge the old surroundings shine
            through. ``"soft"`` resizes the object alone and mixes its edge with the image; needs
            ``antialias``.
        placement: ``"box"`` places the object uniformly. ``"canvas"`` places the scaled image around it as
            the release does, so that at R_R = 1 an object stays where it was.
        replacement: ``"random"``, ``"fifo"``, ``"lifo"``, ``"priority_used"`` (Table 19), or a
            :class:`ReplacementPolicy`.
        offload: keep objects in the CPU's memory, page-locked if they come from a GPU.
        share: under ``torch.distributed``, ``"none"``: each rank stores its own objects. ``"all"``: each
            stores those of all ranks, in their order; all ranks must call the bank equally often. A
            checkpoint that only rank 0 writes then holds what all saw. With ``"fifo"`` or ``"lifo"`` the
            ranks hold the same objects; with the others each draws by itself what it gives up.
        process_group: the ranks that share; ``None`` for all.
        num_classes: number of classes K, if the tail classes are to be checked against it.
        ignore_index: label of void pixels.
        generator: a CPU generator to draw from; by default a new one, seeded from ``torch.initial_seed()``
            without touching the global generator.

    Raises:
        ValueError: if there is no tail class, one is given twice, is negative, ``ignore_index`` or not below
            ``num_classes``; if a number or word is outside its range, or the generator not on the CPU.

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
        scope: Literal["image", "batch"] = "image",
        min_area: int = 1,
        max_cover: float | None = None,
        antialias: bool = True,
        edge: Literal["hard", "soft"] = "hard",
        placement: Literal["box", "canvas"] = "box",
        replacement: str | ReplacementPolicy = "random",
        offload: bool = False,
        share: Literal["none", "all"] = "none",
        process_group: dist.ProcessGroup | None = None,
        num_classes: int | None = None,
        ignore_index: int = 255,
        generator: torch.Generator | None = None,
    ) -> None:
        tail = options.checked_tail(tail_classes, ignore_index, num_classes)
        options.check_count("memory_size", memory_size, 0, "; 0 means no bank")
        options.check_share("sample_ratio", sample_ratio, zero=True)
        to_zero = "; to paste nothing set sample_ratio=0"
        options.check_share("resize_ratio", resize_ratio, zero=False, note=to_zero)
        options.check_count("min_area", min_area, 1)
        if max_cover is not None:
            options.check_share("max_cover", max_cover, zero=True, note="; None sets no limit")
        options.check_choice("scope", scope, ("image", "batch"))
        options.check_choice("edge", edge, ("hard", "soft"))
        options.check_choice("placement", placement, ("box", "canvas"))
        options.check_choice("share", share, ("none", "all"))
        if edge == "soft" and not antialias:
            raise ValueError(
                "edge='soft' is the antialiased edge, got antialias=False; leave one of them out"
            )
        super().__init__(tail, memory_size, replacement, offload=offload, generator=generator)
        self.sample_ratio, self.resize_ratio, self.scope = sample_ratio, resize_ratio, scope
        self.min_area, self.max_cover, self.placement = min_area, max_cover, placement
        self.antialias, self.edge, self.ignore_index = antialias, edge, ignore_index
        self.share, self.process_group = share, process_group

    @torch.no_grad()
    def forward(self, images: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Store what tail classes a batch holds and paste those that are missing.

        Args:
            images: (B, C, H, W), floating point or uint8, on any device.
            target: (B, H, W), integer, on the same device.

        Returns:
            New images and target of the same shape, dtype and device; the inputs if nothing was pasted.

        Raises:
            TypeError: if the target is not integer.
            ValueError: if images and target do not fit each other or the objects stored before.
        """
        options.check_batch(images, target)
        self._store.check_format(images)
        if not self.training or self.memory_size == 0:
            return images, target
        boxes = tail_boxes(target, self.tail_classes)
        canvas = Canvas(images, target, [set(found) for found in boxes], self.ignore_index)
        in_batch = set().union(*canvas.held)
        units = len(canvas) if self.scope == "image" else 1
        self._diary.begin(len(canvas), units * len(self.tail_classes), in_batch)
        self._keep(images, target, boxes)
        if self.scope == "batch":
            self._complete(canvas, None, self._without(in_batch))
        else:
            for index, held in enumerate(canvas.held):
                self._complete(canvas, index, self._without(held))
        self._diary.end(set().union(*canvas.held))
        return canvas.images, canvas.target

    def _keep(self, images: Tensor, target: Tensor, boxes: list[dict[int, Box]]) -> None:
        """Store the objects of a batch."""
        # one after the other, so that an object that is replaced leaves its memory to the next
        pieces = self._pieces(images, target, boxes)
        if self.share == "all" and ranks_of(self.process_group) > 1:
            pieces = iter(all_gather_pieces(list(pieces), images, self.process_group))
        for label, crop, origin in pieces:
            self._diary.count("stored", label)
            if self._store.put(label, crop, origin, self._diary.steps, self._draw):
                self._diary.count("replaced", label)

    def _pieces(self, images: Tensor, target: Tensor, boxes: list[dict[int, Box]]) -> Iterator[Piece]:
        areas = tail_areas(target, self.tail_classes) if self.min_area > 1 else None
        for index, present in enumerate(boxes):
            image, labels = images[index], target[index]
            for label, box in present.items():
                if areas is not None and areas[index][label] < self.min_area:
                    self._diary.count("too_small", label)
                    continue
                yield Piece(label, cut(image, labels, label, box), Origin.of(box, *labels.shape))

    def _without(self, held: set[int]) -> list[int]:
        return [label for label in self.tail_classes if label not in held]

    def _complete(self, canvas: Canvas, index: int | None, missing: list[int]) -> None:
        """Paste the drawn share of the missing classes into one image, or each into a random one."""
        self._diary.count("missing", *missing)
        # 0.07 * 100 is 7.000000000000001 in binary: the ceiling must not make 8 of it
        count = math.ceil(len(missing) * self.sample_ratio - 1e-9)
        for position in torch.randperm(len(missing), generator=self._generator)[:count].tolist():
            label = missing[position]
            entries = self._store.entries[label]
            if not entries:
                self._diary.count("empty", label)
                continue
            entry = entries[self._draw(len(entries))]
            where = self._draw(len(canvas)) if index is None else index
            self._paste(canvas, where, label, entry, self._resized(entry, canvas))

    def _resized(self, entry: Entry, canvas: Canvas) -> Crop:
        crop = self._store.crop(entry, canvas.device)
        return fit(crop, self._ratio(entry, canvas), *canvas.size, antialias=self.antialias, edge=self.edge)

    def _ratio(self, entry: Entry, canvas: Canvas) -> float:
        if self.placement == "box":
            return self.resize_ratio
        return canvas_ratio(known(entry.origin), self.resize_ratio, *canvas.size)

    def _paste(self, canvas: Canvas, index: int, label: int, entry: Entry, crop: Crop) -> Tensor | None:
        """Paste a resized object of an entry at a random place, if there is one; the pixels written."""
        if self.placement == "box":
            places = box_places(crop, *canvas.size)
        else:
            places = canvas_places(crop, known(entry.origin), self._ratio(entry, canvas), *canvas.size)
        others = [other for other in canvas.held[index] if other != label]
        labels = canvas.target[index]
        place = find_place(places, crop.mask, labels, others, self.max_cover, self._draw)
        if place is None:
            self._diary.count("crowded", label)
            return None
        written = canvas.paste(index, crop, label, *place)
        entry.uses += 1
        self._diary.count("pasted", label)
        self._diary.count("pasted_age", label, number=self._diary.steps - entry.born)
        return written

    def _check_entries(self, entries: Iterable[Entry]) -> None:
        if self.placement == "canvas":
            for entry in entries:
                known(entry.origin)

    def extra_repr(self) -> str:
        """The options, for ``repr``."""
        names = ("tail_classes", "memory_size", "sample_ratio", "resize_ratio", "ignore_index")
        others = ("scope", "min_area", "max_cover", "antialias", "edge", "placement", "offload", "share")
        shown = [f"{name}={getattr(self, name)!r}" for name in (*names, *others)]
        return ", ".join([*shown, f"replacement={type(self.replacement).__name__}"])
