"""What a training method is: which images it takes, what a step does with them, what it remembers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Protocol

from torch import Tensor, nn
from torch.utils.data import DataLoader

from aucseg.longtail import Tally
from aucseg.memory import TailMemoryBank
from aucseg.training.classes import ClassInfo
from aucseg.training.section import Section
from aucseg.training.splits import DataConfig


class MethodContext(Protocol):
    """What a method may ask of the run that it is part of; ``SegmentationModule`` has it."""

    config: Any  # a RunConfig, which is made of the methods' sections
    classes: ClassInfo

    @property
    def model(self) -> nn.Module:
        """The network."""

    @property
    def objective(self) -> nn.Module:
        """What is minimised."""

    @property
    def bank(self) -> TailMemoryBank | None:
        """The memory bank, if the run has one."""

    @property
    def global_step(self) -> int:
        """Steps that the optimiser has made."""

    @property
    def global_rank(self) -> int:
        """Which of the processes this one is."""

    @property
    def unlabelled_epoch(self) -> int:
        """Steps in which each image without labels is seen once; 0 if there are none."""

    def losses(
        self,
        images: Tensor,
        target: Tensor,
        *,
        weights: Tensor | None = None,
        objective: nn.Module | None = None,
    ) -> dict[str, Tensor]:
        """Objective and auxiliary terms of a batch: images (B,3,H,W), normalised, target (B,H,W) int64.

        With ``weights`` (B,H,W) the pull of each pixel has its weight; ``objective`` takes the place of the
        run's.
        """

    def unlabelled_batches(self) -> Iterator[Tensor]:
        """The images without labels, normalised and not augmented; of several processes each has its part."""

    @property
    def has_unlabelled_masks(self) -> bool:
        """Whether there are images without labels that have masks all the same."""

    def unlabelled_tally(self) -> Tally:
        """What their masks hold, where they have some."""

    def over_ranks(self, counts: Tensor) -> Tensor:
        """The sum over the processes of a tensor that each of them has."""


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

    def unlabelled_loader(self, batch_size: int | None = None) -> DataLoader[Any] | None:
        """Augmented batches of the images without labels; ``None`` if there are none."""


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

    def summary(self, module: MethodContext) -> dict[str, Any] | None:
        """What a record keeps of the method, as plain values: :attr:`Record.method`; ``None`` for nothing.

        Args:
            module: the run, after its last step.
        """
        return None

    def evaluated(self, model: nn.Module) -> nn.Module:
        """The network whose predictions count: the one that is trained, unless a method says otherwise."""
        return model


class MethodConfig(Section):
    """The section ``method`` of a configuration: which method, and its options.

    Attributes:
        name: its name in ``METHODS``; a subclass gives it a ``Literal`` type and that default.
        source: labelled images of another domain, in the classes of the run's data, with their own sizes,
            augmentation, sampling and batches. The training split of the run's data then comes without
            labels, and what is counted of labels is counted there. ``None`` trains on the run's own.
        needs_first_stage: whether a run must start from another one's network, by ``init_from``.
    """

    name: str
    source: DataConfig | None = None

    needs_first_stage: ClassVar[bool] = False

    def loaders(self, data: LoaderFactory) -> Any:
        """The training batches: a loader, or a dictionary of loaders that are walked through together.

        Unless a method says otherwise, those of the training split in the order that the configuration names.

        Args:
            data: makes loaders of any split, see :meth:`LoaderFactory.training_loader`.
        """
        return data.training_loader()

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
