"""Each connected object counts the same: against a flood fill and loops over pairs of objects."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from aucseg.functional.regions import object_weights
from aucseg.losses import AUCLoss, AUCSegLoss
from aucseg.training.objectives import OBJECTIVES
from tests.functional.oracle import ACTIVATIONS, SURROGATES, streets


def parts_of(target: Tensor, num_classes: int) -> list[tuple[int, int, list[tuple[int, int]]]]:
    """Class, image and pixels of each part, by a flood fill of our own."""
    found = []
    for image, labels in enumerate(target.tolist()):
        seen: set[tuple[int, int]] = set()
        for y, line in enumerate(labels):
            for x, label in enumerate(line):
                if (y, x) in seen or label >= num_classes:
                    continue
                part, open_ = [], [(y, x)]
                seen.add((y, x))
                while open_:
                    b, a = open_.pop()
                    part.append((b, a))
                    for to in ((b - 1, a), (b + 1, a), (b, a - 1), (b, a + 1)):
                        inside = 0 <= to[0] < len(labels) and 0 <= to[1] < len(line)
                        if inside and to not in seen and labels[to[0]][to[1]] == label:
                            seen.add(to)
                            open_.append(to)
                found.append((label, image, part))
    return found


def by_objects(scores: Tensor, target: Tensor, k: int, surrogate: str, scale: float) -> Tensor:
    """(K, K), nan if absent: the mean over pairs of parts of the mean over their pairs of pixels."""
    parts = parts_of(target, k)
    table = scores.new_full((k, k), torch.nan)
    for c in range(k):
        values: dict[int, list[Tensor]] = {d: [] for d in range(k)}
        for label, image, pixels in parts:
            if label != c:
                continue
            own = torch.stack([scores[image, c, y, x] for y, x in pixels])
            for other, there, others in parts:
                if other != c:
                    rest = torch.stack([scores[there, c, y, x] for y, x in others])
                    pairs = SURROGATES[surrogate](scale * (own[:, None] - rest), 1.0)
                    values[other].append(pairs.mean())
        for d, found in values.items():
            if found:
                table[c, d] = torch.stack(found).mean()
    return table


def drawn(seed: int = 0, k: int = 3) -> tuple[Tensor, Tensor]:
    """Logits and a target with parts of several sizes, one class missing from an image, and void."""
    logits, target = streets(2, k, 6, 7, seed=seed)
    return logits, target


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
@pytest.mark.parametrize(("surrogate", "scale"), [("square", 1.0), ("exp", 1.5)])
def test_against_pairs_of_objects(surrogate: str, scale: float, activation: str) -> None:
    for seed in range(3):
        logits, target = drawn(seed)
        table = by_objects(ACTIVATIONS[activation](logits), target, 3, surrogate, scale)
        loss = AUCLoss(3, surrogate=surrogate, scale=scale, activation=activation, region_weights="objects")
        wanted = table[~table.isnan()].mean()
        torch.testing.assert_close(loss(logits, target), wanted, rtol=1e-7, atol=1e-9)
        loss.reduction = "none"
        torch.testing.assert_close(loss(logits, target), table, rtol=1e-7, atol=1e-9, equal_nan=True)


def test_one_versus_all_weighs_the_others_by_their_parts() -> None:
    logits, target = drawn(4)
    table = by_objects(logits.sigmoid(), target, 3, "square", 1.0)
    number = torch.tensor([sum(label == c for label, *_ in parts_of(target, 3)) for c in range(3)])
    rows = []
    for c in range(3):
        others = [d for d in range(3) if d != c]
        rows.append(sum(number[d] * table[c, d] for d in others) / sum(number[d] for d in others))
    loss = AUCLoss(3, multiclass="ova", region_weights="objects")
    torch.testing.assert_close(loss(logits, target), torch.stack(rows).mean())


def test_a_large_object_counts_as_much_as_a_small_one() -> None:
    """A part twice as large, of the same scores: with objects nothing changes, with pixels it does."""
    target = torch.zeros(1, 3, 9, dtype=torch.long)
    target[0, 1, 1] = target[0, 1, 4] = 1
    scores = torch.zeros(1, 2, 3, 9, dtype=torch.float64)
    scores[0, 1, 1, 1] = 2.0
    grown, larger = target.clone(), scores.clone()
    grown[0, 1, 2], larger[0, 1, 1, 2] = 1, 2.0
    objects, pixels = (AUCLoss(2, region_weights=unit) for unit in ("objects", "pixels"))
    # of the background only the size changes: its scores are all the same
    assert objects(scores, target) == pytest.approx(float(objects(larger, grown)), abs=1e-12)
    assert abs(float(pixels(scores, target) - pixels(larger, grown))) > 1e-2


def test_parts_of_one_pixel_are_pixels() -> None:
    board = (torch.arange(6)[:, None] + torch.arange(6)) % 2  # no two neighbours are of one class
    logits = torch.randn(1, 2, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    both = [AUCLoss(2, region_weights=unit)(logits, board[None]) for unit in ("objects", "pixels")]
    torch.testing.assert_close(*both)


def test_weights_add_up_to_the_number_of_parts() -> None:
    _, target = drawn(7)
    weights = object_weights(target, 3)
    for c in range(3):
        number = sum(label == c for label, *_ in parts_of(target, 3))
        assert weights[target == c].sum() == pytest.approx(number)
    assert not weights[target == 255].any()


@pytest.mark.parametrize("ce_weight", [0.0, 0.5])
def test_gradients(ce_weight: float) -> None:
    logits, target = streets(1, 3, 3, 4, seed=2)
    loss = AUCSegLoss(3, ce_weight=ce_weight, region_weights="objects")
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda z: loss(z, target), logits)
    assert torch.autograd.gradgradcheck(lambda z: loss(z, target), logits)


def test_the_cross_entropy_is_that_of_the_pixels() -> None:
    logits, target = drawn(1)
    parts = AUCSegLoss(3, region_weights="objects").parts(logits, target)
    wanted = torch.nn.functional.cross_entropy(logits, target, ignore_index=255)
    torch.testing.assert_close(parts["cross_entropy"], wanted)
    torch.testing.assert_close(parts["loss"], parts["auc"] + wanted)


def test_one_logit_for_two_classes_and_void_alone() -> None:
    logits, target = streets(2, 2, 5, 5, seed=3)
    loss = AUCLoss(2, region_weights="objects", activation="softmax")
    one = logits[:, 1:] - logits[:, :1]
    both = torch.cat((torch.zeros_like(one), one), 1)
    torch.testing.assert_close(loss(one, target), loss(both, target))
    empty = loss(logits.requires_grad_(), torch.full_like(target, 255))
    empty.backward()
    assert float(empty.detach()) == 0
    assert not logits.grad.any()


def test_what_it_does_not_go_with_is_refused_by_name() -> None:
    from aucseg.losses import SumQueue

    logits, target = drawn()
    with pytest.raises(ValueError, match="unknown region_weights 'regions'"):
        AUCLoss(3, region_weights="regions")
    with pytest.raises(ValueError, match="order of the pixels"):
        AUCLoss(3, surrogate="hinge", margin=0.5, region_weights="objects")
    with pytest.raises(ValueError, match="a queue keeps sums of pixels"):
        AUCLoss(3, region_weights="objects", queue=SumQueue(momentum=0.9))
    loss = AUCLoss(3, region_weights="objects")
    with pytest.raises(ValueError, match="in one piece"):
        loss.class_sums(logits, target)
    with pytest.raises(ValueError, match="in one piece"):
        loss(logits, target, whole=AUCLoss(3).class_sums(logits, target))
    with pytest.raises(RuntimeError, match="transforms of"):
        torch.func.grad(lambda z: loss(z, target))(logits)


def test_key_of_a_run() -> None:
    from aucseg.experiments import get_experiment

    config = get_experiment("salient").config("auc_objects", "ecssd", "laptop")
    assert config.loss.region_weights == "objects"
    plain = get_experiment("salient").config("auc", "ecssd", "laptop")
    assert plain.identity != config.identity
    assert OBJECTIVES["dice"].model_validate({"name": "dice", "auc": {"region_weights": "objects"}}).auc
