r"""From scores to classes: rules that a trained network gets for nothing.

- ``argmax``: the class with the highest score, what every other number of this project is made of.
- ``rankseg``: RankSEG's reciprocal moment approximation (Wang and Dai, NeurIPS 2025), the labels with the
  highest expected IoU of an image. Classes whose highest probability in it is at most 0.5 are left out, as
  its package does.
- ``rankseg_all``: the same without leaving classes out.
- ``temperature``: the same of calibrated probabilities, proportional to :math:`p^{1/T}` with the T of the
  least validation loss. Without RankSEG a temperature changes no decision.
- ``prior``: :math:`\arg\max_k \log p_k - \tau \log \pi_k`, logit adjustment after training, with the best
  :math:`\tau` on validation images.
- ``offsets``: :math:`\arg\max_k \log p_k + b_k`, with free b from coordinate ascent there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from aucseg.errors import OptionError, did_you_mean, extra

RULES = ("argmax", "rankseg", "rankseg_all", "temperature", "prior", "offsets")
FITTED = ("temperature", "prior", "offsets")
"""Those that are fitted on validation images."""

_TAUS = torch.arange(-0.5, 1.55, 0.05, dtype=torch.float64)
# The budget of the coordinate ascent: rounds over all classes, and offsets tried around the present one.
_ROUNDS = 4
_STEPS = torch.linspace(-2.0, 2.0, 33, dtype=torch.float64)
_TINY = 1e-12


@dataclass(frozen=True)
class Rule:
    """A decision rule with what was fitted for it.

    Attributes:
        name: one of ``RULES``.
        fitted: ``temperature``, ``tau`` or ``offsets`` (K numbers, of mean 0), by name.
    """

    name: str
    fitted: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.name not in RULES:
            raise OptionError(f"no decision rule {self.name!r}; {did_you_mean(self.name, RULES)}")

    def __call__(self, probabilities: Tensor) -> Tensor:
        """Class ids (B,H,W) int64.

        Args:
            probabilities: (B,K,H,W), of each pixel's classes.

        Raises:
            MissingExtraError: for RankSEG without its package.
        """
        if self.name == "argmax":
            return probabilities.argmax(dim=1)
        if self.name in ("prior", "offsets"):
            shift = torch.as_tensor(self.fitted["offsets"]).to(probabilities)
            return (_log(probabilities) + shift[:, None, None]).argmax(dim=1)
        if self.name == "temperature":
            probabilities = (_log(probabilities) / self.fitted["temperature"]).softmax(dim=1)
        with extra("decision"):
            from rankseg import rankseg_rma
        skip = 0.5 if self.name == "rankseg" else 0.0
        # image by image: it sorts every class of an image, several copies of the batch
        ids = [
            rankseg_rma(image[None].clamp(0, 1), metric="iou", pruning_prob=skip) for image in probabilities
        ]
        return torch.cat(ids)


def fit_rule(name: str, probabilities: Tensor, target: Tensor, prior: Tensor | None = None) -> Rule:
    """A rule from the scores of some validation pixels; one that has nothing to fit as it is.

    Args:
        name: one of ``RULES``.
        probabilities: (N,K), of labelled pixels.
        target: (N,) their labels.
        prior: (K,) share of each class among the training pixels, positive; for ``prior`` alone.

    Raises:
        OptionError: for an unknown rule, or ``prior`` without a prior.
    """
    scores = _log(probabilities.double())
    if name == "temperature":
        return Rule(name, {"temperature": _temperature(scores, target)})
    if name == "prior":
        if prior is None:
            raise OptionError("rule 'prior' needs the prior", remedy="give the classes' training pixels")
        log_prior = prior.double().log()
        values = [mean_iou((scores - tau * log_prior).argmax(1), target, len(prior)) for tau in _TAUS]
        tau = float(_TAUS[int(torch.tensor(values).argmax())])
        shift = -tau * (log_prior - log_prior.mean())
        return Rule(name, {"tau": round(tau, 6), "offsets": shift.tolist()})
    if name == "offsets":
        return Rule(name, {"offsets": _ascend(scores, target).tolist()})
    return Rule(name)


def mean_iou(ids: Tensor, target: Tensor, num_classes: int) -> float:
    """MIoU of labelled pixels, over the classes that occur among labels or predictions.

    Args:
        ids: (N,) predicted classes.
        target: (N,) labels.
        num_classes: K.
    """
    cells = torch.bincount(target * num_classes + ids, minlength=num_classes**2).view(num_classes, -1)
    hits, union = cells.diagonal().double(), cells.sum(0) + cells.sum(1) - cells.diagonal()
    return float((hits / union)[union > 0].mean())


def _log(probabilities: Tensor) -> Tensor:
    return probabilities.clamp(min=_TINY).log()


def _temperature(scores: Tensor, target: Tensor) -> float:
    """The temperature with the least cross entropy, between 1/20 and 20."""

    def loss(log_temperature: float) -> float:
        scaled = scores / torch.tensor(log_temperature, dtype=torch.float64).exp()
        return float(torch.nn.functional.cross_entropy(scaled, target))

    found = minimize_scalar(loss, bounds=(-3.0, 3.0), method="bounded", options={"xatol": 1e-4})
    return float(torch.tensor(found.x, dtype=torch.float64).exp())


def _ascend(scores: Tensor, target: Tensor) -> Tensor:
    """Offsets of mean 0 by coordinate ascent on the mIoU; (K,) float64.

    One class moves at a time: a pixel is its own where the offset exceeds what the best other class is ahead,
    so the best others are found once for a class and every candidate is a comparison.
    """
    count = scores.shape[1]
    offsets = torch.zeros(count, dtype=torch.float64)
    best = mean_iou(scores.argmax(1), target, count)
    for _ in range(_ROUNDS):
        before = best
        for k in range(count):
            shifted = scores + offsets
            own = scores[:, k]
            shifted[:, k] = -torch.inf
            ahead, other = shifted.max(1)
            for candidate in offsets[k] + _STEPS:
                value = mean_iou(torch.where(own + candidate > ahead, k, other), target, count)
                if value > best + 1e-12:
                    best, offsets[k] = value, candidate
        if best == before:
            break
    return offsets - offsets.mean()
