"""What `train_transform` gave when the first runs were recorded, bit for bit."""

from __future__ import annotations

import hashlib
import platform

import pytest
import torch
import torchvision
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from aucseg.data.transforms import ColorJitter, eval_transform, train_transform

# Kernels may round otherwise in another release or on another processor; `plain` below does not mind.
MADE_WITH = ("2.15.0", "0.29.2", "x86_64")
HERE = (
    torch.__version__.partition("+")[0],
    torchvision.__version__.partition("+")[0],
    platform.machine(),
)
SEEDS = (0, 1, 20261121)
CASES: dict[str, tuple[tuple[int, int], dict]] = {
    "defaults": ((32, 48), {}),
    "streets": ((61, 97), {"scale": None}),
    "camvid": ((48, 64), {"scale": (0.5, 2.0), "hflip": 0.5, "photometric": True}),
    "colour": ((61, 97), {"scale": None, "hflip": 0.0, "photometric": True}),
    "always flipped": ((20, 20), {"scale": (0.75, 1.25), "hflip": 1.0}),
    "never flipped": ((20, 20), {"scale": (1.0, 1.0), "hflip": 0.0}),
    "larger than the image": ((80, 128), {"scale": (0.4, 0.9)}),
}
GOLDEN: dict[str, str] = {
    "defaults": "593bf07b9471fd65",
    "streets": "a6defc86b348a95b",
    "camvid": "69da045bdc8d73a5",
    "colour": "654898b701ab9b6b",
    "always flipped": "fac9910f959d8e3f",
    "never flipped": "d692e1749c55bc2b",
    "larger than the image": "f6cb7fd3ae7aa751",
    "evaluation": "89273dfac7caaaec",
}


def pair() -> tuple[tv_tensors.Image, tv_tensors.Mask]:
    """Noise over a gradient, and a mask of blocks with a void frame; odd sides."""
    generator = torch.Generator().manual_seed(7)
    noise = torch.randint(0, 64, (3, 61, 97), generator=generator)
    slope = torch.arange(61)[:, None] + torch.arange(97)[None]
    mask = (torch.arange(61)[:, None] // 7 + torch.arange(97)[None] // 9) % 19
    mask[:3], mask[:, -2:] = 255, 255
    return tv_tensors.Image((noise + slope).byte()), tv_tensors.Mask(mask.byte())


def digest(transform, seeds=SEEDS) -> str:
    """Of all pixels and labels, shapes and dtypes, and of where the generator stands afterwards."""
    content = hashlib.sha256()
    for seed in seeds:
        torch.manual_seed(seed)
        image, mask = transform(*pair())
        for part in (image, mask):
            content.update(f"{type(part).__name__} {part.dtype} {tuple(part.shape)}".encode())
            content.update(part.contiguous().numpy().tobytes())
        content.update(torch.rand(1).numpy().tobytes())
    return content.hexdigest()[:16]


class PlainScale(v2.Transform):
    def __init__(self, low, high):
        super().__init__()
        self.range = low, high

    def make_params(self, flat_inputs):
        low, high = self.range
        factor = low + (high - low) * torch.rand(()).item()
        return {"size": [round(side * factor) for side in v2.query_size(flat_inputs)]}

    def transform(self, inpt, params):
        if isinstance(inpt, tv_tensors.Mask):
            ids = inpt.as_subclass(torch.Tensor)[None]
            return tv_tensors.Mask(F.resize(ids, params["size"], v2.InterpolationMode.NEAREST_EXACT)[0])
        return F.resize(inpt, params["size"], v2.InterpolationMode.BILINEAR, antialias=True)


def plain(crop_size, *, scale=(0.5, 2.0), hflip=0.5, photometric=False):
    """The same composition written down again, from the library's own transforms; light: test_color."""
    fill = {tv_tensors.Image: (124, 116, 104), tv_tensors.Mask: 255}
    steps = [] if scale is None else [PlainScale(*scale)]
    steps += [v2.RandomCrop(crop_size, pad_if_needed=True, fill=fill)]
    steps += [v2.RandomHorizontalFlip(hflip)] if hflip else []
    steps += [ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02)] if photometric else []
    return v2.Compose(steps)


@pytest.mark.parametrize("case", CASES)
def test_is_the_plain_composition(case: str) -> None:
    crop_size, options = CASES[case]
    assert digest(train_transform(crop_size, **options)) == digest(plain(crop_size, **options))


@pytest.mark.skipif(HERE != MADE_WITH, reason=f"digests were made with {MADE_WITH}, here is {HERE}")
@pytest.mark.parametrize("case", CASES)
def test_recorded_digest(case: str) -> None:
    crop_size, options = CASES[case]
    assert digest(train_transform(crop_size, **options)) == GOLDEN[case]


@pytest.mark.skipif(HERE != MADE_WITH, reason=f"digests were made with {MADE_WITH}, here is {HERE}")
def test_recorded_digest_of_evaluation() -> None:
    assert digest(eval_transform(divisor=32), seeds=(0,)) == GOLDEN["evaluation"]
