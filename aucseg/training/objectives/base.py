"""What an objective is: a module from logits and target to what is minimised, and its configuration."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from aucseg.losses import SegmentationLoss
from aucseg.training.classes import ClassInfo
from aucseg.training.section import Section


class Objective(nn.Module):
    """What a network is trained to make small.

    Its parameters, if it has any, are trained with the network's, at the decoder's rate, and are kept in the
    checkpoint; so are its buffers.

    Attributes:
        needs_features: whether :meth:`forward` wants the features that the network's classifier gets.
    """

    needs_features: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()

    def attach(self, model: nn.Module) -> None:
        """Make what depends on the network; called once, before the optimiser asks for parameters.

        Args:
            model: the network.
        """

    def forward(self, logits: Tensor, target: Tensor, features: Tensor | None = None) -> dict[str, Tensor]:
        """The loss of a batch and its parts.

        Args:
            logits: (B,K,H,W), of the main output.
            target: (B,H,W) int64, void = the label set's ignore index. What pads an image is void.
            features: (B,D,h,w), what the classifier made the logits of, at the size that it works at; given
                where ``needs_features`` asks for them.

        Returns:
            The scalar that is minimised under ``"loss"``, and its parts under their own names, detached: they
            are the curves of the record.
        """
        raise NotImplementedError

    def at_step(self, step: int) -> None:
        """Called before each step of the training; whatever in it follows a schedule is told.

        Args:
            step: steps that the optimiser has made.
        """
        for part in self.modules():
            if isinstance(part, SegmentationLoss):
                part.at_step(step)


class ObjectiveConfig(Section):
    """The section ``loss`` of a configuration: which objective, and its options.

    Attributes:
        name: its name in ``OBJECTIVES``; a subclass gives it a ``Literal`` type and that default.
    """

    name: str

    def build(self, classes: ClassInfo) -> Objective:
        """The objective of a run.

        Args:
            classes: label set, tail and, counted when first asked for, pixels and images of each class.

        Raises:
            ConfigError: if the options do not go together, or not with these classes.
        """
        raise NotImplementedError


OBJECTIVES: dict[str, type[ObjectiveConfig]] = {}
"""Sections of the key ``loss`` by their ``name``; the package of this module fills it."""
