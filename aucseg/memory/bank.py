"""The tail-class memory bank (AUCSeg, Section 4.3 and Algorithm 2)."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn

from aucseg.errors import OptionError
from aucseg.functional.checks import check_count, check_ignore_index, check_num_classes, label_map
from aucseg.memory.boxes import Survey, survey
from aucseg.memory.exchange import gather_new_objects, gather_rows, ranks_of
from aucseg.memory.objects import Crop, NewObject, ObjectStore, Origin, StoredObject
from aucseg.memory.paste import (
    CopyOnWriteBatch,
    box_corners,
    canvas_corners,
    canvas_ratio,
    cut,
    find_place,
    fit,
    fitted_size,
)
from aucseg.memory.policies import ReplacementPolicy, make_policy
from aucseg.memory.state import BankStats, pack, saved_bytes, unpack

BUDGET = 0.05
"""Share of an image's labelled pixels that pastes may cover by default."""


class _Draw(NamedTuple):
    """An object that was drawn for an image, and the ratio by which it is scaled."""

    image: int
    label: int
    stored: StoredObject
    ratio: float


class _Note(NamedTuple):
    """Labelled pixels of an image, and those of the tail classes that it holds."""

    labelled: int
    areas: dict[int, int]


class TailMemoryBank(nn.Module):
    r"""Stores objects of tail classes and pastes them into the images of a batch that miss them.

    For each batch, in this order (AUCSeg, Algorithm 2):

    1. Store: the pixels of each tail class of each image, cut out by their tight box. A class keeps at most
       S_M objects; once it is full a new object replaces an old one.
    2. Retrieve: an image that misses n tail classes draws ceil(n R_S) of them without
       replacement. The draw of a class that has nothing stored is lost.
    3. Paste: a random stored object of each drawn class is scaled by R_R and pasted at a uniformly random
       place. A later paste may cover an earlier one, or tail pixels of the image itself.

    What step 3 writes is bounded by a budget, which the paper does not have: at R_S = R_R = 1, its setting
    for Cityscapes, pastes of forty tail classes repaint most of an image. Where the objects drawn for an
    image, of :math:`e_1, \dots, e_n` pixels at the ratio R_R, would exceed the budget of :math:`b` pixels,
    each one larger than the level :math:`\ell` is scaled further down, to :math:`\ell` pixels:

    .. math:: \ell = \max \{ \ell : \textstyle\sum_i \min(e_i, \ell) \le b \}

    So no class is served before another, small objects keep their size, and what they leave is the larger
    ones'. Where not even a pixel is left for each, the first in the random order of the draw have one and the
    others are skipped.

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
        budget: share of an image's labelled pixels that pastes may write in a step, in [0, 1]; ``None`` for
            no limit, as in the paper. An object's pixels at a smaller size are foretold from its box; what a
            thin one has beyond that is cut off where it would exceed the budget.
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
            ranks hold the same objects; with the others each draws by itself what it gives up. ``"batch"``:
            the ranks are one bank of the whole batch, whose images they hold in their order: generators that
            begin alike draw the same on each, for the images of the others too, so that objects, pastes and
            counters are those of one process with the whole batch. That needs images of one size, and no
            ``max_cover``, for which the labels of all images would have to be known.
        process_group: the ranks that share; ``None`` for all.
        num_classes: number of classes K, if the tail classes are to be checked against it.
        ignore_index: label of void pixels.
        generator: a CPU generator to draw from; by default a new one, seeded from ``torch.initial_seed()``
            without touching the global generator.

    Raises:
        OptionError: if there is no tail class, one is given twice, is negative, ``ignore_index`` or not below
            ``num_classes``; if a number or word is outside its range.
        ValueError: if the generator is not on the CPU.

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
        budget: float | None = BUDGET,
        min_area: int = 1,
        max_cover: float | None = None,
        antialias: bool = True,
        edge: Literal["hard", "soft"] = "hard",
        placement: Literal["box", "canvas"] = "box",
        replacement: str | ReplacementPolicy = "random",
        offload: bool = False,
        share: Literal["none", "all", "batch"] = "none",
        process_group: dist.ProcessGroup | None = None,
        num_classes: int | None = None,
        ignore_index: int = 255,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        ignore_index = check_ignore_index(ignore_index)
        if num_classes is not None:
            num_classes = check_num_classes(num_classes)
        self.tail_classes = _tail_labels(tail_classes, ignore_index, num_classes)
        self.memory_size = check_count("memory_size", memory_size, 0, note="; 0 means no bank")
        self.sample_ratio = _check_share("sample_ratio", sample_ratio, zero=True)
        to_zero = "; to paste nothing set sample_ratio=0"
        self.resize_ratio = _check_share("resize_ratio", resize_ratio, zero=False, note=to_zero)
        self.min_area = check_count("min_area", min_area, 1)
        if budget is not None:
            _check_share("budget", budget, zero=True, note="; None sets no limit")
        if max_cover is not None:
            _check_share("max_cover", max_cover, zero=True, note="; None sets no limit")
        _check_choice("scope", scope, ("image", "batch"))
        _check_choice("edge", edge, ("hard", "soft"))
        _check_choice("placement", placement, ("box", "canvas"))
        _check_choice("share", share, ("none", "all", "batch"))
        if edge == "soft" and not antialias:
            raise OptionError(
                "edge='soft' is the antialiased edge, got antialias=False; leave one of them out"
            )
        self.scope, self.budget = scope, budget
        self.max_cover, self.placement = max_cover, placement
        self.antialias, self.edge, self.ignore_index = antialias, edge, ignore_index
        self.offload, self.share, self.process_group = offload, share, process_group
        self.replacement = make_policy(replacement)
        self._generator = _cpu_generator(generator)
        self.reset()

    def reset(self) -> None:
        """Forget every stored object and set the counters to zero; random state and policy go on."""
        self._store = ObjectStore(self.tail_classes, self.memory_size, self.replacement, offload=self.offload)
        self._stats = BankStats(self.tail_classes)

    @torch.no_grad()
    def forward(self, images: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Store what tail classes a batch holds and paste those that are missing.

        Args:
            images: (B, C, H, W), floating point or uint8, on any device.
            target: (B, H, W), integer of any width, on the same device; (B, 1, H, W), (B, H, W, 1) and, for
                two classes, booleans are taken too.

        Returns:
            New images and target of the same shape, dtype and device; the inputs if nothing was pasted.

        Raises:
            TypeError: if the target is not integer.
            ValueError: if images and target do not fit each other or the objects stored before.
        """
        given, target = target, _check_batch(images, target)
        self._store.check_format(images)
        if not self.training or self.memory_size == 0:
            return images, given
        found = survey(target, self.tail_classes, self.ignore_index)
        notes, first = self._notes(found, images.device)
        labelled, room = [note.labelled for note in notes], None
        if self.budget is not None:
            room = [math.floor(self.budget * number + 1e-9) for number in labelled]
        held = [set(note.areas) for note in notes]
        batch = CopyOnWriteBatch(images, target, held, self.ignore_index, room, first)
        in_batch = set().union(*held)
        units = len(batch) if self.scope == "image" else 1
        self._stats.begin(len(batch), units * len(self.tail_classes), in_batch)
        self._keep(images, target, found, notes)
        if self.scope == "batch":
            self._complete(batch, None, self._without(in_batch))
        else:
            for index, classes in enumerate(batch.held):
                self._complete(batch, index, self._without(classes))
        self._stats.end(set().union(*batch.held), self._covered(batch, labelled))
        if batch.target is target:  # nothing was pasted
            return images, given
        return batch.images, batch.target.view(given.dtype).view(given.shape)

    def _notes(self, found: list[Survey], device: torch.device) -> tuple[list[_Note], int]:
        """Pixels of the classes of each image, of all ranks where they are one; and this one's first."""
        tail = self.tail_classes
        rows = [
            [image.labelled, *(image.areas[t] if t in image.boxes else 0 for t in tail)] for image in found
        ]
        first = 0
        if self._joined:
            self._check_joined()
            table, first = gather_rows(torch.tensor(rows), device, self.process_group)
            rows = table.tolist()
        notes = [_Note(row[0], {t: n for t, n in zip(tail, row[1:], strict=True) if n}) for row in rows]
        return notes, first

    @property
    def _joined(self) -> bool:
        return self.share == "batch" and ranks_of(self.process_group) > 1

    def _check_joined(self) -> None:
        """Refuse what cannot be foretold for the images of other ranks."""
        if self.max_cover is not None:
            raise OptionError(
                f"max_cover={self.max_cover} looks at the labels of every image, and other ranks have "
                "some of them; leave it out, or set share='none'"
            )

    def _covered(self, batch: CopyOnWriteBatch, labelled: list[int]) -> Tensor | None:
        """Share of each image that was pasted over, of all ranks where they are one."""
        own = slice(batch.first, batch.first + batch.own)
        covered = batch.covered(labelled[own])
        if not self._joined or not batch.pasted:
            return covered
        if covered is None:
            covered = torch.zeros(batch.own, dtype=torch.float64)
        table, _ = gather_rows(covered[:, None], batch.device, self.process_group)
        return table[:, 0].to(batch.device)

    @torch.no_grad()
    def keep(self, images: Tensor, target: Tensor) -> None:
        """Store what tail classes a batch holds, and paste nothing: for labels that are not trained on.

        What is stored is counted; the batch is none of those that :meth:`metrics` is a mean over, and no time
        passes for the age of objects.

        Args:
            images: as for :meth:`forward`.
            target: as for :meth:`forward`.

        Raises:
            TypeError, ValueError: as :meth:`forward`.
        """
        target = _check_batch(images, target)
        self._store.check_format(images)
        if self.training and self.memory_size:
            found = survey(target, self.tail_classes, self.ignore_index)
            self._keep(images, target, found, self._notes(found, images.device)[0])

    def _keep(self, images: Tensor, target: Tensor, found: list[Survey], notes: list[_Note]) -> None:
        """Store the objects of a batch."""
        for note in notes:
            self._stats.count("too_small", *(t for t, area in note.areas.items() if area < self.min_area))
        # one after the other, so that an object that is replaced leaves its memory to the next
        objects: Iterable[NewObject] = self._cut_out(images, target, found)
        if self.share != "none" and ranks_of(self.process_group) > 1:
            objects = gather_new_objects(list(objects), images, self.process_group)
        for new in objects:
            self._stats.count("stored", new.label)
            if self._store.put(new, self._stats.steps, self._draw):
                self._stats.count("replaced", new.label)

    def _cut_out(self, images: Tensor, target: Tensor, found: list[Survey]) -> Iterator[NewObject]:
        for image, labels, (boxes, areas, _) in zip(images, target, found, strict=True):
            for label, box in boxes.items():
                if areas[label] >= self.min_area:
                    crop = cut(image, labels, label, box)
                    yield NewObject(label, crop, areas[label], Origin.of(box, *labels.shape))

    def _without(self, held: set[int]) -> list[int]:
        return [label for label in self.tail_classes if label not in held]

    def _draw(self, size: int) -> int:
        return int(torch.randint(size, (), generator=self._generator))

    def _complete(self, batch: CopyOnWriteBatch, index: int | None, missing: list[int]) -> None:
        """Paste the drawn share of the missing classes into one image, or each into a random one."""
        self._stats.count("missing", *missing)
        # one after the other unless a budget must see them all: the places are drawn between them
        draws: Iterable[_Draw] = self._drawn(batch, index, missing)
        if batch.room is not None:
            draws = self._within_budget(batch, batch.room, list(draws))
        for draw in draws:
            if batch.has(draw.image):
                crop = batch.within(draw.image, self._resized(draw.stored, draw.ratio, batch))
            else:  # another rank pastes it: its size is enough to draw its place
                rows, columns = draw.stored.crop.mask.shape
                size = fitted_size(rows, columns, draw.ratio, *batch.size)
                crop = Crop(draw.stored.crop.image, torch.empty(size, dtype=torch.bool, device="meta"))
            self._paste(batch, draw.image, draw.label, draw.stored, crop, draw.ratio)

    def _drawn(self, batch: CopyOnWriteBatch, index: int | None, missing: list[int]) -> Iterator[_Draw]:
        """A random object of each class of the drawn share."""
        # 0.07 * 100 is 7.000000000000001 in binary: the ceiling must not make 8 of it
        count = math.ceil(len(missing) * self.sample_ratio - 1e-9)
        for position in torch.randperm(len(missing), generator=self._generator)[:count].tolist():
            label = missing[position]
            shelf = self._store.shelves[label]
            if not shelf:
                self._stats.count("empty", label)
                continue
            stored = shelf[self._draw(len(shelf))]
            where = self._draw(len(batch)) if index is None else index
            yield _Draw(where, label, stored, self._ratio(stored, batch))

    def _within_budget(self, batch: CopyOnWriteBatch, room: list[int], draws: list[_Draw]) -> Iterator[_Draw]:
        """The draws at ratios at which the objects of each image fit its room, without those skipped."""
        left = {image: room[image] for image in {draw.image for draw in draws}}
        levels = {
            image: _level([_pixels(d.stored, d.ratio, batch.size) for d in draws if d.image == image], pixels)
            for image, pixels in left.items()
        }
        for draw in draws:
            level, wanted = levels[draw.image], _pixels(draw.stored, draw.ratio, batch.size)
            if level < 1:  # fewer pixels than objects: one for each of the first
                level = min(1, left[draw.image])
                left[draw.image] -= level
            if level == 0:
                self._stats.count("skipped", draw.label)
            elif wanted <= level:
                yield draw
            else:
                self._stats.count("shrunk", draw.label)
                yield draw._replace(ratio=_shrunk(draw.stored, draw.ratio, batch.size, level))

    def _resized(self, stored: StoredObject, ratio: float, batch: CopyOnWriteBatch) -> Crop:
        """The pixels of an object at the size in which they are pasted."""
        crop = self._store.crop(stored, batch.device)
        return fit(crop, ratio, *batch.size, antialias=self.antialias, edge=self.edge)

    def _ratio(self, stored: StoredObject, batch: CopyOnWriteBatch) -> float:
        if self.placement == "box":
            return self.resize_ratio
        return canvas_ratio(stored.known_origin(), self.resize_ratio, *batch.size)

    def _paste(
        self,
        batch: CopyOnWriteBatch,
        index: int,
        label: int,
        stored: StoredObject,
        crop: Crop,
        ratio: float,
    ) -> Tensor | None:
        """Paste an object, resized to ``crop``, at a random place, if there is one; the pixels written."""
        if self.placement == "box":
            corners = box_corners(crop, *batch.size)
        else:
            corners = canvas_corners(crop, stored.known_origin(), ratio, *batch.size)
        others = [other for other in batch.held[index] if other != label]
        labels = batch.labels(index)
        place = find_place(corners, crop.mask, labels, others, self.max_cover, self._draw)
        if place is None:
            self._stats.count("crowded", label)
            return None
        written = batch.paste(index, crop, label, *place)
        stored.uses += 1
        self._stats.count("pasted", label)
        self._stats.count("pasted_age", label, number=self._stats.steps - stored.born)
        return written

    def __len__(self) -> int:
        return sum(self.sizes().values())

    def sizes(self) -> dict[int, int]:
        """Number of stored objects of each tail class."""
        return {label: len(shelf) for label, shelf in self._store.shelves.items()}

    def objects(self) -> dict[int, list[tuple[Tensor, Tensor]]]:
        """The stored objects of each tail class, to look at.

        Returns:
            For each class pairs of a picture (C, h, w), the tight box around the object, and its mask (h, w),
            boolean. They are the stored tensors themselves: do not write to them.
        """
        return {
            label: [(stored.crop.image, stored.crop.mask) for stored in shelf]
            for label, shelf in self._store.shelves.items()
        }

    def ages(self) -> dict[int, list[int]]:
        """How many steps ago each stored object of each tail class was stored."""
        return {
            label: [self._stats.steps - stored.born for stored in shelf]
            for label, shelf in self._store.shelves.items()
        }

    def stats(self) -> dict[str, dict[int, int]]:
        """Counters since the start, for each tail class.

        Returns:
            ``"stored"``: objects put into the bank. ``"missing"``: images (with ``scope="batch"`` batches)
            without the class. ``"pasted"``: objects pasted. ``"empty"``: draws lost because nothing was
            stored yet. ``"replaced"``: objects that made room for another. ``"too_small"``: objects below
            ``min_area``. ``"crowded"``: draws given up for ``max_cover``. ``"pasted_age"``: steps between
            storing and pasting, summed over all pastes. ``"shrunk"``: objects scaled further down than R_R
            for the budget. ``"skipped"``: draws for which the budget left no pixel.
        """
        return {name: dict(counts) for name, counts in self._stats.counters.items()}

    def covered(self) -> dict[str, float]:
        """Share of an image's labelled pixels that pastes covered since the start, each pixel once.

        Returns:
            ``"mean"`` over all images that came by, and ``"max"``, in [0, 1]. On CUDA this waits for the
            device.
        """
        return self._stats.covered()

    def metrics(self, prefix: str = "bank/") -> dict[str, float]:
        """Numbers to log during training: means over the last 100 batches, and the present content.

        Args:
            prefix: of each name.

        Returns:
            ``missing``: share of the tail classes that an image (with ``scope="batch"`` a batch) misses.
            ``stored``, ``replaced``, ``pasted``: objects for each image. ``lost``, ``crowded``: share of the
            draws that found nothing stored, or no place. ``shrunk``, ``skipped``: share of the draws that
            the budget scaled down, or left no pixel. ``covered``, ``covered_most``: mean and largest share of
            an image's labelled pixels that was pasted over. ``pasted_age``: mean age of a pasted object in
            steps. ``coverage_before``, ``coverage_after``: share of the batches that hold all tail classes
            before and after pasting; a pasted class counts as held even if void or a later paste covers all
            of it. ``objects``, ``bytes``: what is stored, and ``age``, its mean age in steps. A mean over
            nothing (the age before anything was pasted) is left out.
        """
        ages = [age for found in self.ages().values() for age in found]
        found = self._stats.metrics()
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
        return pack(self._store, self._stats, self._generator.get_state())

    def set_extra_state(self, state: Any) -> None:
        """Take over the state of a bank with the same tail classes.

        Args:
            state: what ``get_extra_state`` returned, in this version or the one before.

        Raises:
            DataError: if it is not the state of a bank.
            OptionError: if it is the state of a bank with other tail classes, more objects, or a policy that
                remembers what this one does not.
        """
        new = unpack(state, self.tail_classes, self.memory_size)
        if self.placement == "canvas":
            for stored in (stored for shelf in new.shelves.values() for stored in shelf):
                stored.known_origin()
        if new.policy is not None:
            name, remembered = new.policy
            if name == type(self.replacement).__name__:
                self.replacement.load_state_dict(remembered)
            elif remembered:
                raise OptionError(
                    f"the state holds what a {name} remembers, this bank has a "
                    f"{type(self.replacement).__name__}; build it with the same replacement policy"
                )
        self._store.load(new.shelves, new.count)
        self._stats = new.stats
        self._generator.set_state(new.generator)

    def extra_repr(self) -> str:
        """The options, for ``repr``."""
        names = ("tail_classes", "memory_size", "sample_ratio", "resize_ratio", "ignore_index")
        others = ("scope", "budget", "min_area", "max_cover", "antialias", "edge", "placement")
        shown = [f"{name}={getattr(self, name)!r}" for name in (*names, *others, "offload", "share")]
        return ", ".join([*shown, f"replacement={type(self.replacement).__name__}"])


def _pixels(stored: StoredObject, ratio: float, size: tuple[int, int]) -> float:
    """Pixels that an object will have at a ratio, as its box says; it keeps at least one."""
    rows, columns = stored.crop.mask.shape
    new_rows, new_columns = fitted_size(rows, columns, ratio, *size)
    return max(1.0, stored.area * new_rows * new_columns / (rows * columns))


def _level(wanted: list[float], room: int) -> float:
    """The largest level with the sum of min(wanted, level) within the room; infinite if all fit.

    >>> _level([1.0, 9.0, 20.0], 30), _level([1.0, 9.0, 20.0], 11), _level([5.0, 5.0], 1)
    (inf, 5.0, 0.5)
    """
    left = float(room)
    for served, pixels in enumerate(sorted(wanted)):
        share = left / (len(wanted) - served)
        if pixels > share:
            return share
        left -= pixels
    return math.inf


def _shrunk(stored: StoredObject, ratio: float, size: tuple[int, int], level: float) -> float:
    """The ratio at which an object has about ``level`` pixels and not more.

    The pixels fall with the square of the ratio, but not where a side is down to one of them, and sides are
    whole numbers: the ratio is found by halving.
    """
    low, high = 0.0, ratio
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (middle, high) if _pixels(stored, middle, size) <= level else (low, middle)
    return low


def _tail_labels(tail_classes: Sequence[int], ignore_index: int, num_classes: int | None) -> tuple[int, ...]:
    """Labels of the tail classes as plain ints; a ValueError for one that cannot be a tail class."""
    tail = tuple(operator.index(label) for label in tail_classes)  # refuses 5.7, takes numpy's integers
    if not tail:
        raise OptionError("tail_classes is empty; without tail classes leave the bank out")
    for label in tail:
        if label < 0:
            raise OptionError(f"tail_classes holds {label}; labels are not negative")
        if label == ignore_index:
            raise OptionError(f"tail_classes holds {label}, which is ignore_index, the void label")
        if num_classes is not None and label >= num_classes:
            raise OptionError(
                f"tail_classes holds {label}; with num_classes={num_classes} the last class is "
                f"{num_classes - 1}"
            )
        if tail.count(label) > 1:
            raise OptionError(f"tail_classes holds {label} twice")
    return tail


def _check_share(name: str, value: float, *, zero: bool, note: str = "") -> float:
    """A number in [0, 1], or in (0, 1]."""
    if not 0 <= value <= 1 or (value == 0 and not zero):
        raise OptionError(f"{name} must be in {'[' if zero else '('}0, 1], got {value}{note}")
    return value


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """One of several words."""
    if value not in choices:
        raise OptionError(f"{name} must be one of {', '.join(choices)}, got {value!r}")


def _cpu_generator(generator: torch.Generator | None) -> torch.Generator:
    """The generator given, or a new one with a seed that follows the global generator's."""
    if generator is None:
        # another seed than the global generator's, so that the two streams are not the same numbers
        return torch.Generator().manual_seed((torch.initial_seed() + 0x9E3779B97F4A7C15) % 2**63)
    if generator.device.type != "cpu":
        raise ValueError(f"generator must be on the CPU, got one on {generator.device}")
    return generator


def _check_batch(images: Tensor, target: Tensor) -> Tensor:
    """The labels (B, H, W), if images and target fit each other. Looks at no value."""
    if not isinstance(images, Tensor):
        raise TypeError(f"images must be a torch.Tensor, got {type(images).__name__}")
    shape = tuple(images.shape)
    labels = label_map(target, None, shape[2:]) if len(shape) == 4 else target
    found = tuple(labels.shape)
    if len(shape) != 4 or (shape[0], *shape[2:]) != found:
        raise ValueError(
            f"images must have shape (B, C, H, W) and target (B, H, W) of the same batch and size, got "
            f"{shape} and {found}"
        )
    if images.device != labels.device:
        raise ValueError(f"images are on {images.device}, target on {labels.device}; move one of them")
    if not images.is_floating_point() and images.dtype != torch.uint8:
        raise ValueError(f"images must be floating point or uint8, got {images.dtype}")
    return labels
