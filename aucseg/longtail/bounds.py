"""What Proposition 1 and Theorem 1 say of a data set: imbalance, batch sizes, terms of the bound."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

import numpy as np

from aucseg.errors import OptionError
from aucseg.longtail.counter import HasMasks, MaskFiles, train_id_maps
from aucseg.longtail.tally import Tally
from aucseg.theory import (
    MAX_CLASSES,
    batch_sizes,
    batch_sizes_of_set,
    crop_hit_probability,
    crop_presence,
    crop_probabilities,
    exact_batch_size,
    first_useful_size,
    generalization_bound,
    imbalance,
    imbalance_range,
    simulate_coverage,
)


def bound_report(
    tally: Tally,
    masks: HasMasks | MaskFiles | None = None,
    *,
    delta: float = 0.01,
    pixels: int | None = None,
    crop: tuple[int, int] | None = None,
    lipschitz: float = 4.0,
    cover: tuple[float, float, float] = (1.0, 1.0, 1.0),
    draws: int = 10_000,
    seed: int = 0,
) -> dict[str, Any]:
    r"""Degree of imbalance :math:`\tau`, batch sizes of Proposition 1 and the terms of Theorem 1.

    Each by the best that the tally allows: tau is exact where pixels of single images are known, else a
    range; so is the batch size of classes as they really occur together, up to 20 classes that can be missed,
    else simulated. Classes in no image are left out.

    Args:
        tally: of the training set.
        masks: the masks, to measure what crops of them hold; without them crops are modelled.
        delta: accepted probability that a statement fails.
        pixels: k, pixels of the largest image; those of the tally if None.
        crop: height and width of a crop, for which batch sizes are found too.
        lipschitz: mu of the surrogate.
        cover: A, B and C of the covering-number assumption.
        draws: batches to simulate beyond 20 classes.
        seed: of the simulation.

    Returns:
        ``images``, ``classes`` (how many occur), ``absent`` (names of the others), ``delta``, ``tau`` (low,
        high and the class that makes it), ``batch_sizes`` by kind, ``constants`` and ``bound``, a row for
        each variant and value of tau; plain values, for JSON.

    Raises:
        UserError: for a constant out of its range, or crops of images that differ in size and have no masks.

    Example:
        >>> from aucseg.longtail import load_statistics
        >>> bound_report(load_statistics("cityscapes"))["batch_sizes"]["exact"]
        93
    """
    occurring = np.flatnonzero(tally.images > 0)
    k = pixels or tally.max_image_pixels
    tau = _tau(tally, occurring, k)
    area = k or round(float(tally.pixels.sum()) / tally.num_images)
    constants: dict[str, Any] = dict(zip(("cover_a", "cover_b", "cover_c"), cover, strict=True))
    constants |= {"lipschitz": lipschitz, "pixels": area}
    sizes = _batch_sizes(tally, occurring, delta, draws, seed)
    if crop is not None:
        shares, model = _crop_shares(tally, masks, occurring, crop)
        sizes["crops"] = {"size": crop, "model": model, **asdict(batch_sizes(shares, delta))}
    return {
        "images": tally.num_images,
        "classes": len(occurring),
        "absent": [tally.names[c] for c in range(tally.num_classes) if c not in occurring],
        "delta": delta,
        "tau": tau,
        "batch_sizes": sizes,
        "constants": constants,
        "bound": _rows(tally.num_images, tau, len(occurring), delta, constants),
    }


def square_object(area: float, image: tuple[int, int]) -> tuple[int, int]:
    """A square of an area, or a band across the image where no such square fits into it.

    Args:
        area: pixels of the object.
        image: height and width of the image.

    Returns:
        Height and width of the object.
    """
    side, short = max(1, round(area**0.5)), min(image)
    if side <= short:
        return side, side
    long = min(max(image), round(area / short))
    return (short, long) if image[0] == short else (long, short)


def _tau(tally: Tally, occurring: np.ndarray, image_pixels: int | None) -> dict[str, Any]:
    if tally.pixels_by_image is not None:
        exact = imbalance(tally.pixels_by_image.toarray()[:, occurring])
        low = high = exact.tau
        worst = exact.worst
    else:
        span = imbalance_range(
            tally.pixels[occurring], tally.images[occurring], tally.num_images, image_pixels=image_pixels
        )
        low, high, worst = span.low, span.high, span.worst
    return {"low": low, "high": high, "class": tally.names[occurring[worst]]}


def _batch_sizes(tally: Tally, occurring: np.ndarray, delta: float, draws: int, seed: int) -> dict[str, Any]:
    images = tally.images[occurring]
    found: dict[str, Any] = {
        "with_replacement": asdict(batch_sizes(images / tally.num_images, delta)),
        "without_replacement": asdict(batch_sizes_of_set(images, tally.num_images, delta)),
    }
    if tally.presence is not None:
        presence = tally.presence[:, occurring]
        for suffix, twice in (("", False), ("_with_replacement", True)):
            if (~presence.all(0)).sum() <= MAX_CLASSES:
                found[f"exact{suffix}"] = exact_batch_size(presence, delta, replacement=twice)
            else:
                times = simulate_coverage(presence, draws=draws, seed=seed, replacement=twice)
                found[f"simulated{suffix}"] = asdict(times.batch_size(delta))
    return found


def _crop_shares(
    tally: Tally, masks: HasMasks | MaskFiles | None, occurring: np.ndarray, crop: tuple[int, int]
) -> tuple[np.ndarray, str]:
    if masks is not None:
        measured = crop_probabilities(train_id_maps(masks), tally.num_classes, crop)
        return measured[occurring], "measured on every place of the crop"
    size = tally.image_size
    if size is None:
        raise OptionError(f"the images of {tally.name!r} differ in size: crops need a folder of masks")
    pixels, images = tally.pixels[occurring], tally.images[occurring]
    hits = [
        crop_hit_probability(size, crop, square_object(area, size)) for area in (pixels / images).tolist()
    ]
    return crop_presence(images / tally.num_images, hits), "one square object of the mean area, anywhere"


def _rows(
    num_images: int, tau: dict[str, Any], num_classes: int, delta: float, constants: dict[str, Any]
) -> list[dict[str, Any]]:
    rows = []
    for variant in ("printed", "corrected"):
        for value in dict.fromkeys((tau["low"], tau["high"])):
            terms = generalization_bound(num_images, value, num_classes, delta, variant=variant, **constants)
            useful = first_useful_size(value, num_classes, delta, variant=variant, **constants)
            numbers = {n.name: float(getattr(terms, n.name)) for n in fields(terms) if n.name != "variant"}
            rows.append(
                {
                    "variant": variant,
                    "tau": value,
                    **numbers,
                    "total": float(terms.total),
                    "limit": useful.limit,
                    "below_one_from": useful.num_images,
                }
            )
    return rows
