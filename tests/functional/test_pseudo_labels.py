"""Pseudo-labels and their weights, beside loops over pixels and a hand-worked case."""

from __future__ import annotations

import math

import pytest
import torch

from aucseg.functional.pseudo_labels import (
    PSEUDO_LABEL_COUNTS,
    confident_share,
    drop_uncertain,
    entropy,
    estimated_counts,
    masked_distance,
    predicted,
    pseudo_label_counts,
    weigh_gradient,
    without_margins,
)

K, VOID = 4, 255


def logits(seed: int = 0, scale: float = 3.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(3, K, 5, 6, generator=generator, dtype=torch.float64)


def test_class_and_probability_are_those_of_a_softmax():
    z = logits()
    labels, probability = predicted(z)
    softmax = z.softmax(1)
    assert torch.equal(labels, softmax.argmax(1))
    torch.testing.assert_close(probability, softmax.max(1).values)
    assert predicted(z.half())[1].dtype == torch.float32


@pytest.mark.parametrize("threshold", [0.0, 0.6, 0.968, 1.1])
def test_the_share_of_confident_pixels_is_counted(threshold):
    _, probability = predicted(logits())
    by_hand = [sum(float(p) >= threshold for p in image.flatten()) / image.numel() for image in probability]
    assert confident_share(probability, threshold).tolist() == pytest.approx(by_hand)
    batch = confident_share(probability, threshold, share_of="batch")
    assert batch.tolist() == pytest.approx([sum(by_hand) / 3] * 3)


def test_entropy_is_that_of_its_formula():
    z = logits()
    p = z.softmax(1)
    for b in range(3):
        for y in range(5):
            for x in range(6):
                by_hand = -sum(float(q) * math.log(float(q)) for q in p[b, :, y, x])
                assert float(entropy(z)[b, y, x]) == pytest.approx(by_hand)
    assert float(entropy(torch.zeros(1, K, 1, 1))) == pytest.approx(math.log(K))
    assert float(entropy(torch.tensor([400.0, 0, 0, 0]).view(1, K, 1, 1))) == 0.0


@pytest.mark.parametrize("share", [0.0, 0.2, 0.37, 1.0])
def test_the_most_uncertain_pixels_are_dropped(share):
    z = logits()
    labels, _ = predicted(z)
    labels[0, 0] = VOID
    left = drop_uncertain(labels, entropy(z), share)
    values = sorted(
        (float(h), i)
        for i, (h, label) in enumerate(zip(entropy(z).flatten(), labels.flatten(), strict=True))
        if label != VOID
    )
    kept = {i for _, i in values[: len(values) - math.floor(share * len(values))]}
    expected = [int(k) if i in kept else VOID for i, k in enumerate(labels.flatten())]
    assert left.flatten().tolist() == expected


def test_pixels_that_are_equally_uncertain_stay_together():
    labels = torch.zeros(1, 2, 2, dtype=torch.int64)
    assert (drop_uncertain(labels, torch.ones(1, 2, 2), 0.5) == 0).all()


def test_margins_are_void():
    labels = torch.zeros(2, 6, 7, dtype=torch.int64)
    left = without_margins(labels, (1, 2, 0, 3))
    assert (left[:, 1:4, :4] == 0).all()
    assert int((left == 0).sum()) == 2 * 3 * 4
    assert (without_margins(labels, (5, 5, 0, 0)) == VOID).all()
    assert without_margins(labels, (0, 0, 0, 0)) is labels


def test_equation_4_of_blv_on_a_case_worked_by_hand():
    """Two images of 2 x 3 pixels: class 0 five times, class 1 four, class 2 never, class 3 three times."""
    first = torch.tensor([[0, 0, 1], [1, 0, 3]])
    second = torch.tensor([[0, 1, 1], [3, 3, 0]])
    pixels, images = estimated_counts(torch.stack((first, second)), 4)
    assert pixels.tolist() == [5, 4, 0, 3]
    assert images.tolist() == [2, 2, 0, 2]
    assert (pixels / pixels.sum()).tolist() == pytest.approx([5 / 12, 4 / 12, 0, 3 / 12])
    parts = [estimated_counts(one[None], 4) for one in (first, second)]
    assert torch.equal(parts[0][0] + parts[1][0], pixels)
    assert estimated_counts(torch.full((1, 2, 2), VOID), 4)[0].tolist() == [0] * 4


def test_a_weighed_gradient_is_that_of_the_weighted_mean():
    z = logits().requires_grad_()
    labels = torch.randint(0, K, (3, 5, 6), generator=torch.Generator().manual_seed(1))
    weights = torch.rand(3, 5, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    plain = torch.nn.functional.cross_entropy(z, labels, reduction="none")
    expected = torch.autograd.grad((weights * plain).mean(), z)[0]
    loss = torch.nn.functional.cross_entropy(weigh_gradient(z, weights), labels)
    assert float(loss.detach()) == pytest.approx(float(plain.detach().mean()))
    torch.testing.assert_close(torch.autograd.grad(loss, z)[0], expected)


def test_the_distance_of_features_is_a_mean_over_the_mask():
    f = torch.randn(2, 7, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    g = torch.randn(2, 7, 3, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    f[0, :, 0, 0] = g[0, :, 0, 0]  # a distance of 0, whose root has no slope
    mask = torch.zeros(2, 3, 4, dtype=torch.bool)
    mask[0, 0, :3] = mask[1, 2, 1] = True
    by_hand = [float((f[b, :, y, x] - g[b, :, y, x]).norm()) for b, y, x in mask.nonzero().tolist()]
    f.requires_grad_()
    value = masked_distance(f, g, mask)
    assert float(value.detach()) == pytest.approx(sum(by_hand) / 4)
    (grad,) = torch.autograd.grad(value, f)
    assert grad.isfinite().all()
    assert (grad.abs().sum(1)[~mask] == 0).all()


def test_no_cell_of_the_mask_is_a_distance_of_zero():
    f = torch.randn(1, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    value = masked_distance(f, torch.zeros(1, 3, 2, 2), torch.zeros(1, 2, 2, dtype=torch.bool))
    assert float(value.detach()) == 0
    assert (torch.autograd.grad(value, f)[0] == 0).all()


def test_the_gradient_of_the_distance():
    mask = torch.tensor([[[True, False], [True, True]]])
    f = torch.randn(1, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    g = torch.randn(1, 3, 2, 2, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: masked_distance(x, g, mask), f)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: drop_uncertain(torch.zeros(1, 1, 1), torch.zeros(1, 1, 1), 1.5), "share of dropped"),
        (lambda: without_margins(torch.zeros(1, 1, 1), (1, 2)), "margins"),
        (lambda: confident_share(torch.zeros(1, 1, 1), 0.9, share_of="set"), "share_of"),
    ],
)
def test_wrong_options_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize("known", [True, False])
def test_what_became_of_pixels_is_counted_one_by_one(known):
    """Each pixel by itself: truth is void here and there, or everywhere."""
    generator = torch.Generator().manual_seed(1)
    labels = torch.randint(0, K, (2, 7, 9), generator=generator)
    counted = torch.rand(2, 7, 9, generator=generator) < 0.4
    truth = torch.randint(0, K + 1, (2, 7, 9), generator=generator)
    truth = torch.where(truth == K, VOID, truth) if known else torch.full_like(truth, VOID)
    expected = {row: [0] * K for row in PSEUDO_LABEL_COUNTS}
    pixels = zip(labels.flatten().tolist(), counted.flatten(), truth.flatten().tolist(), strict=True)
    for said, sure, true in pixels:
        expected["predicted"][said] += 1
        expected["counted"][said] += bool(sure)
        if true != VOID:
            expected["truth"][true] += 1
            expected["counted_truth"][true] += bool(sure)
            expected["right"][said] += said == true
            expected["counted_right"][said] += said == true and bool(sure)
    found = pseudo_label_counts(labels, counted, truth, K)
    assert dict(zip(PSEUDO_LABEL_COUNTS, found.tolist(), strict=True)) == expected
    assert known == bool(found[0].any())
