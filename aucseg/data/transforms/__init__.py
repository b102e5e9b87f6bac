"""Augmentation on image and mask together, and normalisation of a batch on its device.

Every transform is one of torchvision's v2 and works on an image (3, H, W) and its mask (H, W), both uint8, on
the device where they lie: tv_tensors, or plain tensors in this order. All randomness comes from torch's CPU
generator: a seed fixes what is drawn on any device and with any number of loader workers.
"""

from aucseg.data.transforms.class_crop import ClassCrop
from aucseg.data.transforms.color import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    ColorJitter,
    PhotometricDistortion,
    normalize,
)
from aucseg.data.transforms.geometry import (
    NEUTRAL,
    VOID,
    CappedRandomCrop,
    HorizontalFlip,
    ItemTransform,
    PadToMultiple,
    RandomResize,
    RandomScale,
)
from aucseg.data.transforms.pipelines import Pipeline, eval_transform, train_transform, transform_batch

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "NEUTRAL",
    "VOID",
    "CappedRandomCrop",
    "ClassCrop",
    "ColorJitter",
    "HorizontalFlip",
    "ItemTransform",
    "PadToMultiple",
    "PhotometricDistortion",
    "Pipeline",
    "RandomResize",
    "RandomScale",
    "eval_transform",
    "normalize",
    "train_transform",
    "transform_batch",
]
