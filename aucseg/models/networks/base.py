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
    the network adds to its objective. What the paper of a network
    fixes, smp's options do not change: see :data:`SMP_OPTIONS`. No network of the package can be scripted by
    ``torch.jit.script``; trace or export it.

    A subclass sets ``encoder``, ``decoder``, ``segmentation_head`` and, if it has any, ``auxiliary_heads``
    and ``auxiliary`` in its constructor, calls :meth:`initialize` at its end, and overrides :meth:`decode`
    where its heads are not simply one after the other.

    Args:
        plain_logits: return the logits alone in training mode too, as smp's networks do, for a loop that
            knows nothing of auxiliary outputs. Branches that are there for these only are not built, so
            nothing is without a gradient; the network then trains without its own terms.
    """

    # its outputs differ with the mode, and blocks are called by keyword: smp's own default would be a lie
    _is_torch_scriptable = False
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

    def __init__(self, *, plain_logits: bool = False) -> None:
        super().__init__()
        self.plain_logits = plain_logits
        self.auxiliary_heads = nn.ModuleDict()
        self.auxiliary: Mapping[str, AuxiliaryTerm] = {}

    def initialize(self) -> None:
        """Initial weights as smp's for everything but the encoder, which has its own."""
        if self.plain_logits:
            self.auxiliary_heads, self.auxiliary = nn.ModuleDict(), {}
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

        With ``plain_logits`` they are the logits alone in both modes.

        Raises:
            ValueError: if the images are smaller than the network's stride.
            RuntimeError: if a side is not a multiple of the stride, where the network needs that.
        """
        height, width = x.shape[-2:]
        # a trace would keep the answer for its own images, with a warning
        traced = torch.jit.is_tracing()
        if not traced and (height < self.minimum_size or width < self.minimum_size):
            raise OptionError(
                f"{type(self).__name__} halves an image down to 1/{self.minimum_size}: height and width must "
                f"be at least {self.minimum_size} pixels, got {height}x{width}; pad or enlarge the images"
            )
        if not traced:
            self.check_input_shape(x)
        logits, auxiliary = self.decode(self.encoder(x), x)
        logits = resize(logits, (height, width))
        plain = self.plain_logits or not self.training
        return logits if plain else TrainingOutput(logits, auxiliary)

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


#: Options of smp's networks that the papers of these networks fix: the value that they have, and why.
SMP_OPTIONS: Mapping[str, tuple[Any, str]] = {
    "encoder_depth": (5, "its decoder reads all stages of its encoder"),
    "decoder_use_norm": ("batchnorm", "its paper says where it has which norm"),
    "activation": (None, "losses and metrics want logits; take the softmax of what it returns"),
    "aux_params": (
        None,
        "it tells pixels apart; for labels of images put a head of your own on model.encoder(images)[-1]",
    ),
}


def check_smp_options(network: str, options: Mapping[str, Any]) -> None:
    """Refuse options of smp's networks that a network of this package has no choice in.

    Args:
        network: its name, for the message.
        options: arguments by name; those that are none of :data:`SMP_OPTIONS` are not looked at.

    Raises:
        OptionError: if one of them is not what it is here anyway.
    """
    for option, (fixed, why) in SMP_OPTIONS.items():
        if option in options and options[option] != fixed:
            raise OptionError(
                f"{network} has {option}={fixed!r} and no other, got {options[option]!r}: {why}",
                remedy=f"leave {option} out, or take a network of smp",
            )


def build_encoder(
    name: str, *, weights: str | None, network: str, output_stride: int = 32, **options: Any
) -> Any:
    """An encoder of smp or timm with five stages, dilated to an output stride.

    Args:
        name: encoder of smp, or of timm with the prefix ``tu-``.
        weights: as smp's ``encoder_weights``.
        network: name of the network that asks, for the message.
        output_stride: 8, 16 or 32; below 32 the last stages keep their size and are dilated.
        options: further arguments of a timm encoder; those of :data:`SMP_OPTIONS` if they say what is so
            anyway.

    Raises:
        ValueError: if the encoder cannot be dilated to that stride or has fewer stages, or takes no such
            option.
    """
    check_smp_options(network, options)
    options = {key: value for key, value in options.items() if key not in SMP_OPTIONS}
    in_channels = options.pop("in_channels", 3)
    if options and not name.startswith("tu-"):
        # smp drops what its own encoders do not know
        raise OptionError(f"{network} on encoder {name!r} takes no option {', '.join(map(repr, options))}")
    given = tuple(options)
    if output_stride not in (8, 16, 32):
        raise OptionError(f"encoder_output_stride is 8, 16 or 32, got {output_stride}")
    if name.startswith("tu-hrnet"):
        # timm widens HRNet's branches for classification; its branches as they are end at feature_location ''
        options.setdefault("feature_location", "")
    try:
        return smp.encoders.get_encoder(
            name, in_channels, depth=5, weights=weights, output_stride=output_stride, **options
        )
    except (NotImplementedError, ValueError, TypeError, AssertionError) as error:
        # smp and timm each say in their own way that there are no stages, or none that can be dilated
        reason = str(error) or type(error).__name__
        for option in given:
            if not _has_stages(name, {option: options[option]}) and _has_stages(name, {}):
                raise OptionError(
                    f"neither {network} nor its encoder {name!r} takes option "
                    f"{option}={options[option]!r} ({reason})"
                ) from error
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
        with torch.device("meta"):
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
        plain_logits: as :class:`Network`.
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
        plain_logits: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(plain_logits=plain_logits)
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
