"""Augmentation on image and mask together, and normalisation of a batch on its device.

Every transform is one of torchvision's v2 and works on tv_tensors, image (3, H, W) and mask (H, W), both
uint8, on the device where they lie. All randomness comes from torch's CPU generator: a seed fixes what is
drawn on any device and with any number of loader workers.
"""

from aucseg.data.transforms.color import IMAGENET_MEAN, IMAGENET_STD, PhotometricDistortion, normalize
from aucseg.data.transforms.geometry import (
    NEUTRAL,
    VOID,
    CappedRandomCrop,
    PadToMultiple,
    RandomResize,
    RandomScale,
)
from aucseg.data.transforms.pipelines import ItemTransform, eval_transform, train_transform, transform_batch

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "NEUTRAL",
    "VOID",
    "CappedRandomCrop",
    "ItemTransform",
    "PadToMultiple",
    "PhotometricDistortion",
    "RandomResize",
    "RandomScale",
    "eval_transform",
    "normalize",
    "train_transform",
    "transform_batch",
]
