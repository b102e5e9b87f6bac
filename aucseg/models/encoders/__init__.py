"""Encoders that neither smp nor timm has; importing this registers them with smp."""

from segmentation_models_pytorch.encoders import encoders

from aucseg.models.encoders.mscan import MSCAN_ENCODERS
from aucseg.models.encoders.stdc import STDC_ENCODERS

__all__ = ["encoders"]

encoders.update(MSCAN_ENCODERS | STDC_ENCODERS)
