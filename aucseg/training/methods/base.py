"""What a training method is: which images it takes, what a step does with them, what it remembers."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

from torch import Tensor, nn
from torch.utils.data import DataLoader

from aucseg.memory import TailMemoryBank
from aucseg.training.section import Section
from aucseg.training.splits import DataConfig


class MethodContext(Protocol):
    """What a method may ask of the run that it is part of; ``SegmentationModule`` has it."""

    @property
    def model(self) -> nn.Module:
        """The network."""

    @property
    def objective(self) -> nn.Module:
        """What is minimised."""

    @property
    def bank(self) -> TailMemoryBank | None:
        """The memory bank, if the run has one."""

    def losses(self, images: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Objective and auxiliary terms of a batch: images (B,3,H,W), normalised, target (B,H,W) int64."""


class LoaderFactory(Protocol):
    """What makes the batches of a method; ``SegmentationDataModule`` does."""

    def training_loader(
        self,
        split: str | None = None,
        num_images: int | None = None,
        batch_size: int | None = None,
        data: DataConfig | None = None,
    ) -> DataLoader[Any]:
        """Augmented batches of a split, those of the run by default."""


class Method(nn.Module):
    """One training step, and what is remembered from one to the next.

    Its parameters and buffers, for example the weights of a teacher, are kept in the checkpoint. The
    optimiser does not move them: it has the parameters of the network and of the objective.
    """

    def __init__(self) -> None:
        super().__init__()

    def step(self, module: MethodContext, batch: Any) -> dict[str, Tensor]:
        """What is minimised for a batch.

        Args:
            module: network, objective and bank of the run.
            batch: what the loaders of :meth:`MethodConfig.loaders` give, on the device: images (B,3,H,W)
                normalised and target (B,H,W) int64, in the structure of the loaders.

        Returns:
            The total under ``"loss"``, and its parts under their own names, detached.
        """
        raise NotImplementedError

    def after_step(self, module: MethodContext) -> None:
        """Called once the optimiser has moved the weights, before a checkpoint is written."""

    def evaluated(self, model: nn.Module) -> nn.Module:
        """The network whose predictions count: the one that is trained, unless a method says otherwise."""
        return model


class MethodConfig(Section):
    """The section ``method`` of a configuration: which method, and its options.

    Attributes:
        name: its name in ``METHODS``; a subclass gives it a ``Literal`` type and that default.
        needs_first_stage: whether a run must start from another one's network, by ``init_from``.
    """

    name: str

    needs_first_stage: ClassVar[bool] = False

    def loaders(self, data: LoaderFactory) -> Any:
        """The training batches: a loader, or a dictionary of loaders that are walked through together.

        Args:
            data: makes loaders of any split, see :meth:`LoaderFactory.training_loader`.
        """
        raise NotImplementedError

    def splits(self) -> tuple[str, ...]:
        """Further splits of the run's own data set that the loaders read: they belong to the run's identity.

        Those of another data set are the ``train_split`` and ``eval_split`` of its section.
        """
        return ()

    def build(self, model: nn.Module) -> Method:
        """The method of a run.

        Args:
            model: the network with its first weights, on the CPU.

        Raises:
            ConfigError: if the options do not go together.
        """
        raise NotImplementedError
