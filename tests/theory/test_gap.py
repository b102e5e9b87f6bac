"""The gap experiment: its risk against pairs, its AUC against scikit-learn, its fits on known powers."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from aucseg.theory import GapDesign, GapRow, fit_gaps, measure_gaps
from aucseg.theory.gap import RADIUS, class_moments, draw_images, pixel_auc, risk_quadratic
from tests.repository import ROOT

SMALL = GapDesign(sizes=(8, 32), bursts=(4, 16), test_images=4096, ranked_images=64)


@pytest.fixture(scope="module")
def rows() -> list[GapRow]:
    return measure_gaps(SMALL, range(4))


def test_quadratic_risk_against_all_pairs() -> None:
    rng = np.random.default_rng(0)
    pixels = [rng.normal(size=(n, 4)) for n in (5, 3, 4)]
    weights = rng.normal(size=(3, 4))
    expected = np.mean(
        [
            np.mean([(1 - weights[c] @ (x - y)) ** 2 for x, y in itertools.product(pixels[c], pixels[d])])
            for c, d in itertools.permutations(range(3), 2)
        ]
    )
    h, g = risk_quadratic(*class_moments(pixels))
    found = 1 + (np.einsum("ci,cij,cj->", weights, h, weights) - 2 * (g * weights).sum()) / 6
    assert found == pytest.approx(expected)


def test_auc_against_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    pixels = [rng.normal(size=(n, 4)).round(1) for n in (9, 6, 8)]
    weights = rng.normal(size=(3, 4)).round(1)
    expected = [
        roc_auc_score(
            np.repeat([1, 0], [len(pixels[c]), len(pixels[d])]),
            np.concatenate((pixels[c], pixels[d])) @ weights[c],
        )
        for c, d in itertools.permutations(range(3), 2)
    ]
    assert pixel_auc(weights, pixels) == pytest.approx(np.mean(expected))


def test_design_sets_tau_and_keeps_the_mean() -> None:
    for burst in (4, 8, 64):
        images = draw_images(GapDesign(), burst, 20_000, 0)
        counts = np.diff(images.starts[2])
        assert counts.mean() == pytest.approx(4, rel=0.1)
        assert set(counts) <= {1, burst}
        assert (counts.max() / 4) ** 2 == GapDesign().tau(burst)
        assert (counts**2).mean() / 16 == pytest.approx(GapDesign().spread(burst), rel=0.1)
        assert max(np.linalg.norm(x, axis=1).max() for x in images.pixels) <= 1 + 1e-12


def test_more_images_only_append() -> None:
    few, many = draw_images(SMALL, 16, 5, 3), draw_images(SMALL, 16, 9, 3)
    for a, b in zip(few.pixels, many.first(5), strict=True):
        assert np.array_equal(a, b)


def test_rows_are_what_they_say(rows: list[GapRow]) -> None:
    assert len(rows) == 2 * 2 * 4
    assert {(r.tau, r.images) for r in rows} == set(itertools.product((1.0, 16.0), (8, 32)))
    for row in rows:
        assert row.sup_gap >= row.erm_gap  # the largest over all scores
        assert row.sup_gap >= 0
        assert row.optimism >= -1e-12
        assert 0 <= row.train_risk <= 1  # scores of zero have the risk 1
    assert rows == measure_gaps(SMALL, range(4))


def test_largest_gap_against_random_scores() -> None:
    """No weights in the ball have a larger difference of the two risks than the one reported."""
    design = replace(SMALL, bursts=(16,), sizes=(8,))
    row = measure_gaps(design, [0])[0]
    train = risk_quadratic(*class_moments(draw_images(design, 16, 8, 0).pixels))
    blocks = [draw_images(design, 16, 4096, 2**31 + 2).pixels]
    test = risk_quadratic(*class_moments(blocks[0]))
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(5000, 3, 6))
    weights *= RADIUS / np.linalg.norm(weights, axis=2, keepdims=True)
    h, g = test[0] - train[0], test[1] - train[1]
    gaps = (np.einsum("nci,cij,ncj->n", weights, h, weights) - 2 * np.einsum("ci,nci->n", g, weights)) / 6
    assert gaps.max() <= row.sup_gap + 1e-12
    assert gaps.max() >= 0.5 * row.sup_gap


def powers(per_n: float, per_tau: float, noise: float = 0.05) -> list[GapRow]:
    rng = np.random.default_rng(0)
    return [
        GapRow(
            t, t**0.5, n, s, 0.5, 0.1, float(3 * n**per_n * t**per_tau * np.exp(rng.normal(0, noise))), 0.1, 0
        )
        for t in (1.0, 4.0, 16.0)
        for n in (8, 16, 32, 64)
        for s in range(10)
    ]


def test_fit_finds_known_exponents() -> None:
    fit = fit_gaps(powers(-0.5, 0.8), "sup_gap")
    assert fit.per_tau is not None
    assert fit.per_spread is not None
    assert fit.per_images.low <= -0.5 <= fit.per_images.high
    assert fit.per_tau.low <= 0.8 <= fit.per_tau.high
    assert fit.per_spread.value == pytest.approx(2 * fit.per_tau.value)
    assert fit.per_images.high - fit.per_images.low < 0.05
    assert {t: slope.value for t, slope in fit.by_tau.items()} == pytest.approx(
        dict.fromkeys((1.0, 4.0, 16.0), -0.5), abs=0.05
    )
    single = fit_gaps([row for row in powers(-1, 0) if row.tau == 1], "sup_gap")
    assert single.per_tau is None
    assert single.per_images.value == pytest.approx(-1, abs=0.05)


def test_the_committed_record_says_what_the_book_says() -> None:
    """Rates near one over the root of n; far from linear in tau."""
    record = pd.read_csv(ROOT / "data" / "records" / "theory" / "gap.csv")
    found = [GapRow(**row) for row in record.to_dict("records")]
    sup = fit_gaps(found, "sup_gap")
    assert sup.per_tau is not None
    assert -0.55 < sup.per_images.low < sup.per_images.high < -0.4
    assert 0 < sup.per_tau.low < sup.per_tau.high < 0.5
    assert -1.1 < fit_gaps(found, "optimism").per_images.value < -0.8


def test_bad_input_is_refused_in_words(rows: list[GapRow]) -> None:
    with pytest.raises(ValueError, match="sizes must ascend"):
        GapDesign(sizes=(16, 8))
    with pytest.raises(ValueError, match="a burst is at least the mean"):
        GapDesign(bursts=(2,))
    with pytest.raises(ValueError, match="ranked_images must be"):
        GapDesign(ranked_images=0)
    with pytest.raises(ValueError, match="no seed"):
        measure_gaps(SMALL, [])
    with pytest.raises(ValueError, match="seed is -1"):
        measure_gaps(SMALL, [-1])
    with pytest.raises(ValueError, match="unknown quantity 'gap'"):
        fit_gaps(rows, "gap")
    with pytest.raises(ValueError, match="no full grid"):
        fit_gaps(rows[1:], "sup_gap")
    with pytest.raises(ValueError, match="needs 3 seeds and 2 sizes, got 2 and 2"):
        fit_gaps([row for row in rows if row.seed < 2], "sup_gap")
    with pytest.raises(ValueError, match="has no logarithm"):
        fit_gaps([replace(row, erm_gap=-1.0) for row in rows], "erm_gap")
    with pytest.raises(ValueError, match="confidence must be"):
        fit_gaps(rows, "sup_gap", confidence=0)
