"""What the benchmark of the AUC loss compares: ours, cross entropy, and how else one would write it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

import torch
from measure import patches
from torch import Tensor
from torch.nn import functional as F

from aucseg.losses import AUCLoss, AUCSegLoss

Loss = Callable[[Tensor, Tensor], Tensor]

CE, AUC, FUSED, UNFUSED = "cross entropy", "AUC", "AUC + CE fused", "AUC + CE unfused"
ONE_HOT, PAIRS, LIBAUC = "one-hot class loop", "pairwise matrix", "LibAUC pairs"
# Which of them must agree, at every size that is measured.
EQUAL = ((AUC, ONE_HOT, PAIRS, LIBAUC), (FUSED, UNFUSED))
# Surrogates and forms of AUCLoss beside the square, one against one; the first is the default.
FORMS = {
    AUC: {},
    "AUC hinge": {"surrogate": "hinge"},
    "AUC squared hinge at margin 0.5": {"surrogate": "squared_hinge", "margin": 0.5},
    "AUC exp": {"surrogate": "exp"},
    "AUC logistic": {"surrogate": "logistic"},
    "AUC one-vs-all": {"multiclass": "ova"},
}
VOID = -100  # 255 is a class where there are a thousand


@dataclass(frozen=True)
class Setting:
    """A batch: its size, and how many classes each of its images holds (None: all of them)."""

    num_classes: int
    batch: int
    height: int
    width: int
    held: int | None = 15
    patch: int = 32

    def make(self, device: str) -> tuple[Tensor, Tensor]:
        """Random logits that want a gradient, and a target of patches."""
        k, b, h, w = self.num_classes, self.batch, self.height, self.width
        target = patches(b, k, h, w, seed=0, present=self.held, patch=self.patch, every=True, void=VOID)
        logits = torch.randn(b, k, h, w, generator=torch.Generator().manual_seed(0))
        return logits.to(device).requires_grad_(), target.to(device)


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """What every training step pays already."""
    return F.cross_entropy(logits, target, ignore_index=VOID)


def candidates(num_classes: int, names: tuple[str, ...]) -> dict[str, Loss]:
    """Some losses by name; without LibAUC's where it is not installed."""
    auc = {
        name: AUCLoss(num_classes, ignore_index=VOID, validate=False, **options)
        for name, options in FORMS.items()
    }

    def unfused(logits: Tensor, target: Tensor) -> Tensor:
        return auc[AUC](logits, target) + cross_entropy(logits, target)

    known: dict[str, Loss] = {
        CE: cross_entropy,
        **auc,
        FUSED: AUCSegLoss(num_classes, ignore_index=VOID, validate=False),
        UNFUSED: unfused,
        ONE_HOT: one_hot_class_loop,
        PAIRS: pairwise_matrix,
    }
    # not a dependency; `pip install --no-deps libauc` is enough for its losses
    if LIBAUC in names and find_spec("libauc") is not None:
        known[LIBAUC] = libauc_pairs()
    return {name: known[name] for name in names if name in known or name != LIBAUC}


def one_hot_class_loop(logits: Tensor, target: Tensor) -> Tensor:
    """The same loss, the straightforward way: a dense one-hot of all pixels, one class after the other."""
    k = logits.shape[1]
    scores = logits.sigmoid().permute(0, 2, 3, 1).reshape(-1, k)
    labels = target.flatten()
    scores, labels = scores[labels != VOID], labels[labels != VOID]
    one_hot = F.one_hot(labels, k).to(scores.dtype)
    count = one_hot.sum(0)
    present = [c for c in range(k) if count[c] > 0]
    share = one_hot @ count.clamp(min=1).reciprocal()  # 1 / |N_c| for each pixel of class c
    total = logits.new_zeros(())
    for c in present:
        score, positive = scores[:, c], one_hot[:, c]
        own, other = positive * share, (1 - positive) * share
        shortfall = 1 - score
        total = total + (len(present) - 1) * (own * shortfall.square()).sum()
        total = total + 2 * (own * shortfall).sum() * (other * score).sum() + (other * score.square()).sum()
    return total / (len(present) * (len(present) - 1))


def pairwise_matrix(logits: Tensor, target: Tensor) -> Tensor:
    """The same loss by its definition: for two classes the matrix of all pairs of their pixels."""
    own = by_class(logits, target)
    terms = [
        (1 - (own[c][:, None, c] - own[d][None, :, c])).square().mean() for c in own for d in own if c != d
    ]
    return torch.stack(terms).mean()


def libauc_pairs() -> Loss:
    """The same loss from LibAUC's two-class loss, called for each ordered pair of classes."""
    from libauc.losses import PairwiseAUCLoss

    two_class = PairwiseAUCLoss("squared", 1.0)

    def loss(logits: Tensor, target: Tensor) -> Tensor:
        own = by_class(logits, target)
        terms = []
        for c in own:
            for d in own:
                if c != d:
                    scores = torch.cat((own[c][:, c], own[d][:, c]))
                    positive = torch.arange(len(scores), device=scores.device) < len(own[c])
                    terms.append(two_class(scores, positive.long()))
        return torch.stack(terms).mean()

    return loss


def by_class(logits: Tensor, target: Tensor) -> dict[int, Tensor]:
    """Scores (N_c, K) of the pixels of each class that is there."""
    scores, labels = logits.sigmoid().movedim(1, -1).flatten(0, -2), target.flatten()
    return {c: scores[labels == c] for c in labels.unique().tolist() if c != VOID}
