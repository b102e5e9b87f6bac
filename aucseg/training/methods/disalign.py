"""DisAlign's second stage: what the classifier says is aligned, on features that stay as they are."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor, nn

from aucseg.models import AlignedConv2d, classifier
from aucseg.training.methods.base import Method, MethodConfig, MethodContext
from aucseg.training.methods.supervised import Supervised
from aucseg.training.section import ConfigError


class DisAlignConfig(MethodConfig):
    """The second stage of DisAlign (CVPR 2021), of a run with an ``init_from`` and ``model.head: aligned``.

    It trains scale, shift and confidence of the head (:class:`aucseg.models.AlignedConv2d`). The paper
    freezes all else, the released code nothing; here all else is frozen, its normalisation and dropout as in
    evaluation. The paper's loss is objective ``weighted_cross_entropy`` with ``weights: power`` and
    ``normalize: pixels``, its length 2.5% of the first stage's steps.

    Attributes:
        name: ``"disalign"``.
    """

    name: Literal["disalign"] = "disalign"

    needs_first_stage: ClassVar[bool] = True

    def build(self, model: nn.Module) -> Method:
        """The method of a run; it remembers nothing, and freezes the network but for the head's alignment."""
        if not isinstance(head := classifier(model), AlignedConv2d):
            raise ConfigError(
                "method 'disalign' trains what an aligned head has beside its classifier, and the network "
                "has none",
                remedy="set model.head to aligned, or to aligned_relu for the released code's",
            )
        model.requires_grad_(False)
        for parameter in head.alignment().values():
            parameter.requires_grad_(True)
        return DisAlign()


class DisAlign(Supervised):
    """One supervised step of the head's alignment alone."""

    def step(self, module: MethodContext, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """Batch -> bank -> frozen network, aligned head -> objective; see :meth:`Method.step`."""
        head = classifier(module.model.eval())
        assert isinstance(head, AlignedConv2d)
        head.confidence.train()
        return super().step(module, batch)
