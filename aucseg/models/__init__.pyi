# The names of this room: type checkers read them here, and lazy_loader learns where to import them from.
from .heads import classifier as classifier
from .heads import forward_with_features as forward_with_features
from .inference import multi_scale as multi_scale
from .inference import padded_logits as padded_logits
from .inference import predict as predict
from .inference import sliding_window as sliding_window
from .inference import view_logits as view_logits
from .networks.base import AuxiliaryTerm as AuxiliaryTerm
from .networks.base import Network as Network
from .networks.base import TrainingOutput as TrainingOutput
from .registry import create_model as create_model
from .registry import from_pretrained as from_pretrained
from .registry import list_models as list_models
from .registry import small_options as small_options
from .registry import standard_encoder as standard_encoder
from .weights import load_encoder_weights as load_encoder_weights
