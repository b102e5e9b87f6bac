"""What the networks of this package have in common, on top of smp's base class."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import segmentation_models_pytorch as smp
import torch
import torch.nn.functional as F
from huggingface_hub import ModelCard
from segmentation_models_pytorch.base.hub_mixin import supports_config_loading
from segmentation_models_pytorch.base.initialization import initialize_decoder, initialize_head
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation

from aucseg.errors import OptionError
from aucseg.losses import cross_entropy

# One tensor for most; points or edges need several.
Outputs = Tensor | tuple[Tensor, ...]


class TrainingOutput(NamedTuple):
    """What a network returns in training mode; in evaluation mode it returns the logits alone.

    Attributes:
        logits: (B,K,H,W), the main logits at the size of the images. Losses for the long tail, the AUC loss
            among them, act on these only.
        auxiliary: outputs of the auxiliary branches by name, for :meth:`Network.auxiliary_losses`.
    """

    logits: Tensor
    auxiliary: dict[str, Outputs]


@dataclass(frozen=True)
class AuxiliaryTerm:
    """One term that a network adds to the training objective.

    Attributes:
        weight: its factor.
        loss: a function of (outputs, target (B,H,W) int64, void label) that gives a scalar.
    """

    weight: float
    loss: Callable[[Outputs, Tensor, int], Tensor]


def resized_cross_entropy(logits: Outputs, target: Tensor, ignore_index: int) -> Tensor:
    """Cross entropy of (B,K,h,w) logits, brought bilinearly to the size of the labels."""
    assert isinstance(logits, Tensor)
    return cross_entropy(resize(logits, target.shape[-2:]).float(), target, ignore_index=ignore_index)


def resize(features: Tensor, size: Sequence[int]) -> Tensor:
    """(B,C,h,w) brought bilinearly to (height, width), corners not aligned."""
    if tuple(features.shape[-2:]) == tuple(size):
        return features
    return F.interpolate(features, size=(size[0], size[1]), mode="bilinear", align_corners=False)


class ClassifierHead(nn.Sequential):
    """The tail of a head: Dropout2d(``dropout``) and a 1x1 convolution to the classes.

    Args:
        in_channels: channels that come in.
        num_classes: number of classes K.
        dropout: share of channels dropped in training.
    """

    def __init__(self, in_channels: int, num_classes: int, dropout: float = 0.1) -> None:
        super().__init__(nn.Dropout2d(dropout), nn.Conv2d(in_channels, num_classes, 1))


class FCNHead(nn.Sequential):
    """The usual auxiliary head: one 3x3 convolution with batch norm and ReLU, then a :class:`ClassifierHead`.

    Args:
        in_channels: channels of the features it looks at.
        channels: its own channels.
        num_classes: number of classes K.
    """

    def __init__(self, in_channels: int, channels: int, num_classes: int) -> None:
        convolution = Conv2dNormActivation(in_channels, channels, 3)
        super().__init__(convolution, ClassifierHead(channels, num_classes))


class Network(smp.base.SegmentationModel):
    """A segmentation network that has something more to say while it is trained.

    It is smp's base class: ``encoder``, ``decoder`` and ``segmentation_head``, ``predict``,
    ``freeze_encoder``, ``save_pretrained`` and the rest. Three things differ. Images may have any height
    and width from ``minimum_size`` on, because every network here ends by bringing its logits to the size
    of the images; one whose branches must fit each other keeps smp's rule that sides are multiples of the
    stride (``requires_divisible_input_shape``), and :func:`aucseg.models.padded_logits` pads for it. In
    training mode the result is a :class:`TrainingOutput`. And ``auxiliary`` says which terms the paper of
    the network adds to its objective.

    A subclass sets ``encoder``, ``decoder``, ``segmentation_head`` and, if it has any, ``auxiliary_heads``
    and ``auxiliary`` in its constructor, calls :meth:`initialize` at its end, and overrides :meth:`decode`
    where its heads are not simply one after the other.
    """

    requires_divisible_input_shape = False
    #: Shortest side of an image in pixels: the largest stride of the encoder.
    minimum_size: int = 32
    #: Encoder that the paper's parameter count belongs to; None where the network is one whole.
    standard_encoder: ClassVar[str | None] = "resnet50"
    #: Arguments of ``create_model`` that make the smallest useful variant, for a laptop.
    small: ClassVar[Mapping[str, Any]] = {"encoder": "resnet18", "decoder_channels": 128}

    encoder: Any
    decoder: Any
    segmentation_head: Any
    classification_head = None

    def __init__(self) -> None:
        super().__init__()
        self.auxiliary_heads = nn.ModuleDict()
        self.auxiliary: Mapping[str, AuxiliaryTerm] = {}

    def initialize(self) -> None:
        """Initial weights as smp's for everything but the encoder, which has its own."""
        initialize_decoder(self.decoder)
        initialize_head(self.segmentation_head)
        for head in self.auxiliary_heads.values():
            initialize_decoder(head)

    def add_fcn_auxiliary(self, num_classes: int, channels: int = 256, weight: float = 0.4) -> None:
        """Add the branch that most of these networks have: an :class:`FCNHead` on the last stage but one.

        Call it in the constructor, once the encoder is there. Its term is cross entropy.
        """
        self.auxiliary_heads["fcn"] = FCNHead(self.encoder.out_channels[-2], channels, num_classes)
        self.auxiliary = {**self.auxiliary, "fcn": AuxiliaryTerm(weight, resized_cross_entropy)}

    def forward(self, x: Tensor) -> Tensor | TrainingOutput:
        """Logits (B,K,H,W) of normalised images (B,3,H,W); in training mode auxiliary outputs too.

        Raises:
            ValueError: if the images are smaller than the network's stride.
            RuntimeError: if a side is not a multiple of the stride, where the network needs that.
        """
        height, width = x.shape[-2:]
        if height < self.minimum_size or width < self.minimum_size:
            raise OptionError(
                f"{type(self).__name__} halves an image down to 1/{self.minimum_size}: height and width must "
                f"be at least {self.minimum_size} pixels, got {height}x{width}; pad or enlarge the images"
            )
        self.check_input_shape(x)
        logits, auxiliary = self.decode(self.encoder(x), x)
        logits = resize(logits, (height, width))
        return TrainingOutput(logits, auxiliary) if self.training else logits

    def generate_model_card(self, *args: Any, **kwargs: Any) -> ModelCard:
        """The README that ``save_pretrained`` writes: smp's, but for how the network is loaded."""
        card = super().generate_model_card(*args, **kwargs)
        card.content = card.content.replace(
            "import segmentation_models_pytorch as smp", "from aucseg.models import from_pretrained"
        ).replace("smp.from_pretrained", "from_pretrained")
        return card

    def decode(self, features: list[Tensor], images: Tensor) -> tuple[Tensor, dict[str, Outputs]]:
        """From the encoder's features to logits of any size and, in training mode, auxiliary outputs.

        Args:
            features: as smp's encoders give them, from the image itself to the deepest stage.
            images: (B,3,H,W), for networks that look at them again.
        """
        logits = self.segmentation_head(self.decoder(features))
        return logits, self.auxiliary_outputs(features)

    def auxiliary_outputs(self, features: list[Tensor]) -> dict[str, Outputs]:
        """Outputs of the auxiliary heads in training mode, and none in evaluation mode.

        Here each head looks at the last stage but one.
        """
        if not self.training:
            return {}
        return {name: head(features[-2]) for name, head in self.auxiliary_heads.items()}

    def auxiliary_losses(
        self, outputs: dict[str, Outputs], target: Tensor, ignore_index: int = 255
    ) -> dict[str, Tensor]:
        """The terms that the network adds to the objective, each with its weight.

        Args:
            outputs: ``auxiliary`` of a :class:`TrainingOutput`.
            target: (B,H,W) int64 at the size of the images.
            ignore_index: the void label.

        Returns:
            Scalars by name; add them all to the loss of the main logits.
        """
        return {
            name: term.weight * term.loss(outputs[name], target, ignore_index)
            for name, term in self.auxiliary.items()
        }


def build_encoder(
    name: str, *, weights: str | None, network: str, output_stride: int = 32, **options: Any
) -> Any:
    """An encoder of smp or timm with five stages, dilated to an output stride.

    Args:
        name: encoder of smp, or of timm with the prefix ``tu-``.
        weights: as smp's ``encoder_weights``.
        network: name of the network that asks, for the message.
        output_stride: 8, 16 or 32; below 32 the last stages keep their size and are dilated.
        options: further arguments of a timm encoder.

    Raises:
        ValueError: if the encoder cannot be dilated to that stride or has fewer stages.
    """
    if output_stride not in (8, 16, 32):
        raise OptionError(f"encoder_output_stride is 8, 16 or 32, got {output_stride}")
    if name.startswith("tu-hrnet"):
        # timm widens HRNet's branches for classification; its branches as they are end at feature_location ''
        options.setdefault("feature_location", "")
    try:
        return smp.encoders.get_encoder(
            name, depth=5, weights=weights, output_stride=output_stride, **options
        )
    except (NotImplementedError, ValueError, TypeError, AssertionError) as error:
        # smp and timm each say in their own way that there are no stages, or none that can be dilated
        reason = str(error) or type(error).__name__
        if output_stride == 32 or not _has_stages(name, options):
            raise OptionError(
                f"{network} wants stages from 1/4 to 1/32, which encoder {name!r} does not have ({reason}); "
                "ResNet, MSCAN, MiT, ConvNeXt and most other encoders have"
            ) from error
        raise OptionError(
            f"{network} wants features at 1/{output_stride}, which encoder {name!r} cannot give ({reason}); "
            "ResNet, ResNeXt, DPN, RegNet, MiT, ConvNeXt, MSCAN and most other encoders can. "
            "Or pass encoder_output_stride=32, which is coarser and cheaper"
        ) from error


def _has_stages(name: str, options: dict[str, Any]) -> bool:
    """Whether an encoder can be built where nothing is dilated."""
    try:
        smp.encoders.get_encoder(name, depth=5, weights=None, **options)
    except (NotImplementedError, ValueError, TypeError, AssertionError):
        return False
    return True


class DilatedNetwork(Network):
    """A head on features that keep 1/8 of the image's size to the end (Yu and Koltun, 2016).

    A subclass builds its decoder and its heads in :meth:`build`.

    Args:
        encoder_name: encoder of smp or timm that can be dilated.
        encoder_weights: as smp.
        encoder_output_stride: 8 as published; 16 or 32 for less time and memory.
        decoder_channels: channels of the head; 512 as published.
        in_channels: channels of the images.
        classes: number of classes K.
        kwargs: further arguments of a timm encoder.

    Raises:
        ValueError: if the encoder cannot be dilated.
    """

    standard_encoder: ClassVar[str] = "resnet50"

    @supports_config_loading
    def __init__(
        self,
        encoder_name: str = standard_encoder,
        encoder_weights: str | None = None,
        encoder_output_stride: int = 8,
        decoder_channels: int = 512,
        in_channels: int = 3,
        classes: int = 19,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        self.encoder = build_encoder(
            encoder_name,
            weights=encoder_weights,
            network=type(self).__name__,
            output_stride=encoder_output_stride,
            in_channels=in_channels,
            **kwargs,
        )
        self.build(self.encoder.out_channels[-1], decoder_channels, classes)
        self.initialize()

    def build(self, in_channels: int, channels: int, classes: int) -> None:
        """Set ``decoder``, ``segmentation_head`` and the auxiliary branches.

        Args:
            in_channels: channels of the encoder's deepest stage.
            channels: channels of the head.
            classes: number of classes K.
        """
        raise NotImplementedError


def full_precision(values: Tensor) -> Tensor:
    """The same values in float32, or wider if they are.

    Args:
        values: floating point of any width.
    """
    return values.to(torch.promote_types(values.dtype, torch.float32))


def without_autocast(values: Tensor) -> AbstractContextManager[object]:
    """A context in which products keep the width of their factors.

    Args:
        values: any tensor of the device meant. One without autocast, such as ``meta``, needs no context.
    """
    kind = values.device.type
    return torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else nullcontext()
