"""Networks by name: every architecture of segmentation-models-pytorch on any smp or timm encoder."""

from aucseg.models.factory import create_model, list_models
from aucseg.models.inference import padded_logits, predict

__all__ = ["create_model", "list_models", "padded_logits", "predict"]
