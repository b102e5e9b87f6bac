"""Theorem 1: each term by hand, its behaviour, and the corrected confidence term against simulation."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aucseg.theory import first_useful_size, generalization_bound, pair_chromatic_number

few = settings(max_examples=40, deadline=None)


def test_printed_terms_by_hand() -> None:
    n, tau, k, classes, delta, mu, a, b, c = 100, 9.0, 50, 3, 0.05, 2.0, 0.5, 0.7, 3.0
    found = generalization_bound(
        n, tau, classes, delta, pixels=k, lipschitz=mu, cover_a=a, cover_b=b, cover_c=c, variant="printed"
    )
    root_log = math.sqrt(0.5 * math.log(2 * 0.7 * 2 * 9 * 100 * 50 + 3))
    confidence = math.sqrt(math.log(4 * 3 * 2 / 0.05))
    assert found.root_log == pytest.approx(root_log)
    assert found.discretisation == pytest.approx(0.08)
    assert found.inner == pytest.approx(48 * 2 * 9 * math.log(100) / 100 / 10 * root_log)
    assert found.inter == pytest.approx(2 * math.sqrt(2) * 9 / 10 * root_log)
    assert found.confidence_inner == pytest.approx(3 * math.sqrt(1 / 200) * confidence)
    assert found.confidence_inter == pytest.approx(3 * 3 * math.sqrt(0.99) * confidence)
    parts = found.discretisation + found.inner + found.inter + found.confidence_inner + found.confidence_inter
    assert found.total == pytest.approx(parts)


@pytest.mark.parametrize(("n", "paired"), [(100, 100), (101, 100)])
def test_corrected_terms_by_hand(n: int, paired: int) -> None:
    found = generalization_bound(n, 9.0, 3, 0.05, pixels=50, lipschitz=2.0, loss_range=5.0, cover_c=3.0)
    root_log = math.sqrt(math.log(2 * 2 / 5 * n * n * 50 + 3))
    confidence = 3 * math.sqrt(math.log(4 * 3 * 2 / 0.05))
    assert found.discretisation == pytest.approx(8 * 45 * (1 + 1 / n) / n)
    assert found.inner == pytest.approx(48 * 2 * 9 * math.log(n) / n**1.5 * root_log)
    # 2 x 12 x (2 mu tau) ln N over the root of the pairs in a set of the cover
    assert found.inter == pytest.approx(48 * 2 * 9 * math.log(n) / math.sqrt(paired / 2) * root_log)
    assert found.confidence_inner == pytest.approx(45 / n / math.sqrt(2 * n) * confidence)
    assert found.confidence_inter == pytest.approx(45 / math.sqrt(paired) * confidence)


@few
@given(n=st.integers(2, 500), tau=st.floats(1, 100))
def test_corrected_confidence_is_lemma_7_with_lemma_8(n: int, tau: float) -> None:
    """3 M sqrt(chi log(2 / d) / 2m): m ordered pairs, chi of their graph, d = delta over 2K(K-1)."""
    found = generalization_bound(n, tau, 4, 0.1)
    root = math.sqrt(pair_chromatic_number(n) / (2 * n * (n - 1)) * math.log(2 / (0.1 / (2 * 4 * 3))))
    assert found.confidence_inter == pytest.approx(3 * 4 * tau * root)


@few
@given(n=st.integers(2, 10**6), tau=st.floats(1, 1e4), k=st.integers(2, 200), delta=st.floats(0.001, 0.9))
def test_printed_bound_never_says_anything(n: int, tau: float, k: int, delta: float) -> None:
    terms = generalization_bound(n, tau, k, delta, variant="printed")
    floor = 3 * k / math.sqrt(2) * math.sqrt(math.log(4 * k * (k - 1) / delta))
    assert terms.total > terms.confidence_inter >= floor * (1 - 1e-12)
    assert floor > 1


def test_curves_broadcast() -> None:
    n = np.array([10, 100, 1000])
    tau = np.array([[1.0], [4.0]])
    terms = generalization_bound(n, tau, 19, 0.01)
    assert terms.total.shape == terms.discretisation.shape == terms.root_log.shape == (2, 3)
    one = generalization_bound(100, 4.0, 19, 0.01)
    assert terms.total[1, 1] == pytest.approx(float(one.total))
    for curve in (
        generalization_bound(100, 4.0, 19, 0.01, pixels=np.array([10, 1000])).total,
        generalization_bound(100, 4.0, np.array([2, 19]), 0.01).total,
        generalization_bound(100, 4.0, 19, np.array([0.1, 0.01])).total,
    ):
        assert curve[0] < curve[1]


def test_complexity_is_linear_in_tau_and_falls_like_a_root() -> None:
    one, four = (generalization_bound(10**8, t, 19, 0.01) for t in (1.0, 4.0))
    assert four.inter == pytest.approx(4 * one.inter)
    n = np.array([10**8, 10**10])
    falls = generalization_bound(n, 4.0, 19, 0.01).confidence_inter
    assert falls[0] / falls[1] == pytest.approx(10)


@few
@given(tau=st.floats(1, 50), k=st.integers(2, 30), target=st.floats(0.5, 1e5))
def test_useful_size_is_the_smallest(tau: float, k: int, target: float) -> None:
    found = first_useful_size(tau, k, 0.05, target=target, pixels=100)
    assert found.num_images is not None
    n = found.num_images
    assert generalization_bound(float(n), tau, k, 0.05, pixels=100).total < target
    if 2 < n < 10**12:
        assert generalization_bound(float(n - 1), tau, k, 0.05, pixels=100).total >= target
    assert found.limit == 0


def test_useful_size_by_trying_all() -> None:
    sizes = np.arange(2, 300_000)
    total = generalization_bound(sizes, 1.0, 2, 0.5, pixels=10, cover_a=1e-6).total
    for target in (2.0, 0.3, 0.1):  # the last lies beyond what the search lists
        expected = int(sizes[total < target][0])
        assert first_useful_size(1.0, 2, 0.5, target=target, pixels=10, cover_a=1e-6).num_images == expected


@pytest.mark.parametrize("tau", [1e6, 2.2e9, 1e30])
def test_useful_size_beyond_64_bits_is_a_whole_number_of_python(tau: float) -> None:
    found = first_useful_size(tau, 171, 0.01)
    n = found.num_images
    assert type(n) is int
    assert n > 2**63
    assert found.value is not None
    assert found.value < 1
    # the double before does not do, and nothing has wrapped round on the way
    assert generalization_bound(np.nextafter(float(n), 0), tau, 171, 0.01).total >= 1
    assert n + n - n == n == json.loads(json.dumps(n))


@pytest.mark.parametrize("target", [1e-20, 1e-70, 1e-120])
def test_useful_size_for_tiny_targets(target: float) -> None:
    """N squared inside the logarithm is beyond what a double holds; the bound is not."""
    found = first_useful_size(439, 19, 0.01, target=target)
    assert found.num_images is not None
    assert found.value == pytest.approx(target, rel=1e-9)
    assert found.value < target
    root = 48 * math.sqrt(2) * 4 * 439 * math.log(found.num_images) / math.sqrt(found.num_images)
    inside = math.log(2 * 512 * 512) + 2 * math.log(found.num_images)
    assert found.value == pytest.approx(root * math.sqrt(inside), rel=0.01)  # all but the confidence


def test_printed_bound_has_a_limit_and_no_useful_size() -> None:
    found = first_useful_size(439, 19, 0.01, variant="printed")
    assert (found.num_images, found.value) == (None, None)
    assert found.limit == pytest.approx(196.02, abs=0.01)
    above = first_useful_size(1.0, 2, 0.5, target=30, variant="printed", pixels=10)
    assert above.num_images is not None


def test_the_corrected_confidence_holds_in_simulation() -> None:
    """Sums over ordered pairs of images exceed their mean by less than M sqrt(log(1/delta) / N).

    A degenerate kernel and an additive one; the second has the larger variance. Both have a range of 1.
    """
    rng = np.random.default_rng(0)
    n, delta, trials = 20, 0.1, 4000
    x = rng.integers(0, 2, (trials, n)).astype(float)
    ones = x.sum(1)
    pairs = n * (n - 1)
    product = ones * (ones - 1) / pairs  # mean over pairs of x_i x_j, expectation 1/4
    mean = ones / n  # of (x_i + x_j) / 2, expectation 1/2
    allowed = math.sqrt(pair_chromatic_number(n) / (2 * pairs) * math.log(1 / delta))
    for found, expected in ((product, 0.25), (mean, 0.5)):
        exceeded = (found - expected > allowed).mean()
        assert exceeded <= delta
        assert (found - expected > allowed / 3).mean() > delta  # and it is no empty statement


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_images": 1}, "num_images is 1; it must be at least 2"),
        ({"num_images": 10.5}, "whole number"),
        ({"tau": 0.5}, "tau is at least 1"),
        ({"tau": 0}, "tau is 0; it must be above 0"),
        ({"num_classes": 1}, "num_classes is 1"),
        ({"delta": 0}, "delta is 0"),
        ({"delta": [0.1, 1.0]}, r"delta is 1 at \[1\]"),
        ({"pixels": 0}, "pixels is 0"),
        ({"lipschitz": 0}, "lipschitz is 0"),
        ({"loss_range": -1}, "loss_range is -1"),
        ({"cover_a": 0}, "cover_a is 0"),
        ({"cover_b": math.inf}, "finite"),
        ({"cover_b": 1e-9, "cover_c": 0.5}, "negative"),
        ({"variant": "exact"}, "unknown variant 'exact'; use one of 'printed', 'corrected'"),
    ],
)
def test_bad_input_is_refused_in_words(change: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {
        "num_images": 10,
        "tau": 2.0,
        "num_classes": 3,
        "delta": 0.1,
        "pixels": 100,
    }
    with pytest.raises(ValueError, match=message):
        generalization_bound(**(arguments | change))  # type: ignore[arg-type]


def test_solver_says_what_it_cannot_tell() -> None:
    with pytest.raises(ValueError, match=r"below 0\.001"):
        first_useful_size(100, 19, 0.01, cover_b=1e-12, pixels=1)
    with pytest.raises(ValueError, match="target is 1e-300; no number of images up to"):
        first_useful_size(100, 19, 0.01, target=1e-300)
    with pytest.raises(ValueError, match="target is 0"):
        first_useful_size(100, 19, 0.01, target=0)
