"""The numeric claims of errata.csv about the theory: AUCSeg 4.2, 4.3, A to C; Region Rebalance 3.1.

Each test recomputes what a row says, by its own arithmetic or the library. The toy figures of "Lemma 4" and
"Theorem 1, Eq. 29, Eq. 36" are those of ``toy(0)``, the runs of "Lemma 8 proof" those of the seeds 0 to 499.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from aucseg.longtail import load_statistics
from aucseg.theory import (
    exact_batch_size,
    first_useful_size,
    fractional_chromatic_number,
    generalization_bound,
    greedy_groups,
    iou_slope,
    minimum_batch_size,
    necessary_batch_size,
    pair_chromatic_number,
    pair_dependency_graph,
    remark1,
    split_pairs,
    theorem2,
)
from tests.repository import ROOT

THEORY = ("Prop. 1", "Remark ", "Theorem ", "Lemma ", "Assumption ", "Eq. 33", "Eq. 36", "Eq. 38")


def errata() -> Iterator[dict[str, str]]:
    with (ROOT / "data" / "published" / "errata.csv").open(newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file)


def row(paper: str, location: str) -> str:
    """The row's text; a row that is renamed or dropped fails its test."""
    (found,) = (r for r in errata() if (r["paper"], r["location"]) == (paper, location))
    return " ".join(found.values())


def toy(seed: int = 0, images: int = 6, pixels: int = 40) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.random((images, pixels)), (rng.random((images, pixels)) < rng.random((images, 1))).astype(int)


def test_batch_of_remark_2_is_752() -> None:
    text = row("aucseg", "Remark 2")
    assert minimum_batch_size(19, 0.01, 0.01) == 752
    assert math.log(0.01 / 19) / math.log(0.99) == pytest.approx(751.18, abs=0.005)
    assert round(19 * 0.99**752, 5) == 0.00992
    assert 19 * 0.99**751 > 0.01
    assert math.log(1900) / 0.01 == pytest.approx(754.96, abs=0.005)
    assert math.log(19 / 0.01) / math.log(1.01) == pytest.approx(758.7, abs=0.05)
    assert math.ceil(758.7) == 759
    assert all(number in text for number in ("759", "752", "751.18", "754.96", "758.7"))


def test_batch_is_sufficient_and_459_is_necessary() -> None:
    assert "459" in row("aucseg", "Prop. 1 / Remark 2")
    assert necessary_batch_size(0.01, 0.01) == 459
    # classes that always occur together: the rarest alone decides, and 752 is not needed
    presence = np.zeros((100, 19), bool)
    presence[0] = True
    assert exact_batch_size(presence, 0.01, replacement=True) == 459
    # inverse proportionality is the approximation for small p
    assert minimum_batch_size(19, 0.01, 0.5) * 0.5 != pytest.approx(752 * 0.01, rel=0.05)
    assert minimum_batch_size(19, 0.01, 0.001) * 0.001 == pytest.approx(752 * 0.01, rel=0.01)


@pytest.mark.parametrize(
    ("name", "rarest", "images", "size"),
    [("cityscapes", 142, 2975, 155), ("ade20k", 41, 20210, 4736), ("coco_stuff", 121, 118287, 9524)],
)
def test_shares_of_the_real_data_sets(name: str, rarest: int, images: int, size: int) -> None:
    text = row("aucseg", "Remark 2 vs Tables 5-7")
    known = load_statistics(name)
    assert (int(known.images.min()), known.num_images) == (rarest, images)
    assert minimum_batch_size(known.num_classes, 0.01, rarest / images) == size
    assert f"{rarest}/{images}" in text
    assert str(size) in text


@pytest.mark.parametrize(("images", "classes", "limit"), [(2975, 19, 196), (20210, 150, 1800)])
def test_last_term_does_not_vanish(images: int, classes: int, limit: int) -> None:
    assert str(limit) in row("aucseg", "Theorem 1, Eq. 38-39")
    found = first_useful_size(1.0, classes, 0.01, variant="printed")
    assert found.limit == pytest.approx(limit, abs=0.5)
    assert found.num_images is None
    here = generalization_bound(images, 1.0, classes, 0.01, variant="printed")
    assert here.confidence_inner + here.confidence_inter == pytest.approx(limit, abs=0.5)
    # Eq. 38: chi over the number of images instead of the number of pairs
    chi = pair_chromatic_number(images)
    if images % 2 == 0:
        assert chi / (2 * images) == pytest.approx(1 - 1 / images)
        assert chi / (2 * images * (images - 1)) == pytest.approx(1 / images)


def test_corrected_last_term() -> None:
    """M1 as 1, as printed, is too small for ADE20K, where images are fewer than 4 tau."""
    assert "M1=4 tau/N and M2=4 tau" in row("aucseg", "Theorem 1, Eq. 38-39")
    for tau, n, one_is_enough in ((438.9, 2976, True), (242_981.0, 20_210, False)):
        found = generalization_bound(n, tau, 19, 0.01)
        root = math.sqrt(math.log(4 * 19 * 18 / 0.01))
        assert found.confidence_inner == pytest.approx(3 * 4 * tau / n * math.sqrt(1 / (2 * n)) * root)
        assert found.confidence_inter == pytest.approx(3 * 4 * tau * math.sqrt(1 / n) * root)
        assert (found.confidence_inner <= 3 * math.sqrt(1 / (2 * n)) * root) == one_is_enough


def test_range_of_the_loss_is_not_the_number_of_classes() -> None:
    assert "at most 4 tau" in row("aucseg", "Eq. 38 second line")
    margins = np.linspace(-1, 1, 201)
    assert ((1 - margins) ** 2).max() == 4
    # all of + in one image, all of - in another, and ranked the wrong way round: more than K = 2
    labels = np.array([[1, 1], [0, 0], [2, 2], [2, 2]])
    scores = np.array([[0.0, 0], [1, 1], [0, 0], [0, 0]])
    found = split_pairs(scores, labels, 1, 0)
    tau = 16.0  # 2 pixels at most, 1/2 on average
    assert 2 < np.nanmax(found.inter_losses) == pytest.approx(4 * tau * 3 / 4)
    assert np.nanmax(found.inter_losses) <= 4 * tau


@pytest.mark.parametrize(("images", "value"), [(2, 2), (4, 6), (6, 10)])
def test_lemma_8_value_by_linear_programme(images: int, value: int) -> None:
    assert "2, 6, 10 for 2, 4, 6 images" in row("aucseg", "Lemma 8 proof")
    assert fractional_chromatic_number(pair_dependency_graph(images)).value == pytest.approx(value)


def test_lemma_8_random_removal_gets_stuck() -> None:
    stuck = sum(greedy_groups(6, seed).stuck for seed in range(500))
    assert f"{stuck} of 500" in row("aucseg", "Lemma 8 proof")


def test_vertices_are_ordered_pairs() -> None:
    """2m (2m - 1) vertices; with independent images as vertices the number would be 1."""
    assert "2m(2m-1)" in row("aucseg", "Lemma 7 vs Lemma 8")
    assert len(pair_dependency_graph(6)) == 6 * 5
    assert fractional_chromatic_number(np.zeros((6, 6))).value == pytest.approx(1)


def test_mean_must_divide_by_the_images() -> None:
    text = row("aucseg", "Theorem 1, Eq. 29, Eq. 36")
    scores, labels = toy()
    found = split_pairs(scores, labels, 1, 0)
    counts = np.array([(labels == c).sum(1) for c in (1, 0)])
    with_mean = float((counts.max(1) / counts.mean(1)).max() ** 2)
    with_sum = float((counts.max(1) / counts.sum(1)).max() ** 2)
    assert with_sum / 6 < found.rho_inner <= with_mean / 6
    assert with_sum <= 1
    assert with_mean == pytest.approx(36 * with_sum)
    figures = f"{found.rho_inner:.3f}", f"{with_sum / 6:.4f}", f"{with_mean / 6:.3f}"
    assert all(number in text for number in figures), figures


def test_lemma_4_as_printed_is_too_small() -> None:
    text = row("aucseg", "Lemma 4")
    scores, labels = toy()
    found = split_pairs(scores, labels, 1, 0)
    brute = np.mean((1 - (scores[labels == 1][:, None] - scores[labels == 0])) ** 2)
    assert found.whole == pytest.approx(brute)
    assert f"loss {found.whole:.4f}, printed mean form {found.printed:.4f}" in text
    assert found.inner + found.inter == pytest.approx(found.whole, rel=1e-12)
    assert found.printed < found.whole / 5


def test_inter_coefficient_loses_mu_and_the_logarithm() -> None:
    row("aucseg", "Eq. 33 to Eq. 36, eta_inter")
    for mu, n in ((4.0, 100), (1.0, 10**6)):
        arguments = (n, 9.0, 19, 0.01)
        printed = generalization_bound(*arguments, lipschitz=mu, variant="printed").eta_inter
        corrected = generalization_bound(*arguments, lipschitz=mu).eta_inter
        assert corrected / printed == pytest.approx(24 * mu * math.log(n))


def test_square_inside_the_logarithm_is_harmless() -> None:
    assert "sqrt2" in row("aucseg", "Eq. 36 last line")
    n = np.arange(2, 10_000)
    for tau, k, mu in ((1.0, 1, 1.0), (400.0, 2**21, 4.0)):
        inside = 2 * mu * tau * n * k
        ratio = np.sqrt(np.log(inside * n + 1) / np.log(inside + 1))
        assert (ratio > 1).all()
        assert (ratio < math.sqrt(2)).all()


def test_square_loss_is_lipschitz_on_margins_only() -> None:
    assert "mu=4" in row("aucseg", "Assumption 1")
    margins = np.linspace(-1, 1, 2001)
    slopes = np.abs(np.diff((1 - margins) ** 2) / np.diff(margins))
    assert slopes.max() == pytest.approx(4, abs=0.01)
    wide = np.linspace(-100, 100, 2001)
    assert np.abs(np.diff((1 - wide) ** 2) / np.diff(wide)).max() > 200


def test_inter_losses_leave_the_unit_interval() -> None:
    """Lemmas 3 and 6 ask for values in [0, 1]; weighted losses reach 4 tau."""
    assert "4 tau" in row("aucseg", "Theorem 1 statement")
    scores, labels = toy(2)
    assert np.nanmax(split_pairs(scores, labels, 1, 0).inter_losses) > 1


def test_theorem_1_bounds_a_supremum_and_one_direction() -> None:
    """A supremum of means is at most the mean of suprema, and another number for the other direction."""
    assert "sub-additivity of sup" in row("aucseg", "Theorem 1, Eq. 28")
    rng = np.random.default_rng(0)
    labels, maps = rng.integers(0, 3, (20, 30)), rng.random((10, 20, 30))
    risks = [
        [split_pairs(f[:n], labels[:n], a, b).whole for a in range(3) for b in range(3) if a != b]
        for n in (20, 4)
        for f in maps
    ]
    off = np.array(risks[:10]) - np.array(risks[10:])  # of 20 images, the population, and of 4 of them
    assert off.mean(1).max() < off.max(0).mean()
    assert abs(off.mean(1).max() - (-off).mean(1).max()) > 1e-3


def test_theorem_2_with_one_score_ranks_nothing() -> None:
    text = row("aucseg", "Theorem 2")
    assert "a constant score minimises both sides" in text
    assert "log 2 times the sum over classes of 1 - 1/n" in text
    rng = np.random.default_rng(1)
    labels = np.array([0, 0, 0, 1, 1, 2])
    flat = theorem2(np.zeros(6), labels, pairs="all")
    assert flat.contrastive == pytest.approx(flat.auc)  # partners score alike
    same_class = math.log(2) * ((1 - 1 / 3) + (1 - 1 / 2) + 0)
    for _ in range(100):
        scores = rng.normal(0, 2, 6)
        found = theorem2(scores, labels, pairs="all")
        assert found.auc >= flat.auc
        assert found.contrastive >= flat.contrastive
        ranked = theorem2(scores, labels, pairs="different").auc
        assert found.auc - ranked >= same_class


def test_region_frequencies_and_counted_pixels() -> None:
    """Region Rebalance's factors are those of the counts; Table 10 rounds the rarest class up."""
    text = row("rr", "Figure 5b vs AUCSeg Table 10")
    coco, ade = load_statistics("coco_stuff"), load_statistics("ade20k")
    for known in (coco, ade):
        assert f"{known.pixels.max() / known.pixels.min():.1f}" in text
        top, low = known.images.max(), known.images.min()
        assert f"{top}/{low}={top / low:.1f}" in text
    assert str(coco.pixels.max()) in text
    assert str(coco.pixels.min()) in text
    assert f"{coco.names[int(coco.pixels.argmin())]} has {100 * coco.pixel_share.min():.4f}%" in text
    with (ROOT / "data" / "published" / "aucseg" / "class_id_map.csv").open(encoding="utf-8") as file:
        shares = [
            float(r["pixel_ratio_percent"]) for r in csv.DictReader(file) if r["dataset"] == "COCO-Stuff 164K"
        ]
    assert min(shares) == 0.01  # so at most this ratio, before rounding
    assert math.floor((max(shares) + 0.005) / 0.005) == 1803


def test_theorem_2_holds_in_random_trials() -> None:
    row("aucseg", "Theorem 2")
    rng = np.random.default_rng(0)
    for _ in range(300):
        labels = np.concatenate(([0, 1], rng.integers(0, 3, 6)))
        found = theorem2(rng.normal(0, 3, len(labels)), labels, pairs="all")
        assert found.contrastive >= found.auc * (1 - 1e-12)


def test_false_ratio_varies_with_accuracy() -> None:
    """At fixed FP, 1/IoU = (1 + FP / n_y) / Acc."""
    row("rr", "Eq. 3")
    n_y, fp = 100, 30
    for tp in (20, 50, 90):
        assert (n_y + fp) / tp == pytest.approx((1 + fp / n_y) / (tp / n_y))
    assert 30 / 20 != 30 / 50


def test_remark_1_in_random_cases() -> None:
    """20,000 cases of the 200,000: the condition holds if and only if the IoU does not fall."""
    row("rr", "Remark 1")
    rng = np.random.default_rng(0)
    for _ in range(20_000):
        tp, fn, fp, after = (float(v) for v in rng.integers(1, 1000, 4))
        found = remark1(tp, fn, fp, rng.random() * fn / tp, after)
        assert found.holds == (found.after.iou >= found.before.iou)
    with pytest.raises(ValueError, match="can grow by 0 to 1"):  # K <= 1/A - 1
        remark1(50, 50, 1, 1.01, 1)


def test_slopes_at_an_accuracy_of_0_6() -> None:
    text = row("rr", "Supp. C")
    assert iou_slope(0.6, [0, 0.5, 1, 3]) == pytest.approx([1, 0.59, 0.39, 0.13], abs=0.005)
    assert "1, 0.59, 0.39" in text
    assert "0.13 at b=3" in text


def test_every_computed_row_about_the_theory_has_a_test() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    tested = set(re.findall(r'\brow\("(aucseg|rr)", "([^"]+)"\)', source))
    theory = {
        (r["paper"], r["location"])
        for r in errata()
        if (r["paper"] == "aucseg" and r["location"].startswith(THEORY) and r["checked_by"] == "computed")
        or (r["paper"] == "rr" and r["location"] in ("Eq. 3", "Remark 1", "Supp. C"))
    }
    assert len(theory) == 18
    assert theory <= tested, theory - tested
