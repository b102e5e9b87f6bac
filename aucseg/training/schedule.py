"""The learning-rate schedule of AUCSeg F.2."""

from __future__ import annotations

from aucseg.training.sections import OptimConfig


def learning_rate(step: int, optim: OptimConfig) -> float:
    r"""Learning rate of one optimiser step: polynomial decay times linear warm-up.

    .. math:: \eta_t = \eta \, (1 - t/T)^{p}

    and, for the first :math:`T_w` steps, the straight line from the warm-up rate to the decayed rate that the
    schedule would have at :math:`T_w`.

    Args:
        step: optimiser step t, from 0 to ``optim.steps``.
        optim: rates and lengths; ``steps`` is T, ``warmup_steps`` is T_w, ``power`` is p.

    Returns:
        The rate, in [0, lr] unless ``warmup_lr`` exceeds ``lr``.
    """

    def decayed(t: int) -> float:
        return optim.lr * max(0.0, 1 - t / optim.steps) ** optim.power

    if step >= optim.warmup_steps:
        return decayed(step)
    done = step / optim.warmup_steps
    return optim.warmup_lr + done * (decayed(optim.warmup_steps) - optim.warmup_lr)
