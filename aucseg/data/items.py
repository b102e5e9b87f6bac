"""An image and its mask, with the types by which transforms tell the one from the other."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor
from torch.utils._pytree import tree_leaves
from torchvision import tv_tensors

_HOW = "call it as transform(image, mask), or wrap them as tv_tensors.Image and tv_tensors.Mask"


def typed(*sample: Any) -> tuple[Any, ...]:
    """What a transform is called with, image and mask as tv_tensors.

    torchvision's transforms change the first of several plain tensors and pass the others by, so that an
    image would be mirrored and its mask not. Two tensors are taken for image and mask by their order. Where
    the order tells nothing, there is an error and no guess.

    Args:
        *sample: an image (..., C, H, W) and a mask (..., H, W), one after the other or as one pair; an image
            alone; or anything else in which every image and mask is a tv_tensor.

    Raises:
        TypeError: for NumPy arrays, pictures of Pillow, and plain tensors in any other structure.
        ValueError: if image and mask of plain tensors differ in height or width, or have changed places.
    """
    leaves = tree_leaves(sample)
    for leaf in leaves:
        if isinstance(leaf, (np.ndarray, Image.Image)):
            kind = f"{type(leaf).__module__.partition('.')[0]}'s {type(leaf).__name__}"
            raise TypeError(f"a transform of image and mask takes tensors, got {kind}; {_HOW}")
    plain = [leaf for leaf in leaves if type(leaf) is Tensor and leaf.ndim > 1]
    if not plain or (len(leaves) == 1 and len(sample) == 1):
        return sample
    if len(sample) == 1 and isinstance(sample[0], (tuple, list)) and len(sample[0]) == 2:
        return (typed(*sample[0]),)
    if len(sample) != 2 or not all(isinstance(part, Tensor) for part in sample):
        raise TypeError(f"{len(plain)} plain tensors do not say which of them is a mask; {_HOW}")
    image, mask = sample
    if isinstance(image, tv_tensors.Mask) or isinstance(mask, tv_tensors.Image):
        raise ValueError(f"the image comes first and the mask second; {_HOW}")
    if image.ndim < 3 or mask.ndim < 2 or image.shape[-2:] != mask.shape[-2:]:
        raise ValueError(
            f"an image (..., C, H, W) and its mask (..., H, W) have the same height and width, got "
            f"{tuple(image.shape)} and {tuple(mask.shape)}; {_HOW}"
        )
    return (
        image if isinstance(image, tv_tensors.TVTensor) else tv_tensors.Image(image),
        mask if isinstance(mask, tv_tensors.TVTensor) else tv_tensors.Mask(mask),
    )
