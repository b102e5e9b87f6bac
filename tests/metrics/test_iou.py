from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, jaccard_score, recall_score
from torchmetrics.functional.classification import multiclass_confusion_matrix

from aucseg.metrics import SegmentationIoU

GROUPS = ("head", "head", "middle", "middle", "tail", "tail", "tail")


def batch(seed, k=7, *, void=0.1, size=(2, 9, 11)):
    generator = torch.Generator().manual_seed(seed)
    target = torch.randint(0, k, size, generator=generator)
    preds = torch.where(
        torch.rand(size, generator=generator) < 0.6, target, torch.randint(0, k, size, generator=generator)
    )
    target[torch.rand(size, generator=generator) < void] = 255
    return preds, target


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), void=st.sampled_from((0.0, 0.3)), steps=st.integers(1, 3))
def test_equals_scikit_learn(seed, void, steps):
    metric = SegmentationIoU(7, GROUPS)
    batches = [batch(seed + i, void=void) for i in range(steps)]
    for preds, target in batches:
        metric.update(preds, target)
    result = metric.compute()
    preds, target = (np.concatenate([np.ravel(b[i]) for b in batches]) for i in (0, 1))
    preds, target = preds[target != 255], target[target != 255]
    labels = list(range(7))
    assert np.array_equal(metric.confusion.numpy(), confusion_matrix(target, preds, labels=labels))
    iou = jaccard_score(target, preds, labels=labels, average=None)
    np.testing.assert_allclose(result["iou"], iou, rtol=1e-14)
    np.testing.assert_allclose(result["accuracy"], recall_score(target, preds, labels=labels, average=None))
    assert result["pixel_accuracy"].item() == pytest.approx(accuracy_score(target, preds))
    assert result["mIoU"].item() == pytest.approx(iou.mean())
    for group in ("head", "middle", "tail"):
        member = [name == group for name in GROUPS]
        assert result[f"mIoU_{group}"].item() == pytest.approx(iou[member].mean())
    assert all(value.dtype == torch.float64 for value in result.values())


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    k=st.integers(2, 12),
    void=st.sampled_from((0.0, 0.3, 1.0)),
    ignore_index=st.sampled_from((255, 0, -1)),
)
def test_counts_are_those_of_torchmetrics(seed, k, void, ignore_index):
    """Also where void is the label of a class, whose row then stays empty."""
    preds, target = batch(seed, k, void=void)
    target[target == 255] = ignore_index
    metric = SegmentationIoU(k, ignore_index=ignore_index)
    metric.update(preds, target)
    expected = multiclass_confusion_matrix(preds, target, k, ignore_index=ignore_index)
    assert torch.equal(metric.confusion, expected)


def test_counting_takes_no_more_memory_where_algorithms_must_be_deterministic():
    """One comparison of each pixel with each cell would take 1.7 TB here."""
    preds, target = batch(3, 19, size=(4, 256, 512))
    first, second = SegmentationIoU(19), SegmentationIoU(19)
    first.update(preds, target)
    try:
        torch.use_deterministic_algorithms(True)
        second.update(preds, target)
    finally:
        torch.use_deterministic_algorithms(False)
    assert torch.equal(first.confusion, second.confusion)


def test_absent_classes_are_nan_and_passed_over():
    metric = SegmentationIoU(5, ("head", "head", "head", "tail", "tail"))
    metric.update(torch.tensor([[[0, 0, 2]]]), torch.tensor([[[0, 1, 0]]]))
    result = metric.compute()
    torch.testing.assert_close(
        result["iou"],
        torch.tensor([1 / 3, 0, 0, torch.nan, torch.nan]).double(),
        equal_nan=True,
        atol=1e-7,
        rtol=0,
    )
    assert result["accuracy"].isnan().tolist() == [False, False, True, True, True]
    assert result["mIoU"].item() == pytest.approx(1 / 9)
    assert result["mIoU_tail"].isnan()
    assert result["mIoU_middle"].isnan()  # no class of this group at all
    assert result["pixel_accuracy"].item() == pytest.approx(1 / 3)


def test_logits_and_labels_agree():
    logits = torch.randn(2, 7, 9, 11, generator=torch.Generator().manual_seed(0))
    _, target = batch(0)
    first, second = SegmentationIoU(7), SegmentationIoU(7)
    first.update(logits, target)
    second.update(logits.argmax(1).to(torch.uint8), target.to(torch.uint8))
    assert torch.equal(first.confusion, second.confusion)
    assert "mIoU_tail" not in first.compute()


def test_state_merges_like_ranks():
    whole, parts = SegmentationIoU(7), [SegmentationIoU(7) for _ in range(3)]
    for seed, part in enumerate(parts):
        whole.update(*batch(seed))
        part.update(*batch(seed))
    merged = SegmentationIoU(7)
    for part in parts:
        merged.merge_state(part)
    assert torch.equal(merged.confusion, whole.confusion)
    assert merged.confusion.dtype == torch.int64
    whole.reset()
    assert whole.confusion.sum() == 0


def test_void_predictions_do_not_matter():
    preds, target = batch(1, void=0.5)
    metric, other = SegmentationIoU(7), SegmentationIoU(7)
    metric.update(preds, target)
    other.update(torch.where(target == 255, 255, preds), target)
    assert torch.equal(metric.confusion, other.confusion)
    assert metric.confusion.sum() == (target != 255).sum()


def test_all_void():
    metric = SegmentationIoU(7, GROUPS)
    metric.update(torch.zeros(1, 2, 2, dtype=torch.long), torch.full((1, 2, 2), 255))
    assert metric.compute()["mIoU"].isnan()
    assert metric.compute()["pixel_accuracy"].isnan()


def test_bad_input():
    metric = SegmentationIoU(7)
    preds, target = batch(0)
    wrong = target.clone()
    wrong[0, 0, 0] = 9
    with pytest.raises(ValueError, match=r"target holds label 9, .*ignore_index=9"):
        metric.update(preds, wrong)
    for label in (7, -1):
        wrong = preds.clone()
        wrong[target != 255] = label
        with pytest.raises(
            ValueError, match=f"preds holds label {label}, which is outside the classes 0 to 6$"
        ):
            metric.update(wrong, target)
    with pytest.raises(ValueError, match="give logits of shape"):
        metric.update(preds[:1], target)
    with pytest.raises(ValueError, match="6 channels, expected num_classes=7"):
        metric.update(torch.zeros(2, 6, 9, 11), target)
    with pytest.raises(TypeError, match="target must hold integer class labels"):
        metric.update(preds, target.float())
    assert metric.confusion.sum() == 0  # nothing was counted by halves


def test_bad_options():
    with pytest.raises(ValueError, match="num_classes must be an int of at least 2, got 1"):
        SegmentationIoU(1)
    with pytest.raises(ValueError, match="3 groups for num_classes=7"):
        SegmentationIoU(7, ("head",) * 3)
    with pytest.raises(ValueError, match="unknown group 'rare'; use one of head, middle, tail"):
        SegmentationIoU(2, ("head", "rare"))


def test_targets_and_labels_of_any_width_and_shape():
    preds, target = batch(0)
    plain = SegmentationIoU(7)
    plain.update(preds, target)
    for change in (lambda x: x.to(torch.uint8), lambda x: x.int()[:, None], lambda x: x.short()[..., None]):
        metric = SegmentationIoU(np.int64(7), ignore_index=np.int64(255))
        metric.update(change(preds), change(target))
        assert torch.equal(metric.confusion, plain.confusion)
    with pytest.raises(ValueError, match=r"argmax\(1\)"):
        plain.update(preds, torch.zeros(2, 7, 9, 11))


def test_scores_of_one_channel_need_a_threshold():
    _, target = batch(0, 2)
    logits = torch.randn(2, 1, 9, 11, generator=torch.Generator().manual_seed(0))
    plain, by_logit, by_share = (SegmentationIoU(2, threshold=t) for t in (None, 0.0, 0.5))
    plain.update((logits > 0).long(), target)
    by_logit.update(logits, target)
    by_share.update(logits.sigmoid(), target)
    assert torch.equal(by_logit.confusion, plain.confusion)
    assert torch.equal(by_share.confusion, plain.confusion)
    with pytest.raises(ValueError, match=r"threshold=0 for logits or threshold=0\.5 for probabilities"):
        plain.update(logits, target)
