"""Networks that put one head on an encoder dilated to 1/8, with the usual auxiliary branch."""

from __future__ import annotations

from typing import Any, ClassVar

from segmentation_models_pytorch.base.hub_mixin import supports_config_loading

from aucseg.models.networks.base import Network, build_encoder


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
