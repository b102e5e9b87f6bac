"""Crops that look for a class: where they may lie, how often each class is drawn, and what is in them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from torchvision import tv_tensors

from aucseg.data import ClassCrop, RareClassBatchSampler, SeededDataset, train_transform
from aucseg.data.transforms import CappedRandomCrop


def item(height: int = 20, width: int = 30) -> tuple[tv_tensors.Image, tv_tensors.Mask]:
    """Class 0 with one pixel of class 1 in a corner, four of class 2 inside and a void row.

    An image says of each pixel where it was: row, column, and 7.
    """
    mask = torch.zeros(height, width, dtype=torch.uint8)
    mask[0] = 255
    mask[height - 1, width - 1] = 1
    mask[5:7, 11:13] = 2
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    image = torch.stack([rows, columns, torch.full_like(rows, 7)]).to(torch.uint8)
    return tv_tensors.Image(image), tv_tensors.Mask(mask)


def places(crop: ClassCrop, times: int, *label: int) -> Counter[tuple[int, int]]:
    """How often each upper left corner came, of a crop without padding."""
    torch.manual_seed(0)
    found = (crop(*item(), *label)[0] for _ in range(times))
    return Counter((int(image[0, 0, 0]), int(image[1, 0, 0])) for image in found)


@pytest.mark.parametrize("label", [1, 2])
def test_a_crop_around_a_pixel_lies_wherever_it_shows_one(label):
    """Every place by brute force: a pixel of the class, then one of the places that show it, all alike."""
    _, mask = item()
    size = (6, 8)
    expected: Counter[tuple[int, int]] = Counter()
    pixels = (mask == label).nonzero().tolist()
    for row, column in pixels:
        shows = [
            (top, left)
            for top in range(mask.shape[0] - size[0] + 1)
            for left in range(mask.shape[1] - size[1] + 1)
            if top <= row < top + size[0] and left <= column < left + size[1]
        ]
        for place in shows:
            expected[place] += 1 / len(pixels) / len(shows)
    times = 1500
    found = places(ClassCrop(size, [1.0, 1.0, 1.0]), times, label)
    assert found.keys() <= expected.keys()
    for place, share in expected.items():
        assert abs(found[place] / times - share) < 5 * (share / times) ** 0.5 + 1e-9


@pytest.mark.parametrize("size", [(6, 8), (26, 8), (6, 40), (20, 30), (50, 50)])
def test_the_class_is_in_every_crop_and_image_and_mask_stay_together(size):
    image, mask = item()
    for seed in range(40):
        torch.manual_seed(seed)
        label = 1 + seed % 2
        picture, labels = ClassCrop(size, [0.0, 1.0, 1.0])(image, mask, label)
        assert picture.shape == (3, *size)
        assert (labels == label).any()
        seen = torch.as_tensor(picture[2] == 7)  # what is no padding
        rows, columns = (torch.as_tensor(picture[i])[seen].long() for i in (0, 1))
        assert torch.equal(torch.as_tensor(labels)[seen], torch.as_tensor(mask)[rows, columns])
        assert (torch.as_tensor(labels)[~seen] == 255).all()


def test_without_a_label_the_class_is_drawn_among_those_that_are_there():
    """P restricted to the classes of the mask: 0.2, 0.3 and 0.1 of what is there; class 3 is not."""
    crop = ClassCrop((4, 4), [0.2, 0.3, 0.1, 0.4])
    torch.manual_seed(0)
    mask, times = item()[1], 3000
    drawn = np.bincount([crop._class_of(mask) for _ in range(times)], minlength=4) / times
    np.testing.assert_allclose(drawn, np.array([2, 3, 1, 0]) / 6, atol=0.03)
    assert crop._class_of(torch.full((3, 3), 255, dtype=torch.uint8)) == -1
    assert crop._class_of(torch.full((3, 3), 3, dtype=torch.uint8)) == 3


def test_a_crop_is_drawn_again_until_it_has_enough():
    """The same draws as a plain crop, of which the first with enough is kept, or the eleventh."""
    image, mask = item()
    size, label, enough = (6, 8), 2, 4
    plain = CappedRandomCrop(size)
    crop = ClassCrop(size, [1.0, 1.0, 1.0], rule="share", min_share=enough / 48)
    tries: list[int] = []
    for seed in range(60):
        torch.manual_seed(seed)
        found = crop(image, mask, label)[0]
        after = torch.rand(1)
        torch.manual_seed(seed)
        tries.append(0)
        for _ in range(11):
            expected, labels = plain(image, mask)
            tries[-1] += 1
            if (labels == label).sum() >= enough:
                break
        assert torch.equal(found, expected)
        assert torch.equal(after, torch.rand(1))
    assert len(set(tries)) > 4


@pytest.mark.parametrize("rule", ["pixel", "share"])
def test_a_class_that_is_not_there_is_a_plain_crop(rule):
    image, mask = item()
    for seed in range(5):
        torch.manual_seed(seed)
        found = ClassCrop((6, 8), [1.0] * 9, rule=rule)(image, mask, 8)
        torch.manual_seed(seed)
        expected = CappedRandomCrop((6, 8))(image, mask)
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_a_cap_holds_beside_the_class():
    mask = torch.zeros(16, 32, dtype=torch.uint8)
    mask[:, 16:] = 1
    mask[8, 2] = mask[8, 15] = 2  # one of them far from all but class 0
    image = torch.zeros(3, 16, 32, dtype=torch.uint8)
    shares = {}
    for cap in (1.0, 0.75):
        torch.manual_seed(0)
        crop = ClassCrop((8, 8), [0, 0, 1.0], max_class_share=cap)
        labels = [crop(tv_tensors.Image(image), tv_tensors.Mask(mask))[1] for _ in range(200)]
        assert all((each == 2).any() for each in labels)
        most = [np.bincount(each.numpy().ravel()).max() / 64 for each in labels]
        shares[cap] = np.mean([share < 0.75 for share in most])
    assert shares[0.75] > 0.9 > shares[1.0]


class _Drawn:
    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int):
        image, mask = item()
        if index == 0:
            mask[mask == 1] = 0
        return image, mask


@pytest.mark.parametrize("scale", [None, (0.8, 1.6)])
def test_a_sampler_says_for_which_class_it_drew_the_image(scale):
    """In image 0 class 2 alone is rare, in image 1 both are."""
    pixels = np.array([[575, 0, 4], [574, 1, 4]])
    sampler = RareClassBatchSampler(pixels, 4, temperature=5.0, seed=0, steps=25)
    crop = ClassCrop((6, 8), [1.0, 1.0, 1.0])
    dataset = SeededDataset(_Drawn(), train_transform(crop, scale=scale, hflip=0.5))
    held = 0
    for step, batch in enumerate(sampler):
        assert [key[2] for key in batch] == sampler.classes_of(step)
        assert [key[0] for key in batch] == sampler.global_batch(step)
        for key in batch:
            _, labels = dataset[key]
            assert labels.shape == (6, 8)
            held += bool((labels == key[2]).any())
            again = dataset[key][1]
            assert torch.equal(labels, again)
            plain = SeededDataset(_Drawn(), train_transform((6, 8), scale=scale, hflip=0.5))[key]
            assert plain[1].shape == (6, 8)  # a transform that does not ask is not told
    assert held == 100 if scale is None else held > 90  # smaller, a single pixel may be lost


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: ClassCrop((4, 4), []), "at least one positive"),
        (lambda: ClassCrop((4, 4), [0.0, 0.0]), "at least one positive"),
        (lambda: ClassCrop((4, 4), [1.0, float("nan")]), "finite"),
        (lambda: ClassCrop((4, 4), [1.0], rule="pixels"), "unknown rule 'pixels'"),
        (lambda: ClassCrop((4, 4), [1.0], min_share=0), r"min_share is a share in \(0, 1\], got 0"),
        (lambda: ClassCrop((0, 4), [1.0]), "crop_size"),
        (lambda: ClassCrop((4, 4), [1.0])(item()[0]), "pass image and mask"),
    ],
)
def test_wrong_options(call, words):
    with pytest.raises(ValueError, match=words):
        call()
