from __future__ import annotations

import warnings

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
    recall = recall_score(target, preds, labels=labels, average=None)
    assert result["mAcc"].item() == pytest.approx(recall.mean())
    for group in ("head", "middle", "tail"):
        member = [name == group for name in GROUPS]
        assert result[f"mIoU_{group}"].item() == pytest.approx(iou[member].mean())
        assert result[f"mAcc_{group}"].item() == pytest.approx(recall[member].mean())
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
    if ignore_index == 0:  # a prediction of void is missed, and counts against no class
        assert torch.equal(metric.missed, expected[:, 0])
        assert metric.compute()["iou"][0].isnan()
        expected[:, 0] = 0
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
    assert result["mIoU"].item() == pytest.approx(1 / 9)  # class 2, predicted and nowhere, with its 0
    assert result["mIoU_head"].item() == pytest.approx(1 / 6)  # class 2 is none that can be found
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
            ValueError, match=f"preds holds label {label}, which is outside the classes 0 to 6"
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


def image_by_image(batches, k):
    """IoU of each class in each image that holds it, by sets of pixels: images x K, nan for others."""
    table = []
    for image, labels in ((i, t) for preds, target in batches for i, t in zip(preds, target, strict=True)):
        row = [np.nan] * k
        for c in range(k):
            own, found = (labels == c), (image == c) & (labels != 255)
            if own.any():
                row[c] = (own & found).sum().item() / (own | found).sum().item()
        table.append(row)
    return np.array(table)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    void=st.sampled_from((0.0, 0.6)),
    classes=st.integers(2, 7),
    images=st.integers(1, 4),
)
def test_means_over_images_equal_sets_of_pixels(seed, void, classes, images):
    """mIoU-I and mIoU-C of Wang et al., 2023: of classes that an image holds, whatever is predicted there."""
    batches = [batch(seed + i, classes, void=void, size=(images, 3, 4)) for i in range(2)]
    batches.append((torch.zeros(1, 3, 4, dtype=torch.long), torch.full((1, 3, 4), 255)))  # no image at all
    metric = SegmentationIoU(7, GROUPS)
    for preds, target in batches:
        metric.update(preds, target)
    table, result = image_by_image(batches, 7), metric.compute()
    with warnings.catch_warnings(action="ignore"):  # of an empty mean
        by_class = np.nanmean(table, 0)
        by_image = np.nanmean(table, 1)
        np.testing.assert_allclose(result["iou_by_image"], by_class, atol=1e-12)
        assert result["mIoU_C"].item() == pytest.approx(np.nanmean(by_class), abs=1e-12)
        assert result["mIoU_I"].item() == pytest.approx(np.nanmean(by_image), abs=1e-12)
        for group in ("head", "middle", "tail"):
            mean = np.nanmean(by_class[[own == group for own in GROUPS]])
            assert result[f"mIoU_C_{group}"].item() == pytest.approx(mean, abs=1e-12, nan_ok=True)


def test_a_small_object_counts_as_much_as_a_large_one():
    """Worked by hand: class 1 is found where it is large and missed where it is small."""
    target, preds = torch.zeros(2, 2, 4, 4, dtype=torch.long)
    target[0, :, :] = preds[0, :, :] = 1
    target[1, 0, 0] = 1
    metric = SegmentationIoU(2)
    metric.update(preds, target)
    result = metric.compute()
    assert result["iou"].tolist() == pytest.approx([15 / 16, 16 / 17])
    assert result["iou_by_image"].tolist() == pytest.approx([15 / 16, 1 / 2])
    assert result["mIoU_C"].item() == pytest.approx((15 / 16 + 1 / 2) / 2)
    assert result["mIoU_I"].item() == pytest.approx((1 + (15 / 16 + 0) / 2) / 2)
    assert result["mAcc"].item() == pytest.approx((1 + 16 / 17) / 2)


def test_no_order_of_images_changes_a_bit():
    batches = [batch(seed, size=(3, 5, 7)) for seed in range(4)]
    metrics = [SegmentationIoU(7, GROUPS) for _ in range(2)]
    for preds, target in batches:
        metrics[0].update(preds, target)
    for preds, target in reversed(batches):
        for image in (2, 0, 1):
            metrics[1].update(preds[image, None], target[image, None])
    first, second = (metric.compute() for metric in metrics)
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_two_groupings_stand_side_by_side():
    by_images = ("tail", "head", "head", "middle", "tail", "middle", "tail")
    metric = SegmentationIoU(7, GROUPS, image_groups=by_images)
    metric.update(*batch(0))
    result = metric.compute()
    assert set(metric.names) == set(result)
    for figure, values in (("mIoU", result["iou"]), ("mAcc", result["accuracy"])):
        for group in ("head", "middle", "tail"):
            for suffix, groups in (("", GROUPS), ("_by_images", by_images)):
                member = [own == group for own in groups]
                assert result[f"{figure}_{group}{suffix}"].item() == pytest.approx(
                    values[member].mean().item()
                )
    with pytest.raises(ValueError, match="2 groups for num_classes=7"):
        SegmentationIoU(7, image_groups=("head", "tail"))


def test_predicted_void_is_missed():
    """As cityscapesscripts has it: it costs its own class, and no other."""
    target = torch.tensor([[[0, 0, 0, 1, 1, 255]]])
    preds = torch.tensor([[[0, 0, 255, 255, 0, 255]]])
    metric = SegmentationIoU(2)
    metric.update(preds, target)
    result = metric.compute()
    assert result["iou"].tolist() == [2 / 4, 0]
    assert result["accuracy"].tolist() == pytest.approx([2 / 3, 0])
    assert result["pixel_accuracy"].item() == pytest.approx(2 / 5)
    assert result["iou_by_image"].tolist() == [2 / 4, 0]


def test_an_ignored_class_is_out_of_the_mean():
    """By hand: class 1 has 2 of 3 pixels, class 2 has 1 of 2, and pixels of class 0 count for nobody."""
    metric = SegmentationIoU(3, ignore_index=0)
    metric.update(torch.tensor([[[1, 0, 1, 1, 2, 1]]]), torch.tensor([[[0, 0, 1, 1, 2, 2]]]))
    found = metric.compute()
    assert found["iou"][0].isnan()
    assert found["iou"][1:].tolist() == pytest.approx([2 / 3, 1 / 2])
    assert float(found["mIoU"]) == pytest.approx(7 / 12)
    assert found["accuracy"][0].isnan()


def test_nan_is_no_prediction():
    logits = torch.randn(2, 7, 9, 11, generator=torch.Generator().manual_seed(0))
    _, target = batch(0)
    target[0, 0] = 255
    logits[0, 3, 0, 4] = torch.nan  # void
    metric = SegmentationIoU(7)
    metric.update(logits, target)
    target[1, 2, 3:5], logits[1, 6, 2, 3:5] = 1, torch.nan
    with pytest.raises(ValueError, match="2 labelled pixels have logits that are nan"):
        metric.update(logits, target)
    assert metric.confusion.sum() <= (target != 255).sum()  # the second was not counted


def test_size_of_the_target():
    logits = torch.randn(2, 7, 3, 4, generator=torch.Generator().manual_seed(0))
    _, target = batch(0, size=(2, 9, 12))
    first, second = SegmentationIoU(7, size="target"), SegmentationIoU(7)
    first.update(logits, target)
    second.update(torch.nn.functional.interpolate(logits, size=(9, 12), mode="bilinear"), target)
    assert torch.equal(first.confusion, second.confusion)
