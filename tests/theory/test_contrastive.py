from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aucseg.theory import Theorem2, contrastive, theorem2

PAIRS = ("different", "all")
SIZES = ("class", "one", "batch")
LN2 = math.log(2)


def brute(scores, labels, *, pairs, class_size, weights="conditional", positive=None):
    """Theorem 2 as a reader would type it: (contrastive, auc) by loops over i, j and k."""
    count = len(labels)

    def f(sample, anchor):
        return scores[sample][labels[anchor]] if np.ndim(scores) == 2 else scores[sample]

    def partners(i):
        return [j for j in range(count) if j != i and (pairs == "all" or labels[j] != labels[i])]

    def n(i):
        sizes = {"class": sum(y == labels[i] for y in labels), "one": 1, "batch": count}
        return sizes[class_size] if isinstance(class_size, str) else class_size[i]

    def total(i):
        return sum(1 / n(k) for k in (range(count) if weights == "shared" else partners(i)))

    left = right = 0.0
    for i in range(count):
        if positive is not None and labels[i] != positive:
            continue
        inside = 0.0
        for j in partners(i):
            w_j = total(j) / n(j) if weights == "one_letter" else 1 / n(j) / total(i)
            inside += w_j * math.exp(f(j, i) - f(i, i))
            right += math.log1p(math.exp(f(j, i) - f(i, i))) / (n(i) * n(j))
        left += total(i) / n(i) * math.log1p(inside)
    return left, right


@st.composite
def samples(draw, low=-12.0, high=12.0, channels=True):
    """Scores (N,) or (N, K) and labels with at least two classes."""
    k = draw(st.integers(2, 4))
    labels = [0, 1, *draw(st.lists(st.integers(0, k - 1), max_size=8))]
    labels = draw(st.permutations(labels))
    seed = draw(st.integers(0, 2**32 - 1))
    width = draw(st.floats(0, (high - low) / 2))
    shape = (len(labels), k) if channels and draw(st.booleans()) else (len(labels),)
    scores = np.random.default_rng(seed).uniform(-width, width, shape)
    if draw(st.booleans()):
        scores = scores.round()  # ties
    return scores, np.array(labels)


def readings(draw_weights=("conditional", "shared", "one_letter")):
    return st.fixed_dictionaries(
        {
            "pairs": st.sampled_from(PAIRS),
            "class_size": st.sampled_from(SIZES),
            "weights": st.sampled_from(draw_weights),
            "positive": st.sampled_from((None, 0, 1)),
        }
    )


def close(value, expected):
    assert value == pytest.approx(expected, rel=1e-11, abs=1e-13)


@settings(max_examples=150, deadline=None)
@given(sample=samples(), options=readings())
def test_both_sides_equal_the_loops(sample, options):
    result = theorem2(*sample, **options)
    left, right = brute(*(x.tolist() for x in sample), **options)
    close(result.contrastive, left)
    close(result.auc, right)
    close(result.gap, left - right)


@settings(max_examples=300, deadline=None)
@given(sample=samples(-40, 40), options=readings(("conditional", "shared")), data=st.data())
def test_the_inequality_holds_for_every_reading_of_n(sample, options, data):
    """Also for numbers n_i that mean nothing: the proof needs them positive only."""
    if data.draw(st.booleans()):
        count = len(sample[1])
        options["class_size"] = data.draw(st.lists(st.floats(1e-3, 1e3), min_size=count, max_size=count))
    result = theorem2(*sample, **options)
    assert result.guaranteed
    slack = 1e-12 * result.contrastive
    assert -slack <= result.gap <= result.gap_bound + slack
    if options["weights"] == "conditional":
        np.testing.assert_allclose(result.inner_sums, 1, rtol=1e-12)
    else:
        assert (result.inner_sums < 1).all()


@settings(max_examples=100, deadline=None)
@given(sample=samples(), pairs=st.sampled_from(PAIRS))
def test_one_letter_for_both_weights_holds_with_class_sizes(sample, pairs):
    result = theorem2(*sample, pairs=pairs, weights="one_letter")
    assert result.guaranteed
    assert result.gap >= -1e-12 * result.contrastive
    assert result.gap_bound == math.inf


def test_one_letter_fails_where_n_is_the_batch():
    """S_i = 3/4 for four samples: S_i S_j < 1, and with equal scores the left side is the smaller one."""
    result = theorem2([0.0] * 4, [0, 0, 1, 1], pairs="all", class_size="batch", weights="one_letter")
    assert not result.guaranteed
    close(result.contrastive, 4 * 3 / 16 * math.log1p(9 / 16))
    close(result.auc, 4 * 3 / 16 * LN2)
    assert result.gap < 0


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), partners=st.integers(1, 5), excess=st.floats(0.05, 2))
def test_conditions_on_the_weights_are_necessary_and_sufficient(seed, partners, excess):
    """The claim of the docstring for one anchor, with weights of any kind."""
    rng = np.random.default_rng(seed)
    target = rng.uniform(0.1, 1, partners)  # 1 / (n_i n_j)
    least = target.sum()  # S_i / n_i

    def gap(outer, inner, difference):
        left = outer * np.logaddexp(0, np.logaddexp.reduce(difference + np.log(inner)))
        return left - target @ np.logaddexp(0, difference)

    outer = least * (1 + excess)
    assert gap(outer, target / outer, rng.uniform(-30, 30, partners)) >= -1e-12
    assert gap(least, target / least, rng.uniform(-30, 30, partners)) >= -1e-12
    # outer weight too small: all partners far above
    assert gap(least / (1 + excess), (1 + excess) * target / least, np.full(partners, 500.0)) < 0
    # one inner weight too small: its partner below, the others far below
    inner = target / outer
    inner[0] /= 1 + excess
    assert gap(outer, inner, np.array([-12.0] + [-60.0] * (partners - 1))) < 0
    # right products, sum inside above one: equal scores (W log 2 > log(1 + W))
    outer = least / (1 + excess)
    assert gap(outer, target / outer, np.zeros(partners)) < 0


def test_worked_by_hand():
    """One positive with score 0, two negatives with scores 0 and log 3."""
    scores, labels = [0.0, 0.0, math.log(3)], [1, 0, 0]
    # anchor 0: w_i = 1, w_j = 1/2 each: log(1 + (1 + 3)/2) against (log 2 + log 4)/2
    binary = theorem2(scores, labels, positive=1)
    assert isinstance(binary, Theorem2)
    close(binary.contrastive, math.log(3))
    close(binary.auc, 1.5 * LN2)
    close(binary.gap, math.log(3) - 1.5 * LN2)
    close(binary.gap_bound, LN2**2 / 8)
    assert binary.anchors.tolist() == [0]
    assert binary.outer_weights.tolist() == [1.0]
    assert binary.inner_sums.tolist() == [1.0]
    # the negatives as anchors have one partner each, so both sides agree there: w_i = 1/2, w_j = 1
    both = theorem2(scores, labels)
    close(both.contrastive, math.log(3) + 0.5 * LN2 + 0.5 * math.log(4 / 3))
    close(both.auc, 1.5 * LN2 + 0.5 * LN2 + 0.5 * math.log(4 / 3))
    assert both.outer_weights.tolist() == [1.0, 0.5, 0.5]
    # as printed: a negative has w_i = 3/4, w_j = 2/3 for the positive and 1/3 for the other negative
    printed = theorem2(scores, labels, pairs="all")
    close(printed.contrastive, math.log(3) + 0.75 * math.log(8 / 3) + 0.75 * math.log(4 / 3))
    close(printed.auc, 1.5 * LN2 + (0.5 * LN2 + 0.25 * math.log(4)) + 0.75 * math.log(4 / 3))
    assert printed.outer_weights.tolist() == [1.0, 0.75, 0.75]
    # k over all samples: S = 2, w_i = 2 and 1, w_j = 1/4 and 1/2
    shared = theorem2(scores, labels, positive=1, weights="shared")
    close(shared.contrastive, 2 * math.log(2))
    close(shared.auc, 1.5 * LN2)
    assert shared.inner_sums.tolist() == [0.5]


@settings(max_examples=50, deadline=None)
@given(sample=samples(), pairs=st.sampled_from(PAIRS))
def test_equality_where_partners_tie(sample, pairs):
    """Different classes: channel c constant outside class c. All pairs: N = 2, or channels constant."""
    scores, labels = sample
    if scores.ndim == 1:
        scores = np.repeat(scores[:, None], labels.max() + 1, axis=1)
    for c in range(scores.shape[1]):
        scores[labels != c if pairs == "different" else slice(None), c] = 0.7 - c
    result = theorem2(scores, labels, pairs=pairs)
    assert abs(result.gap) <= 1e-13 * (1 + result.auc)
    close(result.gap_bound, 0)
    # one partner that differs: strictly above, by what Jensen's inequality loses at least
    if pairs == "different" and (labels != labels[0]).sum() > 1:
        moved = np.flatnonzero(labels != labels[0])[0]
        scores[moved, labels[0]] += 3
        one = theorem2(scores, labels, positive=labels[0])
        # log(1 + u) with u of share w at u e^3: its second derivative is at least (1 + u e^3)^-2 in size
        u = np.exp(0.7 - labels[0] - scores[one.anchors, labels[0]])
        share = 1 / ((labels == labels[moved]).sum() * (len(set(labels.tolist())) - 1))
        spread = (math.exp(3) - 1) * u / (1 + math.exp(3) * u)
        least = (one.outer_weights * share * (1 - share) * spread**2 / 2).sum()
        assert one.gap >= least * (1 - 1e-6) > 0
    close(theorem2([3.0, -1.0], [0, 1], pairs=pairs).gap, 0)


@settings(max_examples=50, deadline=None)
@given(sample=samples())
def test_auc_side_is_equation_7(sample):
    scores, labels = sample
    if scores.ndim == 1:
        return
    expected = 0.0
    for c in np.unique(labels):
        for d in set(np.unique(labels)) - {c}:
            gaps = scores[labels == c, c][:, None] - scores[labels == d, c]
            expected += np.logaddexp(0, -gaps).mean()
    close(theorem2(scores, labels).auc, expected)
    close(sum(theorem2(scores, labels, positive=c).auc for c in np.unique(labels)), expected)
    # n_i = N is the plain sum over pairs, divided by N^2
    count = len(labels)
    close(
        theorem2(scores, labels, class_size="one").auc / count**2,
        theorem2(scores, labels, class_size="batch").auc,
    )


@settings(max_examples=50, deadline=None)
@given(sample=samples())
def test_the_printed_sum_is_above_the_auc_of_different_classes(sample):
    """So the printed contrastive loss bounds the AUC loss proper too, with the pairs of one class on top."""
    labels = sample[1]
    printed, proper = theorem2(*sample, pairs="all"), theorem2(*sample)
    within = LN2 * sum(1 - 1 / (labels == c).sum() for c in np.unique(labels))
    assert printed.auc >= proper.auc + within - 1e-10
    assert printed.contrastive >= proper.auc + within - 1e-10


@settings(max_examples=50, deadline=None)
@given(sample=samples(channels=False), pairs=st.sampled_from(PAIRS))
def test_a_single_score_over_all_anchors_is_smallest_where_nothing_is_ranked(sample, pairs):
    """The defect of the printed form: each pair counts in both orders, so a constant score is optimal."""
    scores, labels = sample
    constant = theorem2(np.zeros(len(labels)), labels, pairs=pairs)
    result = theorem2(scores, labels, pairs=pairs)
    close(constant.auc, LN2 * constant.outer_weights.sum())
    close(constant.contrastive, constant.auc)
    assert result.auc >= constant.auc - 1e-10
    assert result.contrastive >= constant.contrastive - 1e-10
    close(theorem2(-scores, labels, pairs=pairs).auc, result.auc)


def test_anchors_of_one_class_do_rank():
    labels = [1, 1, 0, 0]
    good, bad = [2.0, 3.0, 0.0, 1.0], [0.0, 1.0, 2.0, 3.0]
    right, wrong = theorem2(good, labels, positive=1), theorem2(bad, labels, positive=1)
    assert right.auc < LN2 < wrong.auc
    assert right.contrastive < wrong.contrastive


@settings(max_examples=50, deadline=None)
@given(sample=samples(), options=readings(), shift=st.floats(-50, 50), data=st.data())
def test_invariances(sample, options, shift, data):
    """Order of the samples, a common offset, and with a single score the names of the classes."""
    scores, labels = sample
    result = theorem2(scores, labels, **options)
    order = data.draw(st.permutations(range(len(labels))))
    moved = theorem2(scores[order] + shift, labels[order], **options)
    assert moved.auc == pytest.approx(result.auc, rel=1e-9, abs=1e-12)
    assert moved.contrastive == pytest.approx(result.contrastive, rel=1e-9, abs=1e-12)
    if scores.ndim == 1:
        options["positive"] = None if options["positive"] is None else 7 * options["positive"] - 3
        close(theorem2(scores, 7 * labels - 3, **options).auc, result.auc)


def test_large_scores_stay_finite():
    result = theorem2([1e6, 0.0, -1e6], [1, 0, 0])
    # anchors 1 and 2 have weight 1/2 and lie 1e6 and 2e6 below the positive
    assert result.contrastive == pytest.approx(1.5e6)
    assert result.auc == pytest.approx(1.5e6)
    assert theorem2([1e6, 0.0], [1, 0], positive=1).contrastive == 0


def test_blocks_change_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=(300, 5)), rng.integers(0, 5, 300)
    whole = theorem2(scores, labels, weights="one_letter")
    monkeypatch.setattr(contrastive, "BLOCK_PAIRS", 7 * 300)
    parts = theorem2(scores, labels, weights="one_letter")
    assert (whole.auc, whole.contrastive, whole.guaranteed) == (
        parts.auc,
        parts.contrastive,
        parts.guaranteed,
    )
    np.testing.assert_array_equal(whole.inner_sums, parts.inner_sums)


def test_a_single_class_has_pairs_as_printed():
    """All pairs of one class: K = 1 is no AUC, but the printed sums exist and obey the inequality."""
    result = theorem2([0.0, 1.0, 4.0], [3, 3, 3], pairs="all")
    assert result.guaranteed
    assert result.gap > 0
    with pytest.raises(ValueError, match=r"needs two classes, all 3 labels are 3; use pairs='all'"):
        theorem2([0.0, 1.0, 4.0], [3, 3, 3])


@pytest.mark.parametrize(
    ("scores", "labels", "options", "error", "message"),
    [
        ([1.0], [0], {}, ValueError, "needs two samples, got 1"),
        ([], np.zeros(0, int), {}, ValueError, "needs two samples, got 0"),
        ([0.0, math.nan, 1.0], [0, 1, 1], {}, ValueError, r"must be finite, got nan at \[1\]"),
        ([[0.0, 1.0], [2.0, math.inf]], [0, 1], {}, ValueError, r"must be finite, got inf at \[1, 1\]"),
        ([0.0, 1.0], [0.0, 1.0], {}, TypeError, r"integer classes, got dtype float64; .*astype\(int\)"),
        ([0.0, 1.0], [False, True], {}, TypeError, "integer classes, got dtype bool"),
        (["a", "b"], [0, 1], {}, TypeError, "must be real numbers, got dtype <U1"),
        ([0.0, 1.0], [0, 1, 1], {}, ValueError, r"labels \(N,\), got \(2,\) and \(3,\)"),
        (np.zeros((2, 2, 2)), [0, 1], {}, ValueError, r"got \(2, 2, 2\) and \(2,\)"),
        (1.0, [0, 1], {}, ValueError, r"got \(\) and \(2,\)"),
        (np.zeros((2, 2)), [0, 2], {}, ValueError, "label 2 has no score: scores have 2 columns"),
        (np.zeros((2, 2)), [-1, 0], {}, ValueError, "label -1 has no score"),
        ([0.0, 1.0], [0, 1], {"positive": 5}, ValueError, r"class positive=5; classes: \[0, 1\]"),
        ([0.0, 1.0], [0, 1], {"pairs": "some"}, ValueError, "unknown pairs 'some'; use one of 'different'"),
        ([0.0, 1.0], [0, 1], {"weights": "w"}, ValueError, "unknown weights 'w'; use one of 'conditional'"),
        ([0.0, 1.0], [0, 1], {"class_size": "n"}, ValueError, "unknown class_size 'n'; use one of 'class'"),
        ([0.0, 1.0], [0, 1], {"class_size": [1, 0]}, ValueError, r"or 2 positive numbers.*got \[1, 0\]"),
        ([0.0, 1.0], [0, 1], {"class_size": [1.0]}, ValueError, r"one for each sample; got \[1.0\]"),
    ],
)
def test_bad_input(scores, labels, options, error, message):
    with pytest.raises(error, match=message):
        theorem2(scores, labels, **options)


def test_theory_needs_numpy_and_scipy_only():
    # networkx comes with the first question about cliques
    absent = ("torch", "pandas", "sklearn", "matplotlib", "networkx")
    program = f"import sys, aucseg.theory; sys.exit(str(set({absent}) & set(sys.modules) or ''))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert not result.stderr.strip(), result.stderr
