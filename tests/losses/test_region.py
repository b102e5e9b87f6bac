"""Region Rebalance: the branch beside its formula written out, and what it leaves alone."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from aucseg.longtail import load_statistics
from aucseg.losses import RegionBranch, RegionRebalanceLoss, SimplexClassifier, cross_entropy
from aucseg.losses.region import CLASSIFIERS

K, D = 4, 6
IMAGES = [90, 30, 5, 2]


def batch(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, K, 8, 8, generator=generator, dtype=torch.float64)
    features = torch.randn(2, D, 4, 4, generator=generator, dtype=torch.float64)
    target = torch.randint(0, K, (2, 8, 8), generator=generator)
    target[1][target[1] == 3] = 255
    return logits, target, features


def branch(**options) -> RegionBranch:
    torch.manual_seed(0)
    return RegionBranch(IMAGES, D, **options).double()


def written_out(
    made: RegionBranch, features: Tensor, target: Tensor, *, images: list[int] | None, per_image: bool = True
) -> Tensor:
    """Eq. 8, region by region."""
    near = target[:, 1::2, 1::2]
    losses = []
    for part in [[0], [1]] if per_image else [[0, 1]]:
        for k in range(K):
            pixels = [features[b, :, near[b] == k] for b in part]
            pixels = torch.cat(pixels, 1)
            if not pixels.shape[1]:
                continue
            r = made.classify(pixels.mean(1)[None])[0]
            prior = torch.tensor(images or [1] * K, dtype=torch.float64)
            losses.append(-torch.log(prior[k] * r[k].exp() / (prior * r.exp()).sum()))
    return torch.stack(losses).mean()


@pytest.mark.parametrize("regions", ["image", "batch"])
@pytest.mark.parametrize("prior", [True, False])
def test_is_the_formula(regions, prior):
    _, target, features = batch()
    made = branch(regions=regions, prior=prior)
    expected = written_out(
        made, features, target, images=IMAGES if prior else None, per_image=regions == "image"
    )
    torch.testing.assert_close(made(features, target), expected)


def test_a_case_by_hand():
    """One region of class 1 with logits (0, log 3) and F = (9, 1): the prior undoes them, p = 1/4."""
    made = RegionBranch([9, 1], 1)
    with torch.no_grad():
        made.classify[0].weight.copy_(torch.tensor([[0.0], [math.log(3) / 2]]))
        made.classify[0].bias.zero_()
    features = torch.tensor([[[[1.0, 3.0]]]])
    value = made(features, torch.ones(1, 1, 2, dtype=torch.int64))
    assert value.item() == pytest.approx(math.log(4))


@pytest.mark.parametrize("classifier", CLASSIFIERS)
@pytest.mark.parametrize("labels", ["nearest", "area"])
def test_gradients_of_features(classifier, labels):
    _, target, features = batch()
    made = branch(classifier=classifier, labels=labels, dropout=0.0)
    assert torch.autograd.gradcheck(lambda x: made(x, target), features.requires_grad_())


def test_smoothing_gives_the_true_class_what_is_left():
    _, target, features = batch()
    plain, smooth = branch(), branch(label_smoothing=0.5)
    smooth.load_state_dict(plain.state_dict())
    near = target[:, 1::2, 1::2]
    values = []
    for b in range(2):
        for k in range(K):
            if (near[b] == k).any():
                r = plain.classify(features[b, :, near[b] == k].mean(1)[None])[0]
                log_p = (r + torch.tensor(IMAGES).log()).log_softmax(0)
                values.append(-(0.5 * log_p[k] + sum(0.5 / 3 * log_p[j] for j in range(K) if j != k)))
    torch.testing.assert_close(smooth(features, target), torch.stack(values).mean())


def test_released_is_frozen_and_its_gradient_reaches_the_features_alone():
    _, target, features = batch()
    made = RegionBranch.released(IMAGES, D).double()
    made(features.requires_grad_(), target).backward()
    assert not any(p.requires_grad for p in made.parameters())
    assert features.grad.abs().sum() > 0
    assert made.project[1].num_batches_tracked == 1
    assert (made.regions, made.label_smoothing) == ("batch", 0.5)


def test_ceco_is_a_fixed_simplex_of_unit_features():
    made = RegionBranch.ceco(IMAGES, D)
    last = made.classify[-1]
    assert isinstance(last, SimplexClassifier)
    cosines = last.directions.T @ last.directions
    expected = torch.full((K, K), -1 / (K - 1)).fill_diagonal_(1)
    torch.testing.assert_close(cosines, expected)
    x = torch.randn(5, 512)
    torch.testing.assert_close(last(x), last(7 * x))
    assert last(x).abs().max() <= 5
    assert sum(p.numel() for p in last.parameters()) == 0
    with pytest.raises(ValueError, match="at least as many channels, got 3"):
        SimplexClassifier(3, 4)


@pytest.mark.parametrize("options", [{}, {"regions": "batch"}, {"regions": "connected"}, {"labels": "area"}])
def test_nothing_labelled_is_zero(options):
    _, target, features = batch()
    value = branch(**options)(features.requires_grad_(), torch.full_like(target, 255))
    value.backward()
    assert value.item() == 0
    assert (features.grad == 0).all()


def test_void_pixels_are_in_no_region():
    _, target, features = batch()
    near = target[:, 1::2, 1::2]
    changed = torch.where((near == 255)[:, None], 1e3, features)
    made = branch()
    torch.testing.assert_close(made(features, target), made(changed, target))


def test_a_class_that_was_never_seen_is_as_rare_as_the_rarest():
    prior = RegionBranch([90, 10, 0, 5], D).log_prior
    torch.testing.assert_close(prior.exp() * 105, torch.tensor([90.0, 10, 5, 5], dtype=torch.float64))


def test_statistics_give_their_images():
    statistics = load_statistics("cityscapes")
    made = RegionBranch(statistics, D)
    shares = torch.as_tensor(statistics.images / statistics.images.sum())
    torch.testing.assert_close(made.log_prior, shares.double().log())


def test_half_precision_and_autocast():
    _, target, features = batch()
    made = branch().float()
    exact = made(features.float(), target)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(made(features.float(), target), exact)
    rounded = features.bfloat16()
    value = made(rounded, target)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, made(rounded.float(), target))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"regions": "pixel"}, "unknown regions 'pixel'"),
        ({"classifier": "mlp"}, "unknown classifier 'mlp'"),
        ({"regions": "connected", "labels": "area"}, "use labels='nearest'"),
        ({"label_smoothing": 1.0}, r"label_smoothing is a share in \[0, 1\), got 1.0"),
        ({"scale": 0}, "scale must be positive, got 0"),
    ],
)
def test_wrong_options(options, words):
    with pytest.raises(ValueError, match=words):
        branch(**options)


@pytest.mark.parametrize("counts", [[0, 0, 0], [1, -1, 2], [1, float("nan")], [[1, 2]]])
def test_counts_that_are_none(counts):
    with pytest.raises(ValueError, match="counts must"):
        RegionBranch(counts, D)


def test_what_does_not_fit_is_told():
    _, target, features = batch()
    made = branch()
    with pytest.raises(ValueError, match=r"\(B, 6, h, w\), got \(2, 5, 4, 4\); in_channels"):
        made(features[:, :5], target)
    with pytest.raises(ValueError, match=r"target must have shape \(2, H, W\)"):
        made(features, target[:1])
    with pytest.raises(TypeError, match="floating point"):
        made(features.long(), target)
    with pytest.raises(ValueError, match="label 4"):
        made(features, target.masked_fill(target == 0, 4))


def test_whole_loss_is_cross_entropy_and_the_branch():
    logits, target, features = batch()
    loss = RegionRebalanceLoss(IMAGES, D, weight=0.7).double()
    expected = cross_entropy(logits, target) + 0.7 * loss.branch(features, target)
    torch.testing.assert_close(loss(logits, target, features), expected)
    zero = RegionRebalanceLoss(IMAGES, D, weight=0.0).double()
    torch.testing.assert_close(zero(logits, target, features), cross_entropy(logits, target))


def test_in_evaluation_the_branch_is_gone():
    logits, target, _ = batch()
    loss = RegionRebalanceLoss(IMAGES, D)
    with pytest.raises(ValueError, match="wants the features too"):
        loss(logits, target)
    torch.testing.assert_close(loss.eval()(logits, target), cross_entropy(logits, target))


def test_any_loss_of_the_pixels():
    logits, target, features = batch()

    class Mean(torch.nn.Module):
        def forward(self, logits: Tensor, target: Tensor) -> Tensor:
            return F.cross_entropy(logits, target, ignore_index=255) * 0 + logits.mean()

    loss = RegionRebalanceLoss(IMAGES, D, pixel_loss=Mean()).double()
    torch.testing.assert_close(
        loss(logits, target, features), logits.mean() + 0.3 * loss.branch(features, target)
    )


def test_two_lines_for_a_model_of_ones_own():
    import segmentation_models_pytorch as smp

    from aucseg.models import classifier, forward_with_features

    model = smp.Unet("resnet18", encoder_weights=None, classes=K, decoder_channels=(32, 16, 16, 8, 8))
    names = set(model.state_dict())
    loss = RegionRebalanceLoss(IMAGES, classifier(model).in_channels)
    logits, features = forward_with_features(model, torch.randn(2, 3, 32, 32))
    loss(logits, torch.randint(0, K, (2, 32, 32)), features).backward()
    assert all(p.grad is not None for p in model.decoder.parameters())
    assert set(model.state_dict()) == names
