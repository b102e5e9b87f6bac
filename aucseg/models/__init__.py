"""Networks by name: every architecture of segmentation-models-pytorch on any smp or timm encoder.

And how they look at images: whole, window by window, at several scales and mirrored.
"""

from aucseg.models.factory import create_model, list_models
from aucseg.models.inference import padded_logits, predict
from aucseg.models.views import multi_scale, view_logits
from aucseg.models.windows import sliding_window

__all__ = [
    "create_model",
    "list_models",
    "multi_scale",
    "padded_logits",
    "predict",
    "sliding_window",
    "view_logits",
]
