"""Encoders that neither smp nor timm has; importing this registers them with smp."""

import segmentation_models_pytorch as smp

from aucseg.models.encoders.stdc import stdc_encoders

smp.encoders.encoders.update(stdc_encoders)
