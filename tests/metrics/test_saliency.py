"""Saliency measures against loops over thresholds and pixels, a toolbox's figures, and PySODMetrics."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from aucseg.metrics import SaliencyMeasures


def by_hand(p, g):
    """One image by the definitions, a threshold and a pixel at a time."""
    f, e = [], []
    for t in range(256):
        d = np.floor(255 * p) >= t
        hits, predicted, objects = (d & g).sum(), d.sum(), g.sum()
        precision = hits / predicted if predicted else 0.0
        recall = hits / objects if objects else 0.0
        f.append(1.3 * precision * recall / (0.3 * precision + recall) if precision * recall else 0.0)
        if not g.any() or g.all():
            e.append((d == g).mean())
            continue
        values = []
        for a, b in zip((d - d.mean()).flat, (g - g.mean()).flat, strict=True):
            values.append((1 + 2 * a * b / (a * a + b * b)) ** 2 / 4)
        e.append(np.mean(values))
    return {"MAE": np.abs(p - g).mean(), "f": np.array(f), "e": np.array(e)}


def maps(seed, images=2, size=(5, 6)):
    rng = np.random.default_rng(seed)
    p = rng.random((images, *size)) ** rng.choice([0.2, 1, 4])
    return p, rng.random((images, *size)) < rng.choice([0.0, 0.1, 0.5, 1.0])


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_equals_the_definitions(seed):
    p, g = maps(seed)
    metric = SaliencyMeasures()
    metric.update(torch.tensor(p), torch.tensor(g))
    got, images = metric.compute(), [by_hand(*pair) for pair in zip(p, g, strict=True)]
    f, e = (np.mean([image[name] for image in images], axis=0) for name in ("f", "e"))
    wanted = {
        "MAE": np.mean([image["MAE"] for image in images]),
        "F_beta_mean": f.mean(),
        "F_beta_max": f.max(),
    }
    wanted |= {"E_mean": e.mean(), "E_max": e.max()}
    assert {name: float(got[name]) for name in wanted} == pytest.approx(wanted, abs=1e-9)


def test_equals_what_a_toolbox_published(shared_pack):
    """MAE, and F at the adaptive threshold, of 90 maps of three networks, from another group's toolbox."""
    folder = shared_pack / "data" / "saliency_scores"
    rows = list(csv.DictReader((folder / "per_image.csv").read_text().splitlines()))
    assert len(rows) == 90
    for row in rows:
        mask = np.asarray(Image.open(folder / "masks" / f"{row['image']}.png").convert("L")) > 127
        scores = np.asarray(Image.open(folder / "maps" / row["method"] / f"{row['image']}.png").convert("L"))
        metric = SaliencyMeasures(scale=True)
        metric.update(torch.tensor(scores / 255)[None], torch.tensor(mask)[None])
        got = metric.compute()
        assert float(got["MAE"]) == pytest.approx(float(row["mae"]), abs=1e-4), row["image"]
        assert float(got["F_beta_adaptive"]) == pytest.approx(float(row["adaptive_f"]), abs=2e-3), row[
            "image"
        ]


@pytest.mark.filterwarnings("ignore")  # of that package, about its own names
def test_equals_pysodmetrics(shared_pack):
    sod = pytest.importorskip("py_sod_metrics", reason="pip install pysodmetrics")
    folder = shared_pack / "data" / "saliency_scores"
    names = sorted(path.name for path in (folder / "masks").glob("*.png"))[:6]
    theirs, ours, sizes = (sod.MAE(), sod.Fmeasure(), sod.Emeasure()), SaliencyMeasures(scale=True), []
    for name in names:
        mask = np.asarray(Image.open(folder / "masks" / name).convert("L"))
        scores = np.asarray(Image.open(folder / "maps" / "DSS" / name).convert("L"))
        for each in theirs:
            each.step(pred=scores, gt=mask)
        ours.update(torch.tensor(scores / 255)[None], torch.tensor(mask > 128)[None])
        sizes.append(mask.size)
    mae, f, e = (each.get_results() for each in theirs)
    got = ours.compute()
    assert float(got["MAE"]) == pytest.approx(float(mae["mae"]), abs=1e-6)
    assert float(got["F_beta_mean"]) == pytest.approx(float(f["fm"]["curve"].mean()), abs=1e-4)
    assert float(got["F_beta_adaptive"]) == pytest.approx(float(f["fm"]["adp"]), abs=1e-6)
    divided_by_less = min(sizes) / (min(sizes) - 1) - 1
    assert float(got["E_mean"]) == pytest.approx(float(e["em"]["curve"].mean()), abs=1e-4 + divided_by_less)


def test_a_perfect_map():
    g = torch.zeros(1, 8, 8, dtype=torch.long)
    g[0, 2:5, 3:6] = 1
    metric = SaliencyMeasures()
    metric.update(g.float()[:, None], g[:, None])
    got = {name: float(value) for name, value in metric.compute().items()}
    assert got["MAE"] == 0
    assert (got["F_beta_max"], got["F_beta_adaptive"], got["E_max"]) == (1, 1, 1)
    assert got["F_beta_mean"] < 1  # the threshold 0 takes all pixels, of any map


def test_void_counts_nowhere():
    p, g = maps(3)
    target = torch.tensor(g).long()
    scores = torch.tensor(p)
    ours, cut = SaliencyMeasures(), SaliencyMeasures()
    target[:, 0], scores[:, 0] = 255, torch.nan
    ours.update(scores, target)
    cut.update(scores[:, 1:], target[:, 1:])
    assert all(torch.equal(ours.compute()[name], cut.compute()[name]) for name in ours.names)
    nothing = SaliencyMeasures()
    nothing.update(scores, torch.full_like(target, 255))
    assert nothing.compute()["MAE"].isnan()


def test_one_order_and_another_are_the_same_to_the_last_bit():
    p, g = (torch.tensor(x) for x in maps(5, images=7))
    whole, parts = SaliencyMeasures(), SaliencyMeasures()
    whole.update(p, g)
    for i in reversed(range(7)):
        parts.update(p[i : i + 1], g[i : i + 1])
    assert all(torch.equal(whole.compute()[name], parts.compute()[name]) for name in whole.names)
    assert whole["MAE"].compute() == whole.compute()["MAE"]


@pytest.mark.parametrize(
    ("preds", "target", "error", "words"),
    [
        (torch.zeros(1, 2, 2, dtype=torch.long), torch.zeros(1, 2, 2).long(), TypeError, "int64; give prob"),
        (torch.full((1, 2, 2), 7.0), torch.zeros(1, 2, 2).long(), ValueError, "got 7 to 7; take the sigmoid"),
        (torch.full((1, 2, 2), torch.nan), torch.zeros(1, 2, 2).long(), ValueError, "got nan to nan"),
        (torch.zeros(1, 3, 2), torch.zeros(1, 2, 2).long(), ValueError, r"\(1, 3, 2\).*one probability"),
        (torch.zeros(1, 2, 2), torch.full((1, 2, 2), 2), ValueError, "2"),
    ],
)
def test_what_is_wrong_is_named(preds, target, error, words):
    with pytest.raises(error, match=words):
        SaliencyMeasures().update(preds, target)
