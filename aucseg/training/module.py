"""The Lightning module: network, bank and objective, and what a step and an evaluation do with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.nn.functional as F
from lightning import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from aucseg.data import normalize
from aucseg.data.sampling import mix_seed
from aucseg.data.spec import ClassSpec
from aucseg.errors import DataError, UserError
from aucseg.functional.distributed import all_reduce, joined_ranks, own_rank
from aucseg.functional.pseudo_labels import weigh_gradient
from aucseg.longtail import Tally, groups_by_images
from aucseg.losses.micro_batches import in_micro_batches
from aucseg.memory import TailMemoryBank
from aucseg.metrics import PixelAUC, SaliencyMeasures, SegmentationIoU
from aucseg.models import (
    AlignedConv2d,
    Network,
    TrainingOutput,
    create_model,
    forward_with_features,
    padded_logits,
    sliding_window,
    use_head,
    view_logits,
)
from aucseg.models.inference import needed_multiple, pad_to_multiple
from aucseg.models.weights import load_exactly
from aucseg.training.bank import make_bank
from aucseg.training.classes import ClassInfo, count_split
from aucseg.training.config import RunConfig
from aucseg.training.devices import of_all_ranks
from aucseg.training.optim import make_optimizer
from aucseg.training.section import ConfigError

if TYPE_CHECKING:
    from aucseg.training.datamodule import SegmentationDataModule

# what a record keeps of PixelAUC.compute
_AUC_FIGURES = ("auc", "auc_head", "auc_middle", "auc_tail", "auc_error_bound")

# and of SaliencyMeasures, where there are two classes: class 1 is the object
_SALIENCY_FIGURES = ("MAE", "F_beta_mean", "E_mean")

# counts of the streaming AUC: 32 MiB, at 19 classes 4096 bins of the scores
_AUC_COUNTS = 2**22


class FirstStage(NamedTuple):
    """The network of a finished run, from which another starts.

    Attributes:
        path: its checkpoint.
        weights: of the network, by the names that it gives them.
    """

    path: Path
    weights: Mapping[str, Any]

    def load(self, model: nn.Module) -> None:
        """Load all or nothing; what an aligned head has beside its classifier may be missing.

        Args:
            model: the new run's network.

        Raises:
            ConfigError: listing every weight that is missing, too much or of another shape.
        """
        weights = dict(self.weights)
        for place, part in model.named_modules():
            if isinstance(part, AlignedConv2d):
                added = {f"{place}.{name}": value for name, value in part.state_dict().items()}
                own = {f"{place}.weight", f"{place}.bias"}
                weights = {name: value for name, value in added.items() if name not in own} | weights
        try:
            load_exactly(model, weights, source=self.path)
        except DataError as error:
            raise ConfigError(
                f"init_from: {error}",
                remedy="give this run the name, encoder and options of that run's model; its head may be an "
                "aligned one",
            ) from error


def _weighed(parts: dict[str, Tensor], weights: Tensor) -> dict[str, Tensor]:
    """Parts whose values are those of pixels with weights; the gradient of the total has them already."""
    mean = weights.mean()
    weighed = {name: mean * value.detach() for name, value in parts.items()}
    # the value of the one and the gradient of the other
    return weighed | {"loss": parts["loss"] + (weighed["loss"] - parts["loss"].detach())}


def _pixel_auc(spec: ClassSpec) -> PixelAUC:
    bins = max(1, _AUC_COUNTS // spec.num_classes**2)
    return PixelAUC(
        spec.num_classes,
        groups=spec.groups,
        ignore_index=spec.ignore_index,
        bins=max(64, min(4096, 2 ** (bins.bit_length() - 1))),
    )


class SegmentationModule(LightningModule):
    """Trains one network as a :class:`~aucseg.training.RunConfig` says.

    What a step is, the method says: in supervised training, batch on the device -> bank stores the tail
    classes it sees and pastes those it misses -> network -> objective; then the optimiser. Every random
    number of a step comes from the run's seed and the step's number or from the bank's own generator, which
    the checkpoint holds; a resumed run therefore repeats the numbers of one that was never stopped.

    Args:
        config: the run.
        classes: classes of the data set; see :attr:`SegmentationDataModule.classes`.
        first: the network of another run, where this one starts from it.

    Attributes:
        trained_on: what a record says of the data, :attr:`Record.dataset`; ``None`` if it is not known.

    Raises:
        ConfigError: if there is no such network, encoder, option or file of weights, or the network of the
            first stage is another one.
    """

    def __init__(self, config: RunConfig, classes: ClassInfo, first: FirstStage | None = None) -> None:
        super().__init__()
        self.config = config
        self.classes = classes
        spec = classes.spec
        with torch.random.fork_rng(devices=[]):  # networks are initialised on the CPU
            torch.default_generator.manual_seed(mix_seed(config.seed, "weights"))
            try:
                model = create_model(
                    config.model.name,
                    config.model.encoder,
                    num_classes=spec.num_classes,
                    encoder_weights=config.model.encoder_weights,
                    normalization=config.model.figures,
                    **config.model.options,
                )
                model = use_head(model, config.model.head)
            except UserError as error:
                raise ConfigError(f"model: {error}") from error
            if first is not None:
                first.load(model)
            # Convolutions run faster this way on CUDA and no slower on a CPU.
            self.model = model.to(memory_format=torch.channels_last)
            self.objective = config.loss.build(classes)
            self.objective.attach(self.model)
            self.method = config.method.build(self.model)
        self.bank: TailMemoryBank | None = None
        if config.bank is not None:
            own = config.bank.share == "none" and own_rank()
            seed = mix_seed(config.seed, "bank", *((own,) if own else ()))
            generator = torch.Generator().manual_seed(seed)
            self.bank = make_bank(config.bank, classes, config.data.crop_size or config.data.size, generator)
        self.trained_on: dict[str, Any] | None = None
        by_images = groups_by_images(spec.groups, spec.image_share) if spec.image_share else None
        self.iou = SegmentationIoU(spec.num_classes, spec.groups, spec.ignore_index, image_groups=by_images)
        # The AUC loss ranks sigmoids, the prediction is the largest softmax: the two rank pixels differently.
        self.auc_sigmoid, self.auc_softmax = _pixel_auc(spec), _pixel_auc(spec)
        self.saliency: SaliencyMeasures | None = None
        if spec.num_classes == 2:
            self.saliency = SaliencyMeasures(ignore_index=spec.ignore_index)

    @property
    def spec(self) -> ClassSpec:
        """Label set of the data set, in the groups of the run."""
        return self.classes.spec

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B,K,H,W) for normalised images (B,3,H,W) of any size."""
        return padded_logits(self.model, images)

    def views(self, images: Tensor) -> Iterator[Tensor]:
        """Logits (B,K,H,W) of each view of normalised images that the configuration evaluates by."""
        how = self.config.evaluation
        model = partial(padded_logits, self.method.evaluated(self.model))
        if how.window is not None:
            model = partial(sliding_window, model, window=how.window, stride=how.stride)
        within, pairs = self.config.data.resize, self.spec.flip_pairs or ()
        return view_logits(model, images, ratios=how.ratios, flip=how.flip, within=within, flip_pairs=pairs)

    def predict_scores(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Class ids (B,H,W), and sigmoids and softmax probabilities (B,K,H,W), as means over the views.

        A single view is classified by its logits, whose order a softmax rounds away where two are close.

        Args:
            images: (B,3,H,W), normalised.
        """
        views = self.views(images)
        logits = next(views)
        ids, sigmoid, softmax = logits.argmax(dim=1), logits.sigmoid(), logits.softmax(dim=1)
        count = 1
        for logits in views:  # means of scores, as in aucseg.models.multi_scale
            sigmoid, softmax, count = sigmoid + logits.sigmoid(), softmax + logits.softmax(dim=1), count + 1
        if count == 1:
            return ids, sigmoid, softmax
        return softmax.argmax(dim=1), sigmoid / count, softmax / count

    def check_step(self) -> None:
        """Try a step of one image, where a normalisation over the batch may be left with a single value.

        Behind a pooling over the whole image, or on a small crop, a channel of one image has one value only,
        from which batch normalisation has no variance. A small crop tells: more pixels are no fewer values.

        Raises:
            ConfigError: if the step cannot be made.
        """
        data = self.config.data
        if data.batch_size > 1 or not any(isinstance(m, _BatchNorm) for m in self.model.modules()):
            return
        size = data.crop_size or data.size
        kept = {name: buffer.clone() for name, buffer in self.model.named_buffers()}
        mode = self.model.training
        try:
            for sides in dict.fromkeys([(min(64, size[0]), min(64, size[1])), tuple(size)]):
                images = pad_to_multiple(torch.zeros(1, 3, *sides), needed_multiple(self.model))
                try:
                    with torch.no_grad(), torch.random.fork_rng(devices=[]):
                        self.model.train()(images)
                    return
                except ValueError as error:
                    found = str(error)
            if "batch normalisation has no variance" in found:
                raise ConfigError(
                    f"data.batch_size is 1, and network {self.config.model.name!r} normalises over the batch "
                    "where an image has a single value",
                    remedy="use a batch_size of 2 or more, or another network",
                )
        finally:
            self.model.train(mode)
            for name, buffer in self.model.named_buffers():
                buffer.copy_(kept[name])

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Seed the global generator from the step, so that dropout too survives a resume; tell the step.

        Each rank but the first has a stream of its own.
        """
        rank = (self.global_rank,) if self.global_rank else ()
        _seed_generators(mix_seed(self.config.seed, "step", self.global_step, *rank), self.device)
        self.objective.at_step(self.global_step)

    def training_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        """One step of the method."""
        parts = self.method.step(self, batch)
        self.log("loss", parts["loss"], prog_bar=True, logger=False)
        return {name: value if name == "loss" else value.detach() for name, value in parts.items()}

    def losses(
        self,
        images: Tensor,
        target: Tensor,
        *,
        weights: Tensor | None = None,
        objective: nn.Module | None = None,
    ) -> dict[str, Tensor]:
        """What the network is trained on: the objective of its main logits, and its own auxiliary terms.

        Args:
            images: (B,3,H,W), normalised.
            target: (B,H,W) int64.
            weights: (B,H,W), how much each pixel counts: the gradient by its logits, and by the features
                under it, is multiplied by that, and values by its mean; ``None`` for 1.
            objective: another one than the run's.

        Returns:
            The total under ``"loss"``, and its parts under their own names; ``auxiliary/...`` for the terms
            that belong to the network, with their weights.
        """
        objective = self.objective if objective is None else objective
        needs_features = getattr(objective, "needs_features", False)
        if not isinstance(self.model, Network) and not needs_features:
            logits = self._forward(self, images)
            if weights is None:
                return objective(logits, target)
            return _weighed(objective(weigh_gradient(logits, weights), target), weights)
        height, width = target.shape[-2:]
        images = pad_to_multiple(images, needed_multiple(self.model))
        # what was added to an image has no label, for features and auxiliary terms too
        right, bottom = images.shape[-1] - width, images.shape[-2] - height
        target = F.pad(target, (0, right, 0, bottom), value=self.classes.ignore_index)
        if needs_features:
            output, features = self._forward(partial(forward_with_features, self.model), images)
        else:
            output, features = self._forward(self.model, images), None
        logits = output.logits if isinstance(output, TrainingOutput) else output
        if weights is not None:
            padded = F.pad(weights, (0, right, 0, bottom))
            logits = weigh_gradient(logits, padded)
            if features is not None:
                cells = F.adaptive_avg_pool2d(padded[:, None], (features.shape[2], features.shape[3]))[:, 0]
                features = weigh_gradient(features, cells)
        parts = objective(logits, target, features)
        if weights is not None:
            parts = _weighed(parts, weights)
        if not isinstance(output, TrainingOutput) or not isinstance(self.model, Network):
            return parts
        terms = self.model.auxiliary_losses(output.auxiliary, target, self.classes.ignore_index)
        if weights is not None:  # of heads within the network, as a whole
            terms = {name: weights.mean() * term for name, term in terms.items()}
        if terms and (share := self._share_of_labels(target)) is not None:
            terms = {name: share * term for name, term in terms.items()}
        total = parts["loss"] + sum(terms.values())
        return parts | {"loss": total} | {f"auxiliary/{name}": term for name, term in terms.items()}

    @property
    def unlabelled_epoch(self) -> int:
        """Steps in which each image without labels is seen once; 0 if there are none."""
        data: SegmentationDataModule = self.trainer.datamodule
        return data.unlabelled_epoch()

    def unlabelled_batches(self) -> Iterator[Tensor]:
        """The images without labels, normalised and not augmented; of several processes each has its part."""
        data: SegmentationDataModule = self.trainer.datamodule
        for images, _ in data.unlabelled_pictures(self.global_rank, self.trainer.world_size):
            yield normalize(images.to(self.device), *self.config.model.figures)

    @property
    def has_unlabelled_masks(self) -> bool:
        """Whether there are images without labels, which have masks that are not trained on."""
        data: SegmentationDataModule = self.trainer.datamodule
        return data.unlabelled_set is not None and self.config.data.unlabelled is None

    def unlabelled_tally(self) -> Tally:
        """What their masks hold.

        Raises:
            ConfigError: if they have none.
        """
        if not self.has_unlabelled_masks:
            raise ConfigError("method.counts is 'true', and there are no masks of images without labels")
        data: SegmentationDataModule = self.trainer.datamodule
        return count_split(data.unlabelled_set)

    def over_ranks(self, counts: Tensor) -> Tensor:
        """The sum over the processes of a tensor that each of them has."""
        group, _ = joined_ranks("auto", "summed")
        return counts if group is None else all_reduce(counts, group)

    def _forward(self, network: Callable[[Tensor], Any], images: Tensor) -> Any:
        """What the network makes of a batch, at once or in micro-batches."""
        if self.config.accumulate == 1:
            return network(images)
        return in_micro_batches(network, self.model, images, -(-len(images) // self.config.accumulate))

    def _share_of_labels(self, target: Tensor) -> Tensor | None:
        """By what a mean over this rank's labels counts among the ranks, whose gradients are averaged."""
        group, ranks = joined_ranks("auto" if self.training else None, "averaged")
        if group is None:
            return None
        own = (target != self.classes.ignore_index).sum().double()
        return (ranks * own / all_reduce(own, group).clamp(min=1)).float()

    def optimizer_step(self, *arguments: Any, **options: Any) -> None:
        """Move the weights, and let the method follow before a checkpoint is written.

        Lightning calls a module's hook for the end of a batch only after that.
        """
        super().optimizer_step(*arguments, **options)
        self.method.after_step(self)

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Count confusions and ranks; logits never outlive their batch."""
        images, target = batch
        ids, sigmoid, softmax = self.predict_scores(images)
        self.iou.update(ids, target)
        self.auc_sigmoid.update(sigmoid, target)
        self.auc_softmax.update(softmax, target)
        if self.saliency is not None:
            self.saliency.update(softmax[:, 1].clamp(0, 1), target)

    def reset_metrics(self) -> None:
        """Forget what was counted."""
        for metric in (self.iou, self.auc_sigmoid, self.auc_softmax, self.saliency):
            if metric is not None:
                metric.reset()

    def figures(self) -> dict[str, Any]:
        """What was counted since, as plain numbers: :attr:`Record.metrics`."""
        values = self.iou.compute()
        for name in ("auc_sigmoid", "auc_softmax"):
            found = getattr(self, name).compute()
            values |= {key.replace("auc", name, 1): found[key] for key in _AUC_FIGURES}
        if self.saliency is not None:
            found = self.saliency.compute()
            values |= {key: found[key] for key in _SALIENCY_FIGURES}
        return {
            key: dict(zip(self.spec.names, map(_number, value), strict=True))
            if value.ndim
            else _number(value)
            for key, value in values.items()
        }

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """The optimiser and its schedule."""
        optimizer, schedule = make_optimizer(self.config.optim, self.model, self.objective)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    @property
    def _own_banks(self) -> bool:
        """Whether each of several ranks has a bank of its own."""
        return (
            self.config.bank is not None and self.config.bank.share == "none" and self.trainer.world_size > 1
        )

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Give each rank its bank back, where each has its own."""
        banks = checkpoint["aucseg"].get("banks", [None])
        ranks = self.trainer.world_size if self._own_banks else 1
        if len(banks) != ranks:
            raise ConfigError(
                f"bank.share is 'none', and the checkpoint holds the banks of {len(banks)} processes; "
                f"there are {ranks} now",
                remedy="go on with as many, or start anew with --fresh",
            )
        if ranks > 1:
            checkpoint["state_dict"]["bank._extra_state"] = banks[self.global_rank]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what a resume and a reader of the file need, as plain values."""
        if self._own_banks:
            state = {"banks": of_all_ranks(self.bank.get_extra_state())}  # type: ignore[union-attr]
            checkpoint.setdefault("aucseg", {}).update(state)
        checkpoint.setdefault("aucseg", {}).update(
            identity=self.config.identity,
            config=self.config.resolved().model_dump(mode="json"),
            dataset=self.trained_on,
            **self.classes.state(),
        )


def _seed_generators(seed: int, device: torch.device) -> None:
    """Seed the generators that a step on a device draws from.

    ``torch.manual_seed`` seeds those of all kinds of devices, and where there is none it keeps the request
    for later with the whole stack of calls as text, which takes longer than the step's other bookkeeping.
    """
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(seed)


def _number(value: Any) -> float | None:
    value = float(value)
    return None if value != value else value  # JSON has no NaN
