"""Networks at full scale, from published logs: the IoU of each class beside how rare the class is.

The runs are those of UniMatch V2 (Yang et al., arXiv 2410.10777): labels alone and three semi-supervised
methods, at several shares of the labels, with encoders from ResNet to DINOv2. Frequencies are those of the
whole training sets.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pandas as pd
from scipy import stats

from aucseg.errors import OptionError, did_you_mean
from aucseg.experiments.published import published_table
from aucseg.longtail import load_statistics, pixels_where_present

FULL_SCALE = {"cityscapes": "Cityscapes", "ade20k": "ADE20K", "coco": "COCO"}
"""Data sets of the published runs of which the class frequencies are known too."""

FREQUENCIES = {
    "pixels": "pixels",
    "images": "images (regions)",
    "size": "pixels where present",
}
"""In what a class may be rare. A region of Region Rebalance is all of a class in one image (its Eq. 7)."""

# When its authors made it public, for the order of a table.
_YEARS = {"resnet": 2015, "mitb": 2021, "beit": 2021, "sam": 2023, "dinov2": 2023}


def published_runs() -> pd.DataFrame:
    """The published runs, one row each.

    Returns:
        ``run``, ``dataset``, ``method``, ``labels`` (share or number of the labelled images), ``encoder``,
        ``year`` of the encoder, ``frozen`` (its weights are not trained), ``ema`` (a moving average of the
        weights was evaluated too), ``evaluations``, ``best_epoch`` and ``last_epoch``, ``best_mIoU`` and
        ``last_mIoU`` in percent, of the weights themselves.
    """
    runs = published_table("unimatch_v2", "runs")
    years = [next(y for name, y in _YEARS.items() if encoder.startswith(name)) for encoder in runs["encoder"]]
    runs.insert(runs.columns.get_loc("encoder") + 1, "year", years)
    return runs


def published_class_iou(dataset: str, epoch: str = "last") -> pd.DataFrame:
    """IoU of each class in percent, one row for each published run and one column for each class.

    Args:
        dataset: ``"cityscapes"``, ``"ade20k"``, ``"coco"`` or ``"pascal"``.
        epoch: ``"last"``, or ``"best"``: the one with the highest mean, which the logs choose on the images
            that they report; where a moving average of the weights was evaluated too, not by their own mean
            alone.

    Raises:
        OptionError: for another epoch.
        PublishedError: for another data set.
    """
    if epoch not in ("last", "best"):
        raise OptionError(f"no epoch {epoch!r}; {did_you_mean(epoch, ('last', 'best'))}")
    table = published_table("unimatch_v2", dataset)
    return table[table["epoch"] == epoch].drop(columns="epoch").set_index("run")


def class_frequency(dataset: str) -> pd.DataFrame:
    """How rare each class is in the training set, by class name.

    Those of COCO are its eighty things as COCO-Stuff counts them; its background has none.

    Args:
        dataset: one of ``FULL_SCALE``.

    Returns:
        ``group`` (AUCSeg, Tables 8 to 10) and the columns of ``FREQUENCIES``.

    Raises:
        OptionError: for another data set.
    """
    if dataset not in FULL_SCALE:
        raise OptionError(f"no class frequencies of {dataset!r}; {did_you_mean(dataset, FULL_SCALE)}")
    tally = load_statistics("coco_stuff" if dataset == "coco" else dataset)
    count = 80 if dataset == "coco" else tally.num_classes
    columns = {
        "group": list(tally.groups),
        "pixels": np.asarray(tally.pixels, float),
        "images": np.asarray(tally.images, float),
        "size": pixels_where_present(tally.pixels, tally.images),
    }
    return pd.DataFrame(columns, index=pd.Index(tally.names, name="class"))[:count]


def rarity_correlations(dataset: str, epoch: str = "last") -> pd.DataFrame:
    """Spearman's and Pearson's correlation of frequency and IoU over the classes, for every published run.

    Args:
        dataset: one of ``FULL_SCALE``.
        epoch: as for :func:`published_class_iou`.

    Returns:
        ``run``, ``frequency`` (one of ``FREQUENCIES``), ``spearman``, ``pearson`` (as Region Rebalance,
        Eq. 6) and ``pearson_log`` (of the logarithm of the frequency), in percent.
    """
    frequency = class_frequency(dataset)
    iou = published_class_iou(dataset, epoch)[list(frequency.index)]
    values = iou.to_numpy()
    rows = []
    for name in FREQUENCIES:
        known = frequency[name].to_numpy()
        columns = {
            "spearman": _correlation(stats.rankdata(known), stats.rankdata(values, axis=1)),
            "pearson": _correlation(known, values),
            "pearson_log": _correlation(np.log(known), values),
        }
        rows.append(pd.DataFrame({"run": iou.index, "frequency": name} | columns))
    return pd.concat(rows, ignore_index=True)


def rarity_interval(
    dataset: str,
    run: str,
    *,
    epoch: str = "last",
    level: float = 0.95,
    resamples: int = 2_000,
    seed: int = 0,
) -> pd.DataFrame:
    """The same of one run, with percentile intervals of a bootstrap over the classes.

    Args:
        dataset: one of ``FULL_SCALE``.
        run: name of a published run.
        epoch: as for :func:`published_class_iou`.
        level: probability that an interval covers, in (0, 1).
        resamples: how often as many classes are drawn with replacement.
        seed: of the draws.

    Returns:
        ``frequency``, ``measure`` (``"spearman"``, ``"pearson"`` or ``"pearson_log"``), ``value``, ``low``
        and ``high`` in percent, and the number of classes ``n``.

    Raises:
        OptionError: if there is no such run.
    """
    iou = published_class_iou(dataset, epoch)
    if run not in iou.index:
        raise OptionError(f"no run {run!r} on {dataset}; {did_you_mean(run, iou.index)}")
    frequency = class_frequency(dataset)
    value = iou.loc[run, list(frequency.index)].to_numpy(float)
    n = len(value)
    drawn = np.random.default_rng(seed).integers(n, size=(resamples, n))
    edges = [50 * (1 - level), 50 * (1 + level)]
    rows = []
    for name in FREQUENCIES:
        known = frequency[name].to_numpy()
        for measure, x in (("spearman", known), ("pearson", known), ("pearson_log", np.log(known))):
            tables = [x[None], value[None]], [x[drawn], value[drawn]]
            if measure == "spearman":
                tables = (
                    [stats.rankdata(each, axis=1) for each in tables[0]],
                    [stats.rankdata(each, axis=1) for each in tables[1]],
                )
            (point,), many = (_correlation(*pair) for pair in tables)
            rows.append((name, measure, point, *np.percentile(many, edges), n))
    return pd.DataFrame(rows, columns=["frequency", "measure", "value", "low", "high", "n"])


def group_gaps(dataset: str, epoch: str = "last") -> pd.DataFrame:
    """Mean IoU of head, middle and tail of every published run.

    Args:
        dataset: one of ``FULL_SCALE``.
        epoch: as for :func:`published_class_iou`.

    Returns:
        ``run``, ``mIoU`` of the classes whose frequency is known, ``head``, ``middle``, ``tail``, and
        ``gap``, head less tail, in points.
    """
    groups = class_frequency(dataset)["group"]
    iou = published_class_iou(dataset, epoch)
    table = pd.DataFrame({"mIoU": iou[list(groups.index)].mean(axis=1)})
    for group in ("head", "middle", "tail"):
        table[group] = iou[list(groups.index[groups == group])].mean(axis=1)
    table["gap"] = table["head"] - table["tail"]
    return table.reset_index()


def best_less_last(datasets: Sequence[str] = (*FULL_SCALE, "pascal")) -> pd.DataFrame:
    """What choosing the best epoch adds over the last one.

    Of runs without a moving average: the others do not choose by the mean of the weights alone.

    Args:
        datasets: those wanted.

    Returns:
        ``dataset``, ``run``, ``mIoU``: the difference of the means over all classes, ``class``: the mean over
        the classes of the size of the difference, and ``tail``: the difference of the mean over the tail,
        in points; ``tail`` is nan where no groups are known.
    """
    runs = published_runs()
    plain = runs.loc[runs["ema"] == 0, ["dataset", "run"]]
    tables = []
    for dataset in datasets:
        chosen = plain.loc[plain["dataset"] == dataset, "run"]
        best, last = (published_class_iou(dataset, epoch).loc[chosen] for epoch in ("best", "last"))
        change = best - last
        table = pd.DataFrame({"mIoU": change.mean(axis=1), "class": change.abs().mean(axis=1)})
        groups = class_frequency(dataset)["group"] if dataset in FULL_SCALE else pd.Series(dtype=str)
        table["tail"] = change[list(groups.index[groups == "tail"])].mean(axis=1)
        table.insert(0, "dataset", dataset)
        tables.append(table.reset_index())
    return pd.concat(tables, ignore_index=True)


def gains_without_labels(dataset: str, epoch: str = "last") -> pd.DataFrame:
    """What images without labels add, at full scale: semi-supervised runs less the run of the labels alone.

    A run is compared with that of the same data set, share of labels and encoder; one without has no row, nor
    has one whose encoder is not trained.

    Args:
        dataset: one of ``FULL_SCALE``.
        epoch: as for :func:`published_class_iou`.

    Returns:
        ``run``, ``method``, ``labels`` and ``encoder``; ``mIoU``, ``head``, ``middle`` and ``tail``, the
        differences in points, of the classes whose frequency is known; ``base``, the mIoU of the labels
        alone. Fewest labels first.
    """
    runs = published_runs().query("dataset == @dataset and frozen == 0")
    means = group_gaps(dataset, epoch).set_index("run")[["mIoU", "head", "middle", "tail"]]
    alone = runs[runs["method"] == "labels only"].set_index(["labels", "encoder"])["run"]
    taught = runs[(runs["method"] != "labels only") & (runs["labels"] != "all")]
    rows = []
    for run in taught.itertuples():
        base = alone.get((run.labels, run.encoder))
        if base is not None:
            gain = (means.loc[run.run] - means.loc[base]).to_dict()
            names = {"run": run.run, "method": run.method, "labels": run.labels, "encoder": run.encoder}
            rows.append(names | gain | {"base": means.loc[base, "mIoU"]})
    columns = ["run", "method", "labels", "encoder", "mIoU", "head", "middle", "tail", "base"]
    table = pd.DataFrame(rows, columns=columns)
    return table.sort_values("labels", key=lambda s: s.map(lambda x: float(Fraction(x))), kind="stable")


def _correlation(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Pearson's correlation along the last axis, in percent; nan where a side is constant."""
    x, y = (each - each.mean(axis=-1, keepdims=True) for each in (x, y))
    with np.errstate(invalid="ignore"):
        return 100 * (x * y).sum(axis=-1) / np.sqrt((x**2).sum(axis=-1) * (y**2).sum(axis=-1))
