"""Classes that overlap: each channel against pairs of pixels, PyTorch and sets of pixels, by itself."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from aucseg.errors import OptionError
from aucseg.losses import (
    AUCLoss,
    AUCSegLoss,
    BLVLoss,
    DiceLoss,
    FocalLoss,
    MultilabelLoss,
    SumQueue,
    WeightedCrossEntropyLoss,
    cross_entropy,
)

K = 4


def batch(seed=0, void=True):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, K, 5, 6, generator=generator, dtype=torch.float64)
    target = (torch.rand(2, K, 5, 6, generator=generator) < 0.3).long()
    if void:
        target[torch.rand(2, K, 5, 6, generator=generator) < 0.2] = 255
    return logits.requires_grad_(), target


def test_binary_auc_of_each_class_by_all_pairs():
    """AUCSeg, Eq. 5, for every channel: each pixel of the class against each other one, square surrogate."""
    logits, target = batch()
    slow = logits.detach().clone().requires_grad_()
    weights = [1.0, 0.5, 2.0, 0.0]
    value = MultilabelLoss(AUCLoss(2), K, weights=weights)(logits, target)
    terms = []
    for k in range(K):
        score = slow[:, k].sigmoid()
        positive, negative = score[target[:, k] == 1], score[target[:, k] == 0]
        terms.append((1 - (positive[:, None] - negative)).square().mean())
    expected = sum(w * term for w, term in zip(weights, terms, strict=True)) / 3.5
    value.backward()
    expected.backward()
    torch.testing.assert_close(value, expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(logits.grad, slow.grad, rtol=1e-8, atol=1e-12)


def test_binary_cross_entropy_of_each_class():
    logits, target = batch(1, void=False)
    found = MultilabelLoss(FocalLoss(2, gamma=0), K)(logits, target.bool())
    torch.testing.assert_close(found, F.binary_cross_entropy_with_logits(logits, target.double()))


def test_dice_of_each_class_by_its_set():
    logits, target = batch(2)
    found = MultilabelLoss(DiceLoss(2), K)(logits, target)
    single = DiceLoss(2)
    both = torch.stack([torch.zeros_like(logits), logits], 2)
    expected = torch.stack([single(both[:, k], target[:, k]) for k in range(K)]).mean()
    torch.testing.assert_close(found, expected)


def test_a_class_without_a_pair_is_zero():
    logits, target = batch(3)
    target[:, 1] = 0
    target[:, 2] = 255
    loss = MultilabelLoss(AUCLoss(2), K)
    loss(logits, target).backward()
    assert not logits.grad[:, 1:3].any()
    assert logits.grad[:, 0].any()


def test_every_class_has_a_state_of_its_own():
    queue = AUCLoss(2, queue=SumQueue(batches=3))
    loss = MultilabelLoss(queue, K)
    assert len({id(each.queue) for each in loss.losses}) == K
    each = [WeightedCrossEntropyLoss([1, c + 1]) for c in range(K)]
    logits, target = batch(4)
    expected = torch.stack([each[k](logits[:, k : k + 1], target[:, k]) for k in range(K)]).mean()
    torch.testing.assert_close(MultilabelLoss(each, K)(logits, target), expected)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: MultilabelLoss(AUCLoss(5), 5), "no scalar loss for two classes"),
        (lambda: MultilabelLoss(AUCLoss(2, reduction="none"), 5), "no scalar loss"),
        (lambda: MultilabelLoss([AUCLoss(2)], 5), "1 losses for num_classes=5"),
        (lambda: MultilabelLoss(AUCLoss(2), 5, weights=[1, 2]), "2 weights for num_classes=5"),
    ],
)
def test_bad_options(build, message):
    with pytest.raises(OptionError, match=message):
        build()


def test_shapes_are_named():
    logits, target = batch()
    with pytest.raises(ValueError, match=r"target \(2, 5, 6\); both must be \(B, 4, H, W\)"):
        MultilabelLoss(AUCLoss(2), K)(logits, target[:, 0])
    with pytest.raises(ValueError, match="MultilabelLoss"):
        AUCLoss(K)(logits, target)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_label_smoothing_is_that_of_torch(smoothing):
    logits, target = batch(5)
    labels = target[:, 0].where(target[:, 0] != 1, torch.randint(0, K, (2, 5, 6)))
    found = cross_entropy(logits, labels, label_smoothing=smoothing)
    expected = F.cross_entropy(logits, labels, ignore_index=255, label_smoothing=smoothing)
    torch.testing.assert_close(found, expected)
    same = WeightedCrossEntropyLoss([1.0] * K, label_smoothing=smoothing)(logits, labels)
    torch.testing.assert_close(same, expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_gradient_of_a_smoothed_loss_is_rounded_once(dtype):
    """The label's part and that of all classes take each other away where they are rounded one by one."""
    logits, _ = batch(7)
    labels = torch.randint(0, K, (2, 5, 6), generator=torch.Generator().manual_seed(1))
    loss = WeightedCrossEntropyLoss([1.0, 3.0, 0.5, 2.0], label_smoothing=1.0)
    narrow = logits.detach().to(dtype).requires_grad_()
    wide = narrow.detach().double().requires_grad_()
    found = torch.autograd.grad(loss(narrow, labels), narrow)[0].double()
    expected = torch.autograd.grad(loss(wide, labels), wide)[0]
    torch.testing.assert_close(found, expected, rtol=torch.finfo(dtype).eps, atol=1e-6)


@pytest.mark.parametrize("normalize", ["weights", "pixels"])
def test_smoothed_and_weighted_by_the_class_of_the_pixel(normalize):
    logits, _ = batch(6)
    labels = torch.randint(0, K, (2, 5, 6), generator=torch.Generator().manual_seed(1))
    labels[0, :2] = 255
    weights, share = [1.0, 3.0, 0.5, 2.0], 0.2
    total, mass, number = 0.0, 0.0, 0
    for z, row in zip(logits.detach().movedim(1, -1).reshape(-1, K), labels.flatten().tolist(), strict=True):
        if row == 255:
            continue
        log = z.log_softmax(0)
        total += weights[row] * -((1 - share) * log[row] + share * log.mean()).item()
        mass, number = mass + weights[row], number + 1
    loss = WeightedCrossEntropyLoss(weights, label_smoothing=share, normalize=normalize)
    expected = total / (mass if normalize == "weights" else number)
    assert loss(logits, labels).item() == pytest.approx(expected)
    assert torch.autograd.gradcheck(lambda z: loss(z, labels), (logits,))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: AUCLoss(3, label_smoothing=0.1), "AUCLoss takes no label_smoothing=0.1.*cross_entropy"),
        (lambda: AUCSegLoss(3, mode="multilabel"), "AUCSegLoss takes no mode=.*MultilabelLoss"),
        (lambda: AUCLoss(3, weights=[1, 2, 3]), "pair_weights"),
        (lambda: FocalLoss(3, label_smoothing=0.1), "FocalLoss takes no label_smoothing"),
        (lambda: DiceLoss(3, mode="binary"), "one channel of logits is the binary mode"),
        (lambda: AUCLoss(3, weights=[1, 2, 3]), "no mean over pixels or classes.*pair_weights"),
        (lambda: BLVLoss([5, 3, 2], class_weights=[1, 2, 3]), "weights="),
        (lambda: WeightedCrossEntropyLoss([1, 2], label_smoothing=1.5), r"\[0, 1\], got 1.5"),
    ],
)
def test_options_of_other_libraries_are_answered(build, message):
    with pytest.raises(OptionError, match=message):
        build()


def test_any_other_option_is_unexpected():
    for build in (lambda: AUCLoss(3, marginn=1), lambda: DiceLoss(3, marginn=1)):
        with pytest.raises(TypeError, match="unexpected keyword argument 'marginn'"):
            build()
