"""Category IoU and instance-level IoU, by loops over pixels and by cityscapesscripts itself where it is."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from aucseg.metrics import CityscapesIoU
from aucseg.metrics.cityscapes import CATEGORIES, INSTANCE_SIZES

K = 7
KINDS = ("ground", "ground", "human", "human", "mixed", "mixed", "sky")
SIZES = (None, None, 20.0, 35.5, 12.25, None, None)


def scene(seed, k=K, *, images=3, size=(13, 17)):
    """Blocks of labels with noise in the prediction, void in both, and objects as blocks of another grid."""
    generator = torch.Generator().manual_seed(seed)

    def draw(high, *shape):
        return torch.randint(0, high, shape, generator=generator)

    coarse = draw(k, images, 5, 6).repeat_interleave(3, 1).repeat_interleave(3, 2)
    target = coarse[:, : size[0], : size[1]].clone()
    preds = torch.where(draw(10, images, *size) < 6, target, draw(k, images, *size))
    target[draw(10, images, *size) == 0] = 255
    preds[draw(20, images, *size) == 0] = 255
    objects = draw(5, images, 7, 9).repeat_interleave(2, 1).repeat_interleave(2, 2)[:, : size[0], : size[1]]
    return preds, target, objects  # 0 is no object


def by_loops(batches, kinds, sizes, k):
    """The definitions, pixel by pixel and object by object."""
    names = list(dict.fromkeys(kinds))
    true, false, miss = (dict.fromkeys(names, 0) for _ in range(3))
    false_class = [0] * k
    weighed, missed = [0.0] * k, [0.0] * k
    shared, lost = (dict.fromkeys(names, 0.0) for _ in range(2))
    for preds, target, objects in batches:
        for p, t, o in zip(preds.tolist(), target.tolist(), objects.tolist(), strict=True):
            found = {}
            for p_row, t_row, o_row in zip(p, t, o, strict=True):
                for a, b, number in zip(p_row, t_row, o_row, strict=True):
                    if b == 255:
                        continue
                    same = a != 255 and kinds[a] == kinds[b]
                    if same:
                        true[kinds[b]] += 1
                    else:
                        miss[kinds[b]] += 1
                        if a != 255:
                            false[kinds[a]] += 1
                    if a != b and a != 255:
                        false_class[a] += 1
                    if number > 0 and sizes[b] is not None:
                        found.setdefault((number, b), []).append((a == b, same))
            for (_, label), pixels in found.items():
                weight = sizes[label] / len(pixels)
                hits, category_hits = sum(h for h, _ in pixels), sum(h for _, h in pixels)
                weighed[label] += weight * hits
                missed[label] += weight * (len(pixels) - hits)
                shared[kinds[label]] += weight * category_hits
                lost[kinds[label]] += weight * (len(pixels) - category_hits)

    def share(hits, *rest):
        total = hits + sum(rest)
        return hits / total if total else float("nan")

    whole = {n: all(s is not None for s, kind in zip(sizes, kinds, strict=True) if kind == n) for n in names}
    return {
        "iou_category": [share(true[n], false[n], miss[n]) for n in names],
        "iiou": [
            float("nan") if sizes[c] is None else share(weighed[c], missed[c], false_class[c])
            for c in range(k)
        ],
        "iiou_category": [share(shared[n], lost[n], false[n]) if whole[n] else float("nan") for n in names],
    }


def _mean(values):
    there = [value for value in values if value == value]
    return sum(there) / len(there) if there else float("nan")


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), steps=st.integers(1, 2), narrow=st.booleans())
def test_equals_the_definitions(seed, steps, narrow):
    batches = [scene(seed + i, size=(2, 3) if narrow else (13, 17)) for i in range(steps)]
    metric = CityscapesIoU(K, categories=KINDS, instance_sizes=SIZES, least_instance=1)
    for batch in batches:
        metric.update(*batch)
    result = metric.compute()
    assert set(result) == set(metric.names)
    for name, values in by_loops(batches, KINDS, SIZES, K).items():
        np.testing.assert_allclose(result[name].numpy(), values, rtol=1e-10, atol=0)
    for mean, values in (
        ("mIoU_category", "iou_category"),
        ("iIoU", "iiou"),
        ("iIoU_category", "iiou_category"),
    ):
        assert result[mean].item() == pytest.approx(_mean(result[values].tolist()), nan_ok=True)


def test_three_objects_by_hand():
    """Two cars of 4 and 1 pixels, mean size 2: each is worth two pixels, and the small one is lost."""
    target = torch.tensor([[[1, 1, 1, 1, 0, 1, 0]]])
    objects = torch.tensor([[[1, 1, 1, 1, 0, 2, 0]]])
    preds = torch.tensor([[[1, 1, 1, 0, 1, 0, 0]]])
    metric = CityscapesIoU(2, categories=("road", "car"), instance_sizes=(None, 2.0), least_instance=1)
    metric.update(preds, target, objects)
    result = metric.compute()
    # true 2 * 3/4, false negative 2 * 1/4 + 2, false positive the one pixel of road
    assert result["iiou"][1].item() == pytest.approx(1.5 / (1.5 + 2.5 + 1))
    assert result["iou"][1].item() == pytest.approx(3 / 6)
    assert torch.isnan(result["iiou"][0])
    assert metric["iIoU"].compute() == result["iIoU"]


def test_order_and_ranks_change_no_bit():
    images = [scene(seed, images=1) for seed in range(6)]
    whole = CityscapesIoU(K, categories=KINDS, instance_sizes=SIZES, least_instance=1)
    for batch in images:
        whole.update(*batch)
    parts = [CityscapesIoU(K, categories=KINDS, instance_sizes=SIZES, least_instance=1) for _ in range(2)]
    for i, batch in enumerate(reversed(images)):
        parts[i % 2].update(*batch)
    parts[0].merge_state(parts[1])
    joined = parts[0].compute()
    for name, value in whole.compute().items():
        assert torch.equal(value.nan_to_num(-1), joined[name].nan_to_num(-1)), name


def test_without_instances():
    preds, target, objects = scene(0)
    metric = CityscapesIoU(K, categories=KINDS, instance_sizes=None)
    metric.update(preds, target)
    assert not any("iiou" in name.lower() for name in metric.compute() if "miou" not in name.lower())
    full = CityscapesIoU(K, categories=KINDS, instance_sizes=SIZES, least_instance=1)
    full.update(preds, target, objects[:, None])
    assert torch.equal(full.compute()["iou_category"], metric.compute()["iou_category"])
    with pytest.raises(ValueError, match="needs instances="):
        full.update(preds, target)
    with pytest.raises(ValueError, match=r"instances have shape \(3, 2, 2\), target \(3, 13, 17\)"):
        full.update(preds, target, objects[:, :2, :2])
    with pytest.raises(TypeError, match="whole numbers of objects"):
        full.update(preds, target, objects.float())
    assert full.confusion.sum() == metric.confusion.sum()  # what was refused was not counted


def test_bad_options():
    with pytest.raises(ValueError, match="19 categories for num_classes=7"):
        CityscapesIoU(7)
    with pytest.raises(ValueError, match="2 instance_sizes for num_classes=7"):
        CityscapesIoU(7, categories=KINDS, instance_sizes=(1, 2))
    with pytest.raises(ValueError, match=r"instance_sizes .*0"):
        CityscapesIoU(2, categories=("a", "b"), instance_sizes=(0, 2))


def test_equals_cityscapesscripts(tmp_path, monkeypatch):
    """The benchmark's own program on files, as they lie in the data set."""
    if not hasattr(np, "in1d"):  # which it calls, and NumPy 2.4 no longer has
        monkeypatch.setattr(np, "in1d", np.isin, raising=False)
    labels = pytest.importorskip("cityscapesscripts.helpers.labels")
    script = pytest.importorskip("cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling")
    known = {label.trainId: label for label in labels.labels if 0 <= label.trainId < 19}
    assert tuple(known[c].category for c in range(19)) == CATEGORIES
    assert tuple(script.args.avgClassSize.get(known[c].name) for c in range(19)) == INSTANCE_SIZES
    id_of = torch.tensor([known[c].id for c in range(19)] + [0] * 237)
    args = copy.copy(script.args)
    args.evalInstLevelScore, args.evalPixelAccuracy = True, False
    matrix, stats = script.generateMatrix(args), script.generateInstanceStats(args)
    metric = CityscapesIoU()
    for seed in range(4):
        preds, target, objects = scene(seed, 19, images=1, size=(14, 18))
        ids, found = id_of[target[0]], id_of[preds[0]]
        sized = torch.tensor([known[int(t)].hasInstances if t < 19 else False for t in target.flatten()])
        inst = torch.where(sized.view_as(ids) & (objects[0] > 0), ids * 1000 + objects[0], ids)
        files = []
        for name, values in (("p", found), ("x_labelIds", ids), ("x_instanceIds", inst)):
            files.append(str(tmp_path / f"{seed}_{name}.png"))
            kind = np.uint16 if name.endswith("instanceIds") else np.uint8
            Image.fromarray(values.numpy().astype(kind)).save(files[-1])
        script.evaluatePair(files[0], files[1], matrix, stats, {}, args)
        metric.update(preds, target, inst[None])
    result = metric.compute()
    for c in range(19):
        assert result["iou"][c].item() == pytest.approx(
            script.getIouScoreForLabel(known[c].id, matrix, args), rel=1e-12, nan_ok=True
        )
        assert result["iiou"][c].item() == pytest.approx(
            script.getInstanceIouScoreForLabel(known[c].id, matrix, stats, args), rel=1e-9, nan_ok=True
        )
    for g, name in enumerate(metric.category_names):
        assert result["iou_category"][g].item() == pytest.approx(
            script.getIouScoreForCategory(name, matrix, args), rel=1e-12, nan_ok=True
        )
        assert result["iiou_category"][g].item() == pytest.approx(
            script.getInstanceIouScoreForCategory(name, matrix, stats, args), rel=1e-9, nan_ok=True
        )
