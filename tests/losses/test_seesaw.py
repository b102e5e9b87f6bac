from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from aucseg.losses import SeesawLoss, cross_entropy
from tests.functional.oracle import streets
from tests.losses.base import LossTester


class TestSeesaw(LossTester):
    factory = SeesawLoss
    stateful = True
    twice = False
    test_gradient_by_torch_func = None  # below
    test_gradcheck = None  # below: the weights of pairs are constants to the gradient


class TestSeesawAsPrinted(LossTester):
    """Eq. 3 to 7 without the floor of the released code."""

    factory = staticmethod(lambda k, **options: SeesawLoss(k, p=0.8, q=2.0, floor=0.0, **options))
    stateful = True
    compiles = False
    twice = False
    test_gradient_by_torch_func = None  # below
    test_gradcheck = None


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:FutureWarning")  # inside torch.func
def test_a_transform_cannot_count():
    logits, target = streets(2, 4, 6, 7, seed=3, void=0.2)
    loss = SeesawLoss(4)
    with pytest.raises(RuntimeError, match=r"pixels of a batch cannot be counted; .*loss\.eval\(\)"):
        torch.func.grad(loss)(logits, target)
    loss(logits.requires_grad_(), target)
    loss.eval()
    (expected,) = torch.autograd.grad(loss(logits, target), logits)
    torch.testing.assert_close(torch.func.grad(loss)(logits.detach(), target), expected)


@pytest.fixture
def batch():
    logits, target = streets(2, 4, 6, 7, seed=3, void=0.2)
    return logits.requires_grad_(), target


def by_formula(logits, target, seen, p, q, floor):
    """Pixel by pixel, with the matrix S of every pixel written out."""
    total, labelled = 0.0, 0
    for image, labels in zip(logits.tolist(), target.tolist(), strict=True):
        for row, line in enumerate(labels):
            for column, y in enumerate(line):
                if y == 255:
                    continue
                z = [channel[row][column] for channel in image]
                share = [math.exp(v) / sum(map(math.exp, z)) for v in z]
                below = 0.0
                for k in range(4):
                    m = min(1.0, seen[k] / seen[y]) ** p
                    c = max(1.0, share[k] / max(share[y], floor)) ** q
                    below += math.exp(z[k]) * (1.0 if k == y else m * c)
                total -= math.log(math.exp(z[y]) / below)
                labelled += 1
    return total / labelled


@pytest.mark.parametrize(
    ("p", "q", "floor"),
    [(1.2, 1.0, 0.01), (0.8, 2.0, 0.0), (0.0, 1.0, 0.3), (1.2, 0.0, 0.01), (0.0, 0.0, 0.0)],
)
def test_every_pixel_by_the_formula(p, q, floor, batch):
    logits, target = batch
    loss = SeesawLoss(4, p=p, q=q, floor=floor)
    seen = [max(1, int((target == k).sum())) for k in range(4)]
    found = loss(logits, target)
    assert loss.seen.clamp(min=1).tolist() == seen
    assert found.item() == pytest.approx(by_formula(logits, target, seen, p, q, floor), rel=1e-12)


def test_gradient_takes_the_weights_of_pairs_for_constants(batch):
    logits, target = batch
    p, q = 1.2, 1.0
    seen = torch.stack([(target == k).sum() for k in range(4)]).double().clamp(min=1)
    y = target.where(target != 255, 0)
    share = logits.detach().softmax(1)
    own = share.gather(1, y[:, None]).clamp(min=0.01)
    c = torch.where(share > own, share / own, 1.0) ** q
    m = (seen[None, :, None, None] / seen[y][:, None]).clamp(max=1) ** p
    s = (m * c).scatter(1, y[:, None], 1.0)
    expected = F.cross_entropy(logits + s.log(), target, ignore_index=255)
    found = SeesawLoss(4)(logits, target)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(*(torch.autograd.grad(value, logits)[0] for value in (found, expected)))


def test_p_and_q_of_0_are_cross_entropy(batch):
    torch.testing.assert_close(SeesawLoss(4, p=0, q=0)(*batch), cross_entropy(*batch))


def test_seen_are_the_pixels_of_training_alone(batch):
    logits, target = batch
    loss = SeesawLoss(4)
    for _ in range(3):
        loss(logits, target)
    counts = torch.stack([(target == k).sum() for k in range(4)]).double()
    assert torch.equal(loss.seen, 3 * counts)
    with torch.no_grad():
        loss(logits, target)
    loss.eval()(logits, target)
    assert torch.equal(loss.seen, 3 * counts)


def test_a_class_not_seen_yet_counts_as_one_pixel():
    logits, target = torch.zeros(1, 3, 1, 8, dtype=torch.float64), torch.zeros(1, 1, 8, dtype=torch.long)
    found = SeesawLoss(3, p=1.0, q=0.0)(logits, target)
    assert found.item() == pytest.approx(math.log(1 + 2 / 8))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"p": -1}, "p must be a number of at least 0, got -1"),
        ({"q": "x"}, "q must be a number of at least 0, got 'x'"),
        ({"floor": 1.0}, "floor is a probability below 1, got 1.0"),
        ({"floor": -0.1}, "floor must be a number of at least 0"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        SeesawLoss(4, **options)
