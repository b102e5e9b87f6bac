"""What to use when: questions of a user, the claims that bear on each, and what records say about them.

The questions and claims are written here; every answer is computed, see :func:`judge`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import get_args

from aucseg.errors import did_you_mean
from aucseg.experiments.catalogue import Experiment, get_experiment
from aucseg.experiments.profiles import STARTS, Start
from aucseg.experiments.results import Difference, Results
from aucseg.experiments.store import RecordStore
from aucseg.training import ConfigError

DATASET_TITLES = {
    "streets": "drawn streets",
    "camvid": "CamVid",
    "ccp": "CCP",
    "ecssd": "ECSSD",
    "carla": "CARLA",
}
"""The data sets of the evidence as a reader knows them."""

CHANGE_METRICS = ("mIoU_tail", "mIoU", "mIoU_head")
VERDICT_WORDS = ("better", "a trade", "it depends", "undecided", "worse", "not measured")


@dataclass(frozen=True)
class Claim:
    """That a method gives the tail more than another one.

    Attributes:
        about: both in words.
        chapter: page of the book.
        sources: where both are recorded: names of an experiment, of the arm with the method and of the arm
            that it is compared with.
    """

    about: str
    chapter: str
    sources: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class Measured:
    """What the runs of one data set and one start say about a claim.

    Attributes:
        dataset: its name.
        start: what encoders start from; ``None`` for the profile's own network from random weights.
        seeds: pairs of runs.
        changes: mean and half width of the 95% interval in points of IoU, paired by seed, by metric; of
            ``CHANGE_METRICS`` those that the runs have.
        key: of the table among all records, as that of :class:`Provenance`.
    """

    dataset: str
    start: Start | None
    seeds: int
    changes: Mapping[str, Difference]
    key: str

    @property
    def place(self) -> str:
        """Where it was measured, for a reader."""
        title = DATASET_TITLES.get(self.dataset, self.dataset)
        return title if self.start is None else f"{title}, from {STARTS[self.start]}"

    def sign(self, metric: str) -> str:
        """``"rises"``, ``"falls"``, ``"open"`` where the interval holds zero, ``""`` without an interval.

        Args:
            metric: of ``CHANGE_METRICS``.
        """
        mean, half = self.changes.get(metric, (math.nan, math.nan))
        if math.isnan(mean) or math.isnan(half):
            return ""
        return "open" if abs(mean) <= half else "rises" if mean > 0 else "falls"


@dataclass(frozen=True)
class Verdict:
    """What all places say together about a claim.

    Attributes:
        word: one of ``VERDICT_WORDS``.
        sentence: why.
    """

    word: str
    sentence: str


@dataclass(frozen=True)
class Question:
    """One question of the guide.

    Attributes:
        name: short name, a Python identifier.
        ask: the question.
        why: what follows without a measurement, in a sentence or two.
        claims: what bears on it.
    """

    name: str
    ask: str
    why: str
    claims: tuple[Claim, ...]


def measure_claim(
    claim: Claim,
    profile: str = "laptop",
    datasets: Iterable[str] = tuple(DATASET_TITLES),
    *,
    store: RecordStore | None = None,
) -> tuple[Measured, ...]:
    """Every place where both sides of a claim are recorded with the same seed.

    Runs that two experiments share, or two starts, are told once.

    Args:
        claim: what is compared.
        profile: of the runs.
        datasets: names of the data sets that are looked at.
        store: where records lie; those of the project by default.

    Raises:
        ConfigError: for an experiment or an arm that does not exist.
    """
    found: list[Measured] = []
    known: set[tuple[str, ...]] = set()
    starts: tuple[Start | None, ...] = (None, *get_args(Start))
    for dataset in datasets:
        for experiment, arm, than in ((_pair(*source), *source[1:]) for source in claim.sources):
            for start in starts if experiment.has(dataset) else ():
                results = Results(experiment, dataset, profile, compute="never", start=start, store=store)
                pairs = results.pairs(arm, than)
                identities = tuple(record.identity for each in pairs for record in each)
                if not pairs or identities in known:
                    continue
                known.add(identities)
                changes = {
                    metric: change
                    for metric in CHANGE_METRICS
                    if (change := results.difference(arm, than, metric)) is not None
                }
                found.append(Measured(dataset, start, len(pairs), changes, results.provenance.key))
    return tuple(found)


def _pair(name: str, arm: str, than: str) -> Experiment:
    """An experiment with two of its arms, and what these start from."""
    experiment = get_experiment(name)
    arms = {known.name: known for known in experiment.arms}
    for wanted in (arm, than):
        if wanted not in arms:
            raise ConfigError(f"experiment {name!r} has no arm {wanted!r}; {did_you_mean(wanted, arms)}")
    names = {arm, than, arms[arm].init_from, arms[than].init_from}
    return replace(experiment, arms=tuple(known for known in experiment.arms if known.name in names))


def judge(measured: Sequence[Measured]) -> Verdict:
    """What several places say together about one claim.

    Only places with an interval count, those of two seeds or more. By the tail's mIoU:

    - *better*: it rises somewhere and falls nowhere, and the mIoU of all classes falls nowhere;
    - *a trade*: it rises somewhere and falls nowhere, and the mIoU of all classes falls somewhere;
    - *it depends*: it rises somewhere and falls somewhere;
    - *worse*: it rises nowhere, and it or the mIoU of all classes falls somewhere;
    - *undecided*: none of these, or no place has an interval.

    Args:
        measured: of one claim.

    Example:
        >>> one = Measured("streets", None, 5, {"mIoU_tail": (1.5, 0.4), "mIoU": (0.1, 0.3)}, "")
        >>> judge([one])
        Verdict(word='better', sentence='The tail rises on drawn streets. All classes: undecided.')
    """
    if not measured:
        return Verdict("not measured", "No pair of runs is recorded.")
    decided = [each for each in measured if each.sign("mIoU_tail")]
    if not decided:
        where = _and(each.place for each in measured)
        return Verdict("undecided", f"One seed on {where}, so nothing is known about its spread.")
    tail, overall = _signs(decided, "mIoU_tail"), _signs(decided, "mIoU")
    if tail["rises"] and tail["falls"]:
        word = "it depends"
    elif tail["rises"]:
        word = "a trade" if overall["falls"] else "better"
    else:
        word = "worse" if tail["falls"] or overall["falls"] else "undecided"
    told = f"{_told('The tail', tail)} {_told('All classes', overall)}"
    single = [each.place for each in measured if each not in decided]
    return Verdict(word, told + (f" One seed on {_and(single)}." if single else ""))


def _signs(measured: Iterable[Measured], metric: str) -> dict[str, list[str]]:
    places: dict[str, list[str]] = {"rises": [], "falls": [], "open": []}
    for each in measured:
        if sign := each.sign(metric):
            places[sign].append(each.place)
    return places


def _told(what: str, places: Mapping[str, Sequence[str]]) -> str:
    """One sentence about one metric."""
    verbs = ("rises", "falls")
    parts = [
        f"{verb if what == 'The tail' else verb[:-1]} on {_and(places[verb])}"
        for verb in verbs
        if places[verb]
    ]
    if not parts:
        return f"{what}: undecided{_everywhere(places['open'])}."
    still = f"; undecided on {_and(places['open'])}" if places["open"] else ""
    return f"{what} {' and '.join(parts)}{still}."


def _everywhere(places: Sequence[str]) -> str:
    return f" on {_and(places)}" if len(places) > 1 else ""


def _and(words: Iterable[str]) -> str:
    *first, last = words
    return f"{'; '.join(first)}; and {last}" if len(first) > 1 else " and ".join([*first, last])


# The same comparison in short runs on other data sets.
_ALSO = {
    ("ablation_components", "auc", "baseline"): (("defaults", "auc", "cross_entropy"),),
    ("ablation_components", "both", "baseline"): (("defaults", "aucseg", "cross_entropy"),),
    ("ablation_components", "both", "auc"): (("defaults", "aucseg", "auc"),),
}


def _of(experiment: str, chapter: str, *arms: tuple[str, str, str]) -> tuple[Claim, ...]:
    return tuple(
        Claim(
            about, f"notebooks/{chapter}", ((experiment, arm, than), *_ALSO.get((experiment, arm, than), ()))
        )
        for about, arm, than in arms
    )


GUIDE: tuple[Question, ...] = (
    Question(
        "few_pixels",
        "My rare classes are small in the images that hold them",
        "A loss acts on what a batch holds, so it bears on classes of few pixels. Cross entropy counts "
        "pixels; these count pairs of classes, regions or overlap, or move the logits of rare classes.",
        (
            *_of(
                "ablation_components",
                "ablation_components",
                ("the AUC loss beside cross entropy", "auc", "baseline"),
            ),
            *_of(
                "region_rebalance",
                "region_rebalance",
                ("Region Rebalance beside cross entropy", "rr", "baseline"),
                ("weights of one over pixels beside cross entropy", "reweighting", "baseline"),
            ),
            *_of(
                "long_tail_losses",
                "long_tail_losses",
                ("BLV as published beside cross entropy", "blv", "baseline"),
                ("logit adjustment as published beside cross entropy", "la", "baseline"),
                ("the focal loss beside cross entropy", "focal", "baseline"),
            ),
            *_of(
                "region_dice",
                "region_rebalance",
                ("the Dice loss beside cross entropy", "dice", "baseline"),
                ("cross entropy and the Dice loss beside cross entropy", "dice_ce", "baseline"),
            ),
            *_of(
                "blv_rivals",
                "blv",
                ("Lovász-Softmax beside cross entropy", "lovasz", "baseline"),
            ),
        ),
    ),
    Question(
        "few_images",
        "My rare classes are missing from most batches",
        "No loss sees what is not there. A bank pastes it, a sampler looks for it, a larger batch has more "
        "of it.",
        (
            *_of(
                "ablation_components",
                "ablation_components",
                ("the memory bank beside cross entropy", "bank", "baseline"),
                ("the memory bank beside the AUC loss", "both", "auc"),
            ),
            *_of(
                "sampling",
                "memory_bank",
                ("batches that hold every class beside random ones", "covering", "random"),
                ("copy and paste within the batch beside random batches", "copy_paste", "random"),
            ),
            *_of(
                "batch_size",
                "memory_bank",
                ("twice the batch in half the steps beside the batch", "double_half", "auc"),
                ("the bank beside twice the batch in half the steps", "bank", "double_half"),
            ),
        ),
    ),
    Question(
        "both",
        "I want all of AUCSeg",
        "The loss and the bank are two changes. Together they can give more than each, or not.",
        (
            *_of(
                "ablation_components",
                "ablation_components",
                ("AUCSeg beside cross entropy", "both", "baseline"),
                ("AUCSeg beside its bank alone", "both", "bank"),
            ),
        ),
    ),
    Question(
        "rivals",
        "I want the best loss, each as well tuned as the others",
        "Each had three settings and one seed on validation images of the drawn streets; the best of them "
        "was trained again with more seeds.",
        _of(
            "long_tail_tuned",
            "long_tail_losses",
            ("the AUC loss beside tuned logit adjustment", "auc", "la"),
            ("the AUC loss beside tuned vector scaling", "auc", "vs"),
            ("the AUC loss beside tuned BLV", "auc", "blv"),
            ("the AUC loss beside tuned Region Rebalance", "auc", "rr"),
            ("the AUC loss beside the tuned focal loss", "auc", "focal"),
        ),
    ),
    Question(
        "combined",
        "I want to add methods to one another",
        "The AUC loss and Region Rebalance act on different things, pairs of logits and features of regions, "
        "and one run can have both; so it can have BLV and the AUC loss.",
        (
            *_of(
                "region_rebalance",
                "region_rebalance",
                ("Region Rebalance and AUC beside Region Rebalance", "rr_auc", "rr"),
                ("Region Rebalance and AUC beside cross entropy", "rr_auc", "baseline"),
            ),
            *_of(
                "domain_adaptation",
                "domain_adaptation",
                ("BLV and AUC beside BLV, labels of another domain", "both", "blv"),
            ),
        ),
    ),
    Question(
        "which_auc",
        "I want another form of the AUC loss",
        "Its default is the square surrogate, one-vs-one.",
        (
            *_of(
                "surrogates",
                "auc_loss",
                ("the exponential surrogate beside the square", "exp", "square"),
                ("the hinge beside the square", "hinge", "square"),
                ("the logistic surrogate beside the square", "logistic", "square"),
            ),
            *_of(
                "multiclass",
                "auc_loss",
                ("one-vs-all beside one-vs-one, both a mean", "ova", "ovo"),
            ),
        ),
    ),
    Question(
        "networks",
        "I have another network",
        "AUCSeg beside cross entropy, in networks of other makes and sizes.",
        (
            *_of(
                "backbones",
                "networks",
                ("AUCSeg in DeepLabV3+", "deeplabv3plus_aucseg", "deeplabv3plus"),
                ("AUCSeg in OCRNet", "ocrnet_aucseg", "ocrnet"),
                ("AUCSeg in EMANet", "emanet_aucseg", "emanet"),
                ("AUCSeg in ISANet", "isanet_aucseg", "isanet"),
            ),
            *_of(
                "segnext_sizes",
                "networks",
                ("AUCSeg in the smallest SegNeXt", "segnext_t_aucseg", "segnext_t"),
                ("AUCSeg in the largest SegNeXt", "segnext_l_aucseg", "segnext_l"),
            ),
        ),
    ),
    Question(
        "few_labels",
        "Most of my images have no labels",
        "A teacher labels the others. What a method does to the tail it then does to pseudo-labels too.",
        _of(
            "semi_supervised_16",
            "semi_supervised",
            ("self-training beside the labelled images alone", "self_training", "labelled_only"),
            ("BLV with the true counts beside self-training", "blv_true", "self_training"),
            ("the AUC loss beside self-training, few labels", "auc", "self_training"),
        ),
    ),
    Question(
        "other_domain",
        "My labels are of another domain",
        "Classes, looks and frequencies differ between the two, and the teacher has to bridge that.",
        _of(
            "domain_adaptation",
            "domain_adaptation",
            ("self-training beside the source alone", "self_training", "source_only"),
            ("BLV beside self-training, another domain", "blv", "self_training"),
            ("the AUC loss beside self-training, another domain", "auc", "self_training"),
        ),
    ),
)
"""What a user asks, and the claims that bear on it."""
