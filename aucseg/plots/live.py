"""Figures of the book that a reader can move, without a kernel and without another host.

Each has a still picture, which stands where no script runs: in JupyterLab, in a reader that has none, in the
executed notebook. In the book's pages ``book/_static/live.js`` puts fields and a drawing in its place, made
from the numbers that the figure carries. What the script computes by itself it compares, when the page opens,
with values that the package gave for it: a page on which both differ has an error, and does not pass the
gates of the build.
"""

from __future__ import annotations

import base64
import io
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from PIL import Image

from aucseg.data.palette import indexed_mask
from aucseg.data.spec import ClassSpec
from aucseg.losses import AUCLoss
from aucseg.plots.bank import PASTED_COLOR
from aucseg.plots.masks import to_rgb
from aucseg.plots.style import ARM_COLORS, GROUP_COLORS, INK, as_label
from aucseg.theory import all_present_probability, batch_sizes

_SURROGATES = ("square", "hinge", "squared_hinge", "exp", "logistic")
_DASHES = ("", "7 4", "7 3 2 3", "2 3", "10 3 2 3 2 3")  # as ARM_LINES has them
_COLORS = 62  # of a pasted object
_OUTLINE = 2  # how much finer than its image the line around a pasted object is


@dataclass(frozen=True)
class Live:
    """A figure that a reader can move.

    Attributes:
        kind: which of the script's figures it is.
        name: of its fields, for who cannot see them.
        values: what the script makes it from; what JSON can hold.
        still: the picture that stands for it where no script runs.
    """

    kind: str
    name: str
    values: Mapping[str, Any]
    still: Figure | Axes


def live_surrogates(still: Figure | Axes) -> Live:
    """The loss of a pair of pixels over the difference of their scores, with a slider for the margin.

    Args:
        still: the picture without a script.
    """
    looks = {
        name: [color, dash] for name, color, dash in zip(_SURROGATES, ARM_COLORS[1:], _DASHES, strict=False)
    }
    settings = itertools.product(_SURROGATES, (0.25, 1.0), (1.0, 2.5), (-0.75, -0.1, 0.0, 0.3, 0.8))
    checks = [[*setting, _pair_loss(*setting)] for setting in settings]
    return Live("surrogates", "surrogate and margin", {"looks": looks, "checks": checks}, still)


def _pair_loss(surrogate: str, margin: float, scale: float, difference: float) -> float:
    """What :class:`~aucseg.losses.AUCLoss` makes of two pixels whose scores differ by so much."""
    if surrogate in ("exp", "logistic"):
        margin = 1.0  # they have none
    loss = AUCLoss(2, surrogate=surrogate, margin=margin, scale=scale, reduction="none")
    scores = torch.tensor([0.5 + difference / 2, 0.5 - difference / 2], dtype=torch.float64)
    logits = torch.stack((scores.logit(), torch.zeros(2, dtype=torch.float64)))[None, :, None]
    return loss(logits, torch.tensor([[[0, 1]]]))[0, 1].item()


def live_batch_size(classes: int, delta: float, probability: float, size: int) -> Live:
    """Proposition 1 of AUCSeg with sliders: how probable it is that a batch lacks some of K classes.

    All classes are in the same share of the images, as the proposition has it.

    Args:
        classes: K, where the slider stands at first.
        delta: accepted chance that a class is missing, there.
        probability: share of the images that holds a class, there.
        size: images in the batch, there.
    """
    looks = {
        kind: [color, dash]
        for kind, color, dash in zip(
            ("needed", "independent", "enough"),
            (ARM_COLORS[3], ARM_COLORS[4], ARM_COLORS[1]),
            _DASHES[:3],
            strict=True,
        )
    }
    checks = []
    for many, level, share in itertools.product((2, 19, 171), (0.001, 0.01, 0.1), (0.005, 0.01, 0.25)):
        found = batch_sizes([share] * many, level)
        checks.append([many, level, share, found.necessary, found.independent, found.sufficient])
    _, ax = plt.subplots(figsize=(7.2, 3.6))
    sizes = np.unique(np.geomspace(1, 10_000, 200).round())
    miss = (1 - probability) ** sizes
    for kind, label, chance in (
        ("needed", "classes always together", miss),
        (
            "independent",
            "independent",
            [1 - all_present_probability([probability] * classes, int(b)) for b in sizes],
        ),
        ("enough", "Proposition 1", np.minimum(1, classes * miss)),
    ):
        color, dash = looks[kind]
        lengths = [int(number) for number in dash.split()]
        ax.plot(sizes, chance, color=color, label=label, linestyle=(0, lengths) if lengths else "-")
    ax.axhline(delta, color=INK, linewidth=0.8, linestyle=":")
    ax.set(xscale="log", yscale="log", xlim=(1, 10_000), ylim=(1e-3, 1.1))
    ax.set(xlabel="images in the batch, B", ylabel="P(some class missing)")
    ax.legend()
    values = {"classes": classes, "delta": delta, "p": probability, "size": size}
    return Live("batch_size", "Proposition 1", values | {"looks": looks, "checks": checks}, ax)


def live_threshold(
    still: Figure | Axes, pairs: Mapping[str, tuple[tuple[str, str], ArrayLike, ArrayLike]]
) -> Live:
    """The scores of two classes with a slider for the threshold, and what that moves: not the AUC.

    Args:
        still: the picture without a script.
        pairs: by the words to choose them by: names of the positive and the negative class, scores (P,) in
            [0, 1] of pixels of the first and (N,) of the second. Scores are kept to four digits.
    """
    told = []
    for label, (names, positive, negative) in pairs.items():
        high, low = (np.round(np.asarray(scores, float), 4) for scores in (positive, negative))
        difference = high[:, None] - low
        told.append(
            {
                "label": label,
                "names": [as_label(name) for name in names],
                "positive": high.tolist(),
                "negative": low.tolist(),
                "auc": float((difference > 0).mean() + 0.5 * (difference == 0).mean()),
            }
        )
    colors = [GROUP_COLORS["tail"], GROUP_COLORS["head"]]
    return Live("threshold", "threshold of two classes", {"pairs": told, "colors": colors}, still)


def live_bank(
    still: Figure | Axes,
    image: ArrayLike,
    labels: ArrayLike,
    options: Mapping[str, Sequence[float]],
    frames: Mapping[tuple[int, ...], tuple[ArrayLike, ArrayLike, str]],
) -> Live:
    """One image after memory banks with many settings, each made beforehand, with a slider for each option.

    Args:
        still: the picture without a script.
        image: (3,H,W) uint8, before the bank.
        labels: (H,W), of it.
        options: values of three options of the bank, by their names.
        frames: for every combination, as positions in those values: the image (3,H,W) and its labels (H,W)
            after the bank, and what there is to say of it.

    Raises:
        ValueError: if a combination is missing.
    """
    wanted = set(itertools.product(*(range(len(values)) for values in options.values())))
    if wanted != set(frames):
        raise ValueError(f"frames must have every combination of {', '.join(options)}, {len(wanted)}")
    pasted = [
        [list(place), _pasted(picture, labels, after), words]
        for place, (picture, after, words) in frames.items()
    ]
    values = {
        "picture": _png(Image.fromarray(to_rgb(image))),
        "options": {name: list(steps) for name, steps in options.items()},
        "frames": pasted,
    }
    return Live("bank", "options of the memory bank", values, still)


def _pasted(image: ArrayLike, before: ArrayLike, after: ArrayLike) -> str:
    """What a bank put into an image, with a line around it, and nothing else; empty if it put nothing."""
    changed = np.asarray(before) != np.asarray(after)
    if not changed.any():
        return ""
    fine = np.kron(changed, np.ones((_OUTLINE, _OUTLINE), bool))
    colors = np.kron(to_rgb(image), np.ones((_OUTLINE, _OUTLINE, 1), np.uint8))
    wide = np.pad(fine, 1)
    near = wide[:-2, 1:-1] | wide[2:, 1:-1] | wide[1:-1, :-2] | wide[1:-1, 2:]
    edge = near & ~fine
    # where an object ends with the image the line is inside it
    border = np.zeros_like(fine)
    border[[0, -1]] = border[:, [0, -1]] = True
    edge |= fine & border
    # few colours, as there are many of these pictures in a page: none, the line, and those of the object
    inside = fine & ~edge
    if not inside.any():
        inside = fine
    reduced = Image.fromarray(colors[inside][None]).quantize(_COLORS)
    index = np.zeros(fine.shape, np.uint8)
    index[inside] = np.asarray(reduced)[0] + 2
    index[edge] = 1
    picture = Image.fromarray(index)
    palette = reduced.getpalette() or []
    picture.putpalette([0, 0, 0, *bytes.fromhex(PASTED_COLOR[1:]), *palette[: 3 * _COLORS]])
    return _png(picture, transparency=0)


def compared_layers(
    image: ArrayLike, truth: ArrayLike, predictions: Mapping[str, ArrayLike], spec: ClassSpec
) -> dict[str, tuple[ArrayLike, str]]:
    """The layers of one image for :func:`live_compare`, with what of each prediction is right.

    Args:
        image: (3,H,W) uint8.
        truth: train ids (H,W).
        predictions: train ids (H,W) by the name of their layer.
        spec: classes of the masks.

    Returns:
        ``photo``, ``truth`` and each prediction, with a few words on it.
    """
    labels = np.asarray(truth)
    known, tail = labels != spec.ignore_index, np.isin(labels, spec.tail)
    held = ", ".join(as_label(spec.names[label]) for label in spec.tail if (labels == label).any())
    layers: dict[str, tuple[ArrayLike, str]] = {
        "photo": (image, "as it is"),
        "truth": (truth, f"its tail is {held or 'empty'}"),
    }
    for name, predicted in predictions.items():
        right = np.asarray(predicted) == labels
        words = (
            f"{100 * right[known].mean():.1f}% of the pixels right" if known.any() else "nothing to compare"
        )
        if tail.any():
            words += f", {100 * right[tail].mean():.1f}% of those of the tail"
        layers[name] = (predicted, words)
    return layers


def live_compare(
    still: Figure | Axes,
    images: Mapping[str, Mapping[str, tuple[ArrayLike, str]]],
    spec: ClassSpec,
    labels: Mapping[str, str],
) -> Live:
    """Two pictures of the same image with a line between them to move: photo, truth, predictions.

    Args:
        still: the picture without a script.
        images: by their names: for each layer of ``labels`` a picture (3,H,W) uint8 or train ids (H,W), and
            what there is to say of it.
        spec: classes of the masks.
        labels: what each layer is called; the second and the third are seen at first.
    """
    told = []
    for name, layers in images.items():
        held = {
            label
            for picture, _ in layers.values()
            if np.ndim(picture) == 2
            for label in np.unique(np.asarray(picture)).tolist()
            if label < spec.num_classes
        }
        told.append(
            {
                "name": name,
                "layers": {key: [_layer(picture, spec), words] for key, (picture, words) in layers.items()},
                "classes": [as_label(spec.names[label]) for label in sorted(held)],
            }
        )
    colors = {
        as_label(name): "#{:02x}{:02x}{:02x}".format(*color)
        for name, color in zip(spec.names, spec.colors, strict=True)
    }
    values = {"images": told, "layers": dict(labels), "colors": colors}
    return Live("compare", "truth and predictions", values, still)


def _layer(picture: ArrayLike, spec: ClassSpec) -> str:
    array = np.asarray(picture)
    if array.ndim != 2:
        return _png(Image.fromarray(to_rgb(array)))
    return _png(indexed_mask(array.astype(np.uint8), spec.palette))


def _png(image: Image.Image, **options: Any) -> str:
    """A picture as an address that holds it."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True, **options)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
