"""What the papers' tables would cost at the papers' settings, and in which order they tell most.

Nothing of it was run at that size. The times are those of one published measurement, of one network, carried
over to the others by what was measured here on a CPU; every row says whether it was carried over.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pandas as pd

from aucseg.errors import OptionError, UserError
from aucseg.experiments.benchmarks import benchmark_table
from aucseg.experiments.catalogue import EXPERIMENTS
from aucseg.experiments.published import published_table, stated
from aucseg.models import standard_encoder
from aucseg.training import RunConfig

PAPER_DATASETS = ("cityscapes", "ade20k", "coco_stuff")
_ANCHOR = ("segnext", "mscan_l")  # the network whose step and memory AUCSeg prints
_ANCHOR_PIXELS = 4 * 512 * 512  # of a step on ADE20K, of which it prints the memory


@dataclass(frozen=True)
class PublishedCost:
    """What AUCSeg and BLV print about the cost of their own runs.

    Attributes:
        step: seconds of a step of SegNeXt with cross entropy, on a GeForce RTX 3090 (AUCSeg, Appendix H).
        step_aucseg: the same with AUCSeg.
        memory: GB of the GPU with cross entropy, on ADE20K (AUCSeg, Table 14).
        memory_aucseg: the same with AUCSeg.
        blv: time of a training with BLV over one without (BLV, Supplementary Table 4, HRNet with OCR).
    """

    step: float
    step_aucseg: float
    memory: float
    memory_aucseg: float
    blv: float


def published_cost() -> PublishedCost:
    """Those numbers, from ``data/published``.

    Raises:
        PublishedError: if the tables are not there.
    """
    memory = published_table("aucseg", "table_14")
    memory = memory[memory["quantity"] == "gpu_memory"].set_index(["auc_loss", "tmb"])["value"]
    hours = published_table("blv", "supp_table_4")
    hours = hours[hours["decoder"] == "OCRHead"].set_index("blv")["value"]
    return PublishedCost(
        step=stated("aucseg", "SegNeXt training time per iteration"),
        step_aucseg=stated("aucseg", "AUCSeg training time per iteration"),
        memory=float(memory[0, 0]),
        memory_aucseg=float(memory[1, 1]),
        blv=float(hours[1] / hours[0]),
    )


def scale_runs(
    datasets: Sequence[str] = PAPER_DATASETS, seeds: Sequence[int] = (0, 1, 2), *, throughput: float = 1.0
) -> pd.DataFrame:
    r"""Every run of every published table at the profile ``"paper"``, and what it would cost.

    .. math:: \text{hours} = \frac{n\, t}{3600\, q} \cdot \frac{p}{4 \cdot 512^2} \cdot \frac{s}{s_0} \cdot m

    with :math:`n` steps, the published step :math:`t` of SegNeXt-L, throughput :math:`q` of the GPU,
    :math:`p` pixels in a step, the time :math:`s / s_0` of the network's step beside SegNeXt-L's (one image
    of 512 x 512 on a CPU) and the published factor :math:`m` of the method (AUCSeg, BLV; others count as
    cross entropy). The paper does not say for which of its data sets :math:`t` holds; it is taken for
    ADE20K's.
    Memory goes with pixels and the network's peak in the same way. Evaluation is not counted.

    Args:
        datasets: of the three that the papers train on.
        seeds: of each arm.
        throughput: of the GPU, an RTX 3090 is 1.

    Returns:
        One row for each run of each table: ``experiment``, ``paper``, ``table``, ``dataset``, ``arm``,
        ``seed``, ``identity``, ``steps``, ``hours``, ``memory_gb`` and ``carried_over``, false where size and
        network are those of the published figure. A run that two tables want has two rows of one identity.
        Tables that none of these data sets can fill are in ``attrs["left_out"]``, with the reason.

    Raises:
        OptionError: if the throughput is not positive.
        BenchmarkError: if no networks were measured.
    """
    if not 0 < throughput < float("inf"):
        raise OptionError(f"throughput is {throughput}", remedy="give it in RTX 3090, as 2.5")
    cost, rows, left_out = published_cost(), [], dict[str, str]()
    for experiment in EXPERIMENTS.values():
        if experiment.table is None:
            continue
        for dataset in datasets:
            try:
                planned = experiment.runs(dataset, "paper", seeds)
            except UserError as error:  # it is about other data: pairs of domains, images without labels
                left_out.setdefault(experiment.name, str(error))
                continue
            for run in planned:
                rows.append(
                    {
                        "experiment": experiment.name,
                        "paper": experiment.paper,
                        "table": experiment.table,
                        "dataset": dataset,
                        "arm": run.arm.name,
                        "seed": run.config.seed,
                        "identity": run.config.identity,
                    }
                    | _cost(run.config, cost, throughput)
                )
    found = pd.DataFrame(rows)
    found.attrs["left_out"] = left_out
    return found


def _cost(config: RunConfig, cost: PublishedCost, throughput: float) -> dict[str, Any]:
    height, width = config.data.crop_size or config.data.size
    pixels = config.data.batch_size * height * width / _ANCHOR_PIXELS
    name = config.model.name
    encoder = config.model.encoder or standard_encoder(name)
    time, peak = _beside_anchor(name, encoder)
    auc = config.loss.name == "auc"
    factor = cost.step_aucseg / cost.step if auc else cost.blv if config.loss.name == "blv" else 1.0
    memory = (cost.memory * peak + (cost.memory_aucseg - cost.memory) * auc) * pixels
    return {
        "steps": config.optim.steps,
        "hours": config.optim.steps * cost.step * factor * time * pixels / throughput / 3600,
        "memory_gb": memory,
        "carried_over": (name, encoder, pixels) != (*_ANCHOR, 1.0),
    }


@lru_cache
def _beside_anchor(name: str, encoder: str | None) -> tuple[float, float]:
    """Time and peak memory of a network's step, SegNeXt-L's being 1; of a like one if it was not measured."""
    table = benchmark_table("networks")
    table = table[table["device"] == "cpu"].fillna({"encoder": ""})
    columns = table.set_index(["network", "encoder"])[["step_ms", "step_peak_bytes"]]
    anchor = columns.loc[_ANCHOR]
    if (name, encoder or "") in columns.index:
        found = columns.loc[(name, encoder or "")]
    elif (same := columns[columns.index.get_level_values(0) == name]).empty:
        found = columns.median()  # of all: no network of its name was measured
    else:
        found = same.iloc[-1]
    return float(found["step_ms"] / anchor["step_ms"]), float(
        found["step_peak_bytes"] / anchor["step_peak_bytes"]
    )


def table_costs(runs: pd.DataFrame, *, price: float = 0.0) -> pd.DataFrame:
    """What each table costs on each data set, if it were the only one.

    Args:
        runs: of :func:`scale_runs`.
        price: of an hour of the GPU.

    Returns:
        One row for each table and data set: ``runs``, ``shared`` (of them, those whose record another table
        wants too), ``hours``, ``memory_gb`` (of its largest run) and ``price``.
    """
    wanted = runs.groupby("identity")["experiment"].nunique()
    table = runs.drop_duplicates(["experiment", "dataset", "identity"])
    table = table.assign(shared=table["identity"].map(wanted) > 1)
    keys = ["paper", "table", "experiment", "dataset"]
    found = table.groupby(keys, sort=False).agg(
        runs=("identity", "size"),
        shared=("shared", "sum"),
        hours=("hours", "sum"),
        memory_gb=("memory_gb", "max"),
    )
    return found.assign(price=found["hours"] * price).reset_index()


def evidence_order(runs: pd.DataFrame, done: Iterable[str] = (), *, price: float = 0.0) -> pd.DataFrame:
    """Tables in the order that tells most for each hour.

    The next one is that with the most comparisons for each hour that it still needs: runs that an earlier
    table has paid for are free. A comparison is an arm beside the one that its table compares it with, on one
    data set, with all seeds; each counts the same.

    Args:
        runs: of :func:`scale_runs`.
        done: identities of runs that have a record already.
        price: of an hour of the GPU.

    Returns:
        One row for each table and data set, in that order: ``comparisons``, ``new_runs``, ``new_hours``, and
        summed up to here ``hours``, ``price`` and ``all_comparisons``.
    """
    have = set(done)
    once = runs.drop_duplicates(["experiment", "dataset", "identity"])
    left = {
        (str(name), str(dataset)): part for (name, dataset), part in once.groupby(["experiment", "dataset"])
    }
    rows: list[dict[str, Any]] = []
    hours, told = 0.0, 0

    def needs(key: tuple[str, str]) -> pd.DataFrame:
        return left[key][~left[key]["identity"].isin(list(have))]

    def worth(key: tuple[str, str]) -> tuple[float, float]:
        time, count = float(needs(key)["hours"].sum()), len(EXPERIMENTS[key[0]].comparisons)
        return (count / time if time else float("inf"), count)

    while left:
        key = max(left, key=worth)
        new, count = needs(key), len(EXPERIMENTS[key[0]].comparisons)
        hours, told = hours + float(new["hours"].sum()), told + count
        rows.append(
            {
                "experiment": key[0],
                "dataset": key[1],
                "comparisons": count,
                "new_runs": len(new),
                "new_hours": float(new["hours"].sum()),
                "hours": hours,
                "price": hours * price,
                "all_comparisons": told,
            }
        )
        have |= set(left.pop(key)["identity"])
    return pd.DataFrame(rows)
