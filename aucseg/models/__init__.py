"""Networks by name: those of segmentation-models-pytorch, and those of AUCSeg's Table 1 that it lacks.

And how they look at images: whole, window by window, at several scales and mirrored.
"""

from aucseg.errors import extra

with extra("train"):
    from aucseg.models.factory import create_model
    from aucseg.models.heads import classifier, forward_with_features
    from aucseg.models.inference import padded_logits, predict
    from aucseg.models.networks.auxiliary import AuxiliaryTerm, TrainingOutput
    from aucseg.models.networks.base import Network
    from aucseg.models.registry import list_models, small_options, standard_encoder
    from aucseg.models.saved import from_pretrained
    from aucseg.models.views import multi_scale, view_logits
    from aucseg.models.weights import load_encoder_weights
    from aucseg.models.windows import sliding_window

__all__ = [
    "AuxiliaryTerm",
    "Network",
    "TrainingOutput",
    "classifier",
    "create_model",
    "forward_with_features",
    "from_pretrained",
    "list_models",
    "load_encoder_weights",
    "multi_scale",
    "padded_logits",
    "predict",
    "sliding_window",
    "small_options",
    "standard_encoder",
    "view_logits",
]
