"""How long a recorded run trained; without PyTorch, so that a status of many runs takes no time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Less than this part of its steps at their median pace cannot be the whole of a training.
_LEAST = 0.5


def training_seconds(timing: Mapping[str, float], config: Mapping[str, Any]) -> float:
    """Seconds of a training.

    The first versions forgot what lay before a resume: a total that is shorter than half of the steps at
    their median pace is one of those, and the steps at that pace stand for it.

    Args:
        timing: of the record, with ``seconds_total`` and ``seconds_per_step``.
        config: of the record, with ``optim.steps``; without them the total is believed.

    Example:
        >>> training_seconds({"seconds_total": 0.1, "seconds_per_step": 0.4}, {"optim": {"steps": 800}})
        320.0
        >>> training_seconds({"seconds_total": 350.0, "seconds_per_step": 0.4}, {"optim": {"steps": 800}})
        350.0
    """
    total, steps = float(timing["seconds_total"]), config.get("optim", {}).get("steps", 0)
    paced = float(steps * timing["seconds_per_step"])
    return paced if total < _LEAST * paced else total
