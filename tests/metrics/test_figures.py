from __future__ import annotations

import copy
import pickle

import matplotlib as mpl
import pytest
import torch
from torchmetrics import MetricCollection, MetricTracker
from torchmetrics.wrappers import BootStrapper, ClasswiseWrapper, MinMaxMetric

from aucseg.errors import OptionError
from aucseg.metrics import PixelAUC, SaliencyMeasures, SegmentationIoU

K = 3
MAKERS = {
    "iou": (lambda **options: SegmentationIoU(K, **options), "mIoU", "iou"),
    "exact": (lambda **options: PixelAUC(K, **options), "auc", "ova"),
    "streaming": (lambda **options: PixelAUC(K, bins=64, **options), "auc", "ova"),
}


def batches(count=3):
    generator = torch.Generator().manual_seed(0)
    for _ in range(count):
        scores = torch.rand(4, K, 5, 6, generator=generator)
        yield scores, torch.randint(0, K, (4, 5, 6), generator=generator)


@pytest.fixture(params=MAKERS)
def made(request):
    return MAKERS[request.param]


def test_names_are_those_of_what_is_computed(made):
    make, *_ = made
    for options in ({}, {"groups": ("head", "middle", "tail")}):
        metric = make(**options)
        metric.update(*next(batches()))
        assert set(metric.compute()) == set(metric.names)


def test_one_figure_is_a_metric(made):
    make, scalar, vector = made
    whole = make()
    for name in (scalar, vector):
        figure = make()[name]
        whole.reset()
        for batch in batches():
            torch.testing.assert_close(figure(*batch), whole(*batch)[name])
        assert torch.equal(figure.compute(), whole.compute()[name])
        again = pickle.loads(pickle.dumps(copy.deepcopy(figure)))
        assert torch.equal(again.compute(), figure.compute())
        assert repr(figure).endswith(f"[{name!r}]")
    with pytest.raises(OptionError, match=f"no figure '{scalar}s' .*did you mean '{scalar}'"):
        whole[scalar + "s"]


def test_wrappers_of_torchmetrics(made):
    make, scalar, vector = made
    values = []
    tracker, extremes = MetricTracker(make()[scalar]), MinMaxMetric(make()[scalar])
    for batch in batches():
        tracker.increment()
        tracker.update(*batch)
        extremes(*batch)
        alone = make()
        alone.update(*batch)
        values.append(alone.compute()[scalar])
    torch.testing.assert_close(tracker.compute_all(), torch.stack(values))
    assert tracker.best_metric() == pytest.approx(max(values).item())

    torch.manual_seed(0)
    boot = BootStrapper(make()[scalar], num_bootstraps=8, sampling_strategy="multinomial")
    twice = make()[scalar] * 2 + 1
    names = ClasswiseWrapper(make()[vector], labels=["a", "b", "c"], prefix="of_")
    together = MetricCollection({"one": make()[scalar]})
    for batch in batches():
        for metric in (boot, twice, names, together):
            metric.update(*batch)
    whole = make()
    for batch in batches():
        whole.update(*batch)
    assert boot.compute()["mean"].item() == pytest.approx(whole.compute()[scalar].item(), abs=0.1)
    assert boot.compute()["std"] > 0
    torch.testing.assert_close(twice.compute(), whole.compute()[scalar] * 2 + 1)
    found = names.compute()
    assert list(found) == ["of_a", "of_b", "of_c"]
    torch.testing.assert_close(torch.stack(list(found.values())), whole.compute()[vector])
    assert together.compute()["one"] == whole.compute()[scalar]


def test_names_of_figures_are_not_given_for_numbers_of_classes(made):
    """`ClasswiseWrapper` of a whole metric had {"pixelauc_0": "auc", ...}; now it says what to wrap."""
    make, _, vector = made
    metric = make()
    words = rf"names of the figures .*; use ClasswiseWrapper\(metric\['{vector}'"
    with pytest.raises(OptionError, match=words):
        ClasswiseWrapper(metric)
    metric.update(*next(batches()))
    assert metric.by_class
    for name in metric.by_class:
        wrapped = ClasswiseWrapper(metric[name], labels=["a", "b", "c"])
        assert list(wrapped.compute().values()) == list(metric.compute()[name])
    # in everything else it may stand whole
    MetricCollection([metric])
    torch.nn.ModuleDict({"metric": metric})
    with pytest.raises(OptionError, match=r"of SaliencyMeasures .*; use metric\[name\]"):
        ClasswiseWrapper(SaliencyMeasures())


def test_options_of_torchmetrics(made):
    make, scalar, _ = made
    metric = make(dist_sync_on_step=True, compute_on_cpu=True, process_group=None, sync_on_compute=False)
    metric.update(*next(batches()))
    assert metric.compute()[scalar].isfinite()
    with pytest.raises(ValueError, match=r"[Uu]nexpected keyword arguments"):
        make(surprise=1)


def test_counts_keep_their_dtype(made):
    """In half precision they would be infinite from 65,505 on."""
    make, scalar, _ = made
    metric, plain = make().set_dtype(torch.half), make()
    for scores, target in batches():
        metric.update(scores.half(), target)
        plain.update(scores.half().float(), target)
    assert torch.equal(metric.compute()[scalar], plain.compute()[scalar])


def test_plots(made):
    make, scalar, _ = made
    metric = make(groups=("head", "middle", "tail"))
    with mpl.rc_context({"backend": "agg"}):
        steps = [metric(*batch) for batch in batches()]
        _, axes = metric.plot(steps)
        assert scalar in axes.get_legend_handles_labels()[1]
        assert metric.plot()[1] is not axes
        _, axes = metric[scalar].plot()
        assert axes.lines[0].get_ydata()[0] == pytest.approx(metric.compute()[scalar].item())
        mpl.pyplot.close("all")
