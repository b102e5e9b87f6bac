"""Encoders that neither smp nor timm has; importing this registers them with smp."""

<<<<<<< HEAD
from segmentation_models_pytorch.encoders import encoders

from aucseg.models.encoders.mscan import MSCAN_ENCODERS

encoders.update(MSCAN_ENCODERS)
=======
import segmentation_models_pytorch as smp

from aucseg.models.encoders.stdc import stdc_encoders

smp.encoders.encoders.update(stdc_encoders)
>>>>>>> nD
