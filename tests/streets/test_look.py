"""Looks of the streets: the standard one changes nothing, another one everything but the classes."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from aucseg.catalog import DATASETS
from aucseg.errors import OptionError
from aucseg.streets import LOOKS, WORLDS, SyntheticStreets
from aucseg.streets.canvas import TrainId

# A changed pixel of a look other than the standard one needs a new name for it.
GOLDEN = {"autumn": "4f073124b3de0fcd4b0591d6f199aa75b860958fb550c62b3c8b03ebbf481916"}


@pytest.mark.parametrize("look", GOLDEN)
def test_golden_pixels(look):
    image, mask = SyntheticStreets(4, (64, 128), 1, look).render(3)
    assert hashlib.sha256(image.tobytes() + mask.tobytes()).hexdigest() == GOLDEN[look]


@pytest.mark.parametrize("look", LOOKS)
def test_labels_alone_are_those_of_the_picture(look):
    streets = SyntheticStreets(6, (48, 96), 1, look)
    for i in range(6):
        assert np.array_equal(streets.mask(i).numpy(), streets.render(i)[1])


def test_no_two_looks_show_the_same_streets_in_any_split():
    seeds = [world + look.shift for look in LOOKS.values() for world in WORLDS.values()]
    assert len(set(seeds)) == len(seeds)


def test_a_look_is_another_domain_of_the_same_classes():
    """Colours of what is large differ by more than they do among images of one look."""
    means = {}
    for look in LOOKS:
        streets = SyntheticStreets(24, (48, 96), 1, look)
        seen = {k: [] for k in (TrainId.ROAD, TrainId.BUILDING, TrainId.VEGETATION)}
        for i in range(24):
            image, mask = streets.render(i)
            for k, colours in seen.items():
                if (mask == k).sum() > 20:
                    colours.append(image[mask == k].mean(axis=0) / image[mask == k].mean())
        means[look] = {k: np.array(colours) for k, colours in seen.items()}
    for k in means["standard"]:
        one, other = means["standard"][k], means["autumn"][k]
        gap = np.abs(one.mean(axis=0) - other.mean(axis=0)).max()
        assert gap > 2 * max(
            one.std(axis=0).max() / len(one) ** 0.5, other.std(axis=0).max() / len(other) ** 0.5
        )
        assert gap > 0.08


def test_the_standard_look_is_no_part_of_an_identity():
    plain, standard = SyntheticStreets(4, (48, 96)), SyntheticStreets(4, (48, 96), look="standard")
    assert plain.fingerprint() == standard.fingerprint()
    assert repr(plain) == repr(standard)
    other = SyntheticStreets(4, (48, 96), look="autumn")
    assert other.fingerprint() != plain.fingerprint()
    assert repr(other).endswith("look='autumn')")


def test_the_catalog_hands_it_on():
    streets = DATASETS["streets"].at()
    image, _ = streets.open("val", size=(48, 96), num_images=1, look="autumn")[0]
    own, _ = SyntheticStreets(1, (48, 96), WORLDS["val"], "autumn")[0]
    assert np.array_equal(image, own)
    with pytest.raises(OptionError, match=r"no look 'autum'.*did you mean 'autumn'"):
        streets.open("val", size=(48, 96), num_images=1, look="autum")
