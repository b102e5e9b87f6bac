"""Region Rebalance: the identity, Remark 1 in exact arithmetic, and two recorded runs."""

from __future__ import annotations

import itertools
import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aucseg.theory import (
    constant_ratio_test,
    false_ratio,
    iou_from_accuracy,
    iou_slope,
    overlap,
    remark1,
)
from tests.repository import ROOT

few = settings(max_examples=60, deadline=None)
counts = st.integers(0, 50)


@few
@given(st.integers(1, 50), counts, counts)
def test_identity(tp: int, fn: int, fp: int) -> None:
    found = overlap(tp, fn, fp)
    assert 1 / found.iou == pytest.approx(1 / found.accuracy + found.false_ratio)
    assert false_ratio(found.iou, found.accuracy) == pytest.approx(found.false_ratio, abs=1e-12)
    assert iou_from_accuracy(found.accuracy, found.false_ratio) == pytest.approx(found.iou)


def test_a_class_that_is_never_found() -> None:
    found = overlap(0, 5, 3)
    assert (found.iou, found.accuracy, found.false_ratio) == (0, 0, float("inf"))


@few
@given(st.integers(1, 30), st.integers(1, 30), counts, counts, st.data())
def test_remark_1_in_exact_arithmetic(tp: int, fn: int, fp: int, after: int, data: st.DataObject) -> None:
    """With whole TP after, (1 + K) TP, so that IoU can be compared as fractions."""
    gained = data.draw(st.integers(0, fn))
    found = remark1(tp, fn, fp, gained / tp, after)
    before, then = Fraction(tp, tp + fn + fp), Fraction(tp + gained, tp + fn + after)
    slack = Fraction(gained, tp) * (tp + fn) - (after - (1 + Fraction(gained, tp)) * fp)
    assert (slack >= 0) == (then >= before)
    assert (slack > 0) == (then > before)
    assert found.right - found.left == pytest.approx(float(slack))
    assert (found.before.iou, found.after.iou) == (pytest.approx(float(before)), pytest.approx(float(then)))
    if slack != 0:  # equality is decided by the last bit
        assert found.holds == found.improves == (then > before)


def test_equality_keeps_the_iou() -> None:
    found = remark1(50, 50, 10, 0.5, 65)  # 65 - 15 = 50 = K n_y
    assert (found.holds, found.improves) == (True, False)
    assert found.after.iou == found.before.iou


@few
@given(st.floats(0.05, 1), st.floats(0, 8))
def test_slope_is_the_derivative(accuracy: float, ratio: float) -> None:
    step = 1e-6
    low, high = iou_from_accuracy(np.array([accuracy - step, min(accuracy + step, 1)]), ratio)
    width = min(accuracy + step, 1) - (accuracy - step)
    assert iou_slope(accuracy, ratio) == pytest.approx((high - low) / width, rel=1e-3)


def test_curves_of_figure_8() -> None:
    """Without false positives IoU is accuracy; each larger ratio lies below and bends more."""
    accuracy = np.linspace(0, 1, 101)
    curves = iou_from_accuracy(accuracy, np.array([0, 0.5, 1, 3, 5])[:, None])
    assert curves.shape == (5, 101)
    assert curves[0] == pytest.approx(accuracy)
    assert (np.diff(curves[:, 1:], axis=0) < 0).all()
    assert curves[:, -1] == pytest.approx([1, 1 / 1.5, 1 / 2, 1 / 4, 1 / 6])


def test_constant_ratio_by_hand() -> None:
    """b doubles for the first class and stays for the second; the third is found in one run only."""
    accuracy_before, accuracy = np.array([0.5, 0.4, 0.2]), np.array([0.6, 0.5, 0.0])
    ratio = np.array([0.5, 1.0, 1.0])
    before = iou_from_accuracy(accuracy_before, ratio)
    after = iou_from_accuracy(accuracy, ratio * [2, 1, 1])
    found = constant_ratio_test(("a", "b", "c"), before, accuracy_before, after, accuracy)
    assert (found.names, found.left_out) == (("a", "b"), ("c",))
    assert found.before == pytest.approx([0.5, 1])
    assert found.after == pytest.approx([1, 1])
    assert found.predicted == pytest.approx([0.6 / 1.3, 0.5 / 1.5])
    assert found.error == pytest.approx((0.6 / 1.3 - 0.6 / 1.6) / 2)
    assert found.change == pytest.approx(np.sqrt(2))
    assert found.same_sign == pytest.approx(0.5)  # 0.4 to 0.375 with a higher accuracy
    assert np.isnan(found.p_value)


def test_a_changed_ratio_is_noticed() -> None:
    rng = np.random.default_rng(0)
    accuracy = rng.uniform(0.3, 0.9, 20)
    ratio = rng.uniform(0.2, 2, 20)
    names = tuple(map(str, range(20)))
    noise = np.exp(rng.normal(0, 0.2, 20))
    same = constant_ratio_test(
        names,
        iou_from_accuracy(accuracy, ratio),
        accuracy,
        iou_from_accuracy(accuracy, ratio * noise),
        accuracy,
    )
    more = constant_ratio_test(
        names,
        iou_from_accuracy(accuracy, ratio),
        accuracy,
        iou_from_accuracy(accuracy, 1.5 * ratio * noise),
        accuracy,
    )
    assert more.p_value < 0.001 < same.p_value
    assert more.change == pytest.approx(1.5, rel=0.2)


def test_on_two_recorded_runs() -> None:
    """Records hold IoU and accuracy of each class; the identity gives back the IoU from FP/TP."""
    paths = sorted((ROOT / "data" / "records" / "laptop").glob("*.json"))
    records = (json.loads(path.read_text(encoding="utf-8")) for path in paths)
    streets = (record["metrics"] for record in records if record["config"]["data"]["name"] == "streets")
    first, second = itertools.islice(streets, 2)
    names = tuple(first["iou"])

    def column(metrics: dict[str, dict[str, float | None]], key: str) -> list[float]:
        return [np.nan if metrics[key][name] is None else float(metrics[key][name] or 0) for name in names]

    found = constant_ratio_test(
        names,
        column(first, "iou"),
        column(first, "accuracy"),
        column(second, "iou"),
        column(second, "accuracy"),
    )
    assert len(found.names) + len(found.left_out) == len(names)
    kept = [names.index(name) for name in found.names]
    accuracy = np.array(column(second, "accuracy"))[kept]
    assert iou_from_accuracy(accuracy, found.after) == pytest.approx(found.iou)
    assert np.abs(found.predicted - found.iou).mean() == pytest.approx(found.error)


def test_bad_input_is_refused_in_words() -> None:
    for tp, fn, fp in itertools.permutations((1, 2, -1)):
        with pytest.raises(ValueError, match="at least 0, got TP, FN, FP"):
            overlap(tp, fn, fp)
    with pytest.raises(ValueError, match="TP \\+ FN = 0"):
        overlap(0, 0, 3)
    with pytest.raises(ValueError, match=r"K is 1\.5, and an accuracy of 0\.5 can grow by 0 to 1"):
        remark1(5, 5, 1, 1.5, 1)
    with pytest.raises(ValueError, match="true_positives is 0"):
        remark1(0, 5, 1, 0.1, 1)
    with pytest.raises(ValueError, match="not percent"):
        iou_from_accuracy(60.0, 1)
    with pytest.raises(ValueError, match="false_ratio is a ratio of counts"):
        iou_slope(0.5, -1)
    with pytest.raises(ValueError, match="an IoU is above its accuracy"):
        false_ratio(0.6, 0.5)
    with pytest.raises(ValueError, match="without a true positive"):
        false_ratio(0.0, 0.5)
    with pytest.raises(ValueError, match="2 names but values of shape"):
        constant_ratio_test(("a", "b"), [0.1], [0.2], [0.1], [0.2])
    with pytest.raises(ValueError, match="no class has a true positive in both"):
        constant_ratio_test(("a",), [0.0], [0.0], [0.1], [0.2])
