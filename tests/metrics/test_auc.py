from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from aucseg.metrics import PixelAUC, SegmentationIoU
from tests.metrics import ranks
from tests.processes import on_ranks

GROUPS = ("head", "head", "middle", "tail", "tail")
K = 5


def batch(seed, *, void=0.1, size=(2, 6, 7), classes=K, coarse=False):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(size[0], K, *size[1:], generator=generator)
    target = torch.randint(0, classes, size, generator=generator)
    scores.scatter_add_(1, target[:, None], torch.ones(size[0], 1, *size[1:]))
    scores = scores.softmax(1)
    if coarse:
        scores = (scores * 8).round() / 8
    target[torch.rand(size, generator=generator) < void] = 255
    return scores, target


def flat(batches):
    scores = torch.cat([s.movedim(1, -1).flatten(0, -2) for s, _ in batches])
    labels = torch.cat([t.flatten() for _, t in batches])
    return scores[labels != 255].double().numpy(), labels[labels != 255].numpy()


def assert_same(first, second, **tolerance):
    assert list(first) == list(second)
    for name, value in first.items():
        np.testing.assert_allclose(value, second[name], err_msg=name, **tolerance)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    void=st.sampled_from((0.0, 0.3)),
    steps=st.integers(1, 3),
    coarse=st.booleans(),
)
def test_equals_scikit_learn(seed, void, steps, coarse):
    batches = [batch(seed + i, void=void) for i in range(steps)]
    ovo, ova = PixelAUC(K, groups=GROUPS), PixelAUC(K, groups=GROUPS, multiclass="ova")
    for scores, target in batches:
        ovo.update(scores, target)
        ova.update(scores, target)
    scores, labels = flat(batches)
    result = ovo.compute()
    assert result["auc"].item() == pytest.approx(roc_auc_score(labels, scores, multi_class="ovo"), abs=1e-13)
    expected = roc_auc_score(labels, scores, multi_class="ovr", average=None)
    np.testing.assert_allclose(result["ova"], expected, atol=1e-13)
    np.testing.assert_allclose(result["ovo"], np.nanmean(result["pairs"], 1))
    for one, name in ((result, "ovo"), (ova.compute(), "ova")):
        assert one["auc"].item() == pytest.approx(one[name].mean().item())
        for group in ("head", "middle", "tail"):
            member = [own == group for own in GROUPS]
            assert one[f"auc_{group}"].item() == pytest.approx(one[name][member].mean().item())
        assert all(value.dtype == torch.float64 for value in one.values())


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    bins=st.sampled_from((2, 64, 2048)),
    max_fpr=st.sampled_from((None, 0.2)),
    classes=st.integers(1, K),
    multiclass=st.sampled_from(("ovo", "ova")),
    coarse=st.booleans(),
)
def test_streaming_keeps_its_bound(seed, bins, max_fpr, classes, multiclass, coarse):
    options = {"groups": GROUPS, "max_fpr": max_fpr, "multiclass": multiclass}
    exact, streaming = PixelAUC(K, **options), PixelAUC(K, bins=bins, **options)
    for i in range(3):
        scores, target = batch(seed + i, classes=classes, coarse=coarse)
        exact.update(scores, target)
        streaming.update(scores, target)
    truth, found = exact.compute(), streaming.compute()
    assert set(found) == set(truth) | {f"{name}_error_bound" for name in truth}
    for name, value in truth.items():
        error, bound = (found[name] - value).abs(), found[f"{name}_error_bound"]
        assert torch.equal(error.isnan(), bound.isnan())
        assert ((error <= bound + 1e-12) | bound.isnan()).all()


def test_by_hand():
    """Class 0 scores 0.9 and 0.4 on its channel, class 1 scores 0.6 there; on channel 1 the reverse."""
    scores = torch.tensor([[[[0.9, 0.4, 0.6]], [[0.1, 0.6, 0.4]], [[0.0, 0.0, 0.0]]]])
    for bins in (None, 4096):
        metric = PixelAUC(3, bins=bins)
        metric.update(scores, torch.tensor([[[0, 0, 1]]]))
        result = metric.compute()
        np.testing.assert_allclose(result["pairs"][:2, :2], [[np.nan, 0.5], [0.5, np.nan]])
        assert result["pairs"][2].isnan().all()
        assert result["pairs"][:, 2].isnan().all()
        np.testing.assert_allclose(result["ova"], [0.5, 0.5, np.nan])
        assert result["auc"].item() == 0.5  # the absent class does not drag the mean


def test_logits_by_range():
    scores, target = batch(0, size=(4, 20, 20))
    logits = scores.double().logit().float()
    exact = PixelAUC(K)
    streaming = PixelAUC(K, bins=4096, score_range=(-8, 8))
    narrow = PixelAUC(K, bins=4096, score_range=(-1, 1))
    for metric in (exact, streaming, narrow):
        metric.update(logits, target)
    truth, found, clamped = (metric.compute() for metric in (exact, streaming, narrow))
    assert (found["auc"] - truth["auc"]).abs() < 1e-4
    assert found["auc_error_bound"] < 1e-3
    # scores beyond the range are counted, and the bound says what that costs
    assert narrow.histogram.sum() == streaming.histogram.sum() == K * (target != 255).sum()
    assert (clamped["auc"] - truth["auc"]).abs() <= clamped["auc_error_bound"]
    assert clamped["auc_error_bound"] > 0.01


@pytest.mark.parametrize("bins", [None, 64])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_dtypes(bins, dtype):
    scores, target = batch(1)
    metric, wide = PixelAUC(K, bins=bins), PixelAUC(K, bins=bins)
    metric.update(scores.to(dtype).requires_grad_(), target.to(torch.uint8))
    wide.update(scores.to(dtype).float(), target)
    assert_same(metric.compute(), wide.compute())
    assert not metric.compute()["auc"].requires_grad


@pytest.mark.parametrize("bins", [None, 64])
def test_void_scores_do_not_matter(bins):
    scores, target = batch(2, void=0.5)
    metric, other = PixelAUC(K, bins=bins), PixelAUC(K, bins=bins)
    metric.update(scores, target)
    other.update(scores.masked_fill((target == 255)[:, None], torch.nan), target)
    assert_same(metric.compute(), other.compute())


@pytest.mark.parametrize("bins", [None, 64])
def test_nothing_to_compare(bins):
    metric = PixelAUC(K, groups=GROUPS, bins=bins)
    with pytest.warns(UserWarning, match="before the ``update`` method"):
        assert all(value.isnan().all() for value in metric.compute().values())
    metric.reset()
    scores = torch.rand(1, K, 2, 2)
    metric.update(scores, torch.full((1, 2, 2), 255))
    metric.update(scores[:0], torch.zeros(0, 2, 2, dtype=torch.long))
    assert metric.compute()["auc"].isnan()
    metric.update(scores, torch.full((1, 2, 2), 3))  # one class has no pair
    assert all(value.isnan().all() for value in metric.compute().values())
    metric.update(scores, torch.full((1, 2, 2), 1))
    result = metric.compute()
    assert (~result["pairs"].isnan()).nonzero().tolist() == [[1, 3], [3, 1]]
    assert result["auc"].item() == pytest.approx(result["pairs"].nanmean().item())


@pytest.mark.parametrize("bins", [None, 64])
def test_merge_reset_and_forward(bins):
    whole, parts = PixelAUC(K, bins=bins), [PixelAUC(K, bins=bins) for _ in range(3)]
    alone = []
    for seed, part in enumerate(parts):
        alone.append(whole(*batch(seed)))  # forward returns the figures of the batch and keeps it
        part.update(*batch(seed))
    for part in parts[1:]:
        parts[0].merge_state(part)
    assert_same(parts[0].compute(), whole.compute())
    assert_same(parts[1].compute(), alone[1])
    whole.reset()
    whole.update(*batch(1))
    assert_same(whole.compute(), alone[1])


def test_state_is_lean():
    scores, target = batch(0, void=0.25)
    exact, streaming = PixelAUC(K), PixelAUC(K, bins=16)
    for metric in (exact, streaming):
        metric.update(scores, target)
        metric.update(scores, target)
    pixels = 2 * int((target != 255).sum())
    sizes = [t.numel() * t.element_size() for t in (*exact.pixel_scores, *exact.pixel_labels)]
    assert sum(sizes) == pixels * (4 * K + 1)
    assert streaming.histogram.shape == (K, K, 16)
    assert streaming.histogram.dtype == torch.int64
    wide = PixelAUC(300)
    wide.update(torch.rand(1, 300, 1, 2), torch.tensor([[[299, 3]]]))
    assert wide.pixel_labels[0].tolist() == [299, 3]


def test_two_processes_equal_one(tmp_path):
    shares = {"uneven": [[0, 2], [1]], "one rank has nothing": [[], [0, 1, 2]]}
    on_ranks(ranks.run, 2, str(tmp_path), shares)
    for rank in range(2):
        found = torch.load(tmp_path / f"{rank}.pt")
        assert len(found) == len(shares) * (len(ranks.MODES) + 1)
        for name, result in found.items():
            mode = name.split()[-1]
            exactly = mode == "iou"  # it adds up whole numbers
            single = SegmentationIoU(ranks.K) if exactly else PixelAUC(ranks.K, **ranks.MODES[mode])
            for scores, target in ranks.batches():
                single.update(scores, target)
            assert_same(result, single.compute(), rtol=0 if exactly else 1e-15)


@pytest.mark.parametrize("bins", [None, 64])
def test_bad_input(bins):
    metric = PixelAUC(K, bins=bins)
    scores, target = batch(0)
    bad = scores.clone()
    bad[0, :, 0, 0] = torch.nan
    known = target.clone()
    known[0, 0, 0] = 1
    with pytest.raises(ValueError, match=r"5 of \d+ scores are nan, .*void"):
        metric.update(bad, known)
    known[0, 0, 0] = 9
    with pytest.raises(ValueError, match=r"target holds label 9, .*ignore_index=9"):
        metric.update(scores, known)
    with pytest.raises(ValueError, match="scores have 4 channels, expected num_classes=5"):
        metric.update(scores[:, :4], target)
    with pytest.raises(ValueError, match="scores have spatial size"):
        metric.update(scores[..., :3], target)
    with pytest.raises(TypeError, match="scores must be floating point"):
        metric.update(scores.long(), target)
    with pytest.raises(TypeError, match="target must hold integer class labels"):
        metric.update(scores, target.float())
    # nothing was taken in by halves
    assert not metric.histogram.any() if bins else metric.pixel_scores == metric.pixel_labels == []


def test_logits_need_a_range():
    metric = PixelAUC(K, bins=64)
    scores, target = batch(0)
    with pytest.raises(ValueError, match=r"scores reach from -?\d.* score_range=\(lowest, highest\)"):
        metric.update(scores * 10 - 5, target)
    metric.update(scores * 1.0005 - 0.0002, target)  # rounding


def test_bad_options():
    with pytest.raises(ValueError, match="num_classes must be an int of at least 2, got 1"):
        PixelAUC(1)
    with pytest.raises(ValueError, match="unknown multiclass 'ovr'; use one of 'ovo', 'ova'"):
        PixelAUC(K, multiclass="ovr")
    with pytest.raises(ValueError, match="bins must be an int from 2 to 1048576, got 1; None"):
        PixelAUC(K, bins=1)
    with pytest.raises(ValueError, match=r"score_range .*got \(1, 0\)"):
        PixelAUC(K, bins=8, score_range=(1, 0))
    with pytest.raises(ValueError, match="score_range places bins"):
        PixelAUC(K, score_range=(0, 1))
    with pytest.raises(ValueError, match=r"max_fpr must be a number in \(0, 1\], got 1\.5"):
        PixelAUC(K, max_fpr=1.5)
    with pytest.raises(ValueError, match="3 groups for num_classes=5"):
        PixelAUC(K, groups=("head",) * 3)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    bins=st.sampled_from((None, 64, 4096)),
    max_fpr=st.sampled_from((None, 0.3)),
    steep=st.sampled_from((1.0, 40.0)),
)
def test_one_channel_for_two_classes(seed, bins, max_fpr, steep):
    """One score, so that class 0 against class 1 is the same ranking from its other end."""
    generator = torch.Generator().manual_seed(seed)
    metric = PixelAUC(2, bins=bins, max_fpr=max_fpr)
    batches = []
    for _ in range(2):
        scores = (steep * torch.randn(2, 1, 6, 7, generator=generator)).sigmoid()
        target = torch.randint(0, 2, (2, 6, 7), generator=generator)
        target[:, :2] = 255
        batches.append((scores, target))
        metric.update(scores, target)
    scores, labels = (np.concatenate(part) for part in zip(*map(flat_binary, batches), strict=True))
    result = metric.compute()
    up = roc_auc_score(labels, scores, max_fpr=max_fpr)
    down = roc_auc_score(1 - labels, -scores, max_fpr=max_fpr)
    for name, place, expected in (
        ("pairs", (1, 0), up),
        ("pairs", (0, 1), down),
        ("auc", (), (up + down) / 2),
    ):
        bound = result[f"{name}_error_bound"][place].item() if bins else 0.0
        assert result[name][place].item() == pytest.approx(expected, abs=bound + 1e-12)


def flat_binary(pair):
    scores, target = pair
    labelled = target != 255
    return scores[:, 0][labelled].double().numpy(), target[labelled].numpy()


@pytest.mark.parametrize("bins", [None, 64])
def test_one_channel_and_two_do_not_mix(bins):
    scores, target = torch.rand(1, 2, 3, 4).softmax(1), torch.randint(0, 2, (1, 3, 4))
    metric = PixelAUC(2, bins=bins)
    metric.update(scores[:, 1:], target)
    with pytest.raises(ValueError, match="2 channels, and before they had another number"):
        metric.update(scores, target)
    metric.reset()
    metric.update(scores, target)
    with pytest.raises(ValueError, match="1 channel, and before"):
        metric.update(scores[:, 1:], target)


@pytest.mark.parametrize("bins", [None, 64])
def test_targets_of_any_width_and_shape(bins):
    scores, target = batch(0)
    plain, other = PixelAUC(np.int64(K), bins=bins), PixelAUC(K, bins=bins and np.int32(bins))
    plain.update(scores, target)
    other.update(scores, target.to(torch.uint8)[:, None])
    assert_same(plain.compute(), other.compute(), rtol=0)
    with pytest.raises(ValueError, match=r"argmax\(1\)"):
        plain.update(scores, scores)
