"""Encoders that neither smp nor timm has; importing this registers them with smp."""

from segmentation_models_pytorch.encoders import encoders

from aucseg.models.encoders.mscan import MSCAN_ENCODERS
from aucseg.models.encoders.stdc import stdc_encoders

encoders.update(MSCAN_ENCODERS | stdc_encoders)
