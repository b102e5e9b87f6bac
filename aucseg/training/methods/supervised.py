"""Supervised training with a memory bank (AUCSeg, Algorithm 2)."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from aucseg.training.methods.base import Method, MethodConfig, MethodContext


class SupervisedConfig(MethodConfig):
    """Every training image has a mask.

    Attributes:
        name: ``"supervised"``.
        source: the images of another domain that are trained on; see :class:`MethodConfig`.
    """

    name: Literal["supervised"] = "supervised"

    def build(self, model: nn.Module) -> Method:
        """The method of a run; it remembers nothing."""
        return Supervised()


class Supervised(Method):
    """Batch -> bank stores the tail classes it sees and pastes those it misses -> network -> objective."""

    def step(self, module: MethodContext, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """One step of Algorithm 2; see :meth:`Method.step`."""
        images, target = batch
        if module.bank is not None:
            images, target = module.bank(images, target)
        return module.losses(images, target)
