"""The seeded stream of batches: what every batch promises, exact resuming, and what samplers repeat."""

from __future__ import annotations

import hashlib
import itertools
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from aucseg.catalog import open_dataset
from aucseg.data.sampling import (
    CoveringBatchSampler,
    SeededDataset,
    StepBatchSampler,
    StratifiedBatchSampler,
    count_repeats,
    epoch_order,
    greedy_cover,
    mix_seed,
)
from aucseg.data.transforms import train_transform
from aucseg.longtail.statistics import load_statistics
from tests.longtail.test_odds import draw_matrix


def test_mix_seed_is_the_stated_hash_and_has_no_sums() -> None:
    digest = hashlib.blake2b(b"str:item\x1fint:3\x1fint:-4", digest_size=8).digest()
    assert mix_seed("item", 3, -4) == int.from_bytes(digest, "little") >> 1
    seeds = {mix_seed("item", s, t, p) for s in range(8) for t in range(8) for p in range(8)}
    assert len(seeds) == 512
    assert mix_seed(1, 23) != mix_seed(12, 3)
    assert mix_seed("1") != mix_seed(1)


@settings(deadline=None, max_examples=25)
@given(
    num_images=st.integers(1, 12),
    batch_size=st.integers(1, 5),
    world_size=st.integers(1, 3),
    start=st.integers(0, 9),
    seed=st.integers(0, 2**40),
)
def test_the_stream_depends_on_seed_step_and_place_only(
    num_images: int, batch_size: int, world_size: int, start: int, seed: int
) -> None:
    steps = 9
    whole = list(StepBatchSampler(num_images, batch_size * world_size, seed=seed, steps=steps))
    assert len(whole) == steps
    later = StepBatchSampler(num_images, batch_size * world_size, seed=seed, steps=steps, start_step=start)
    assert len(later) == steps
    assert list(later) == whole[start:]
    ranks = [
        list(StepBatchSampler(num_images, batch_size, seed=seed, steps=steps, rank=r, world_size=world_size))
        for r in range(world_size)
    ]
    assert [list(chain(*parts)) for parts in zip(*ranks, strict=True)] == whole
    # every epoch visits every image once
    stream = [index for batch in whole for index, _ in batch]
    for first in range(0, len(stream) - num_images + 1, num_images):
        assert sorted(stream[first : first + num_images]) == list(range(num_images))
    item_seeds = [s for batch in whole for _, s in batch]
    assert len(set(item_seeds)) == len(item_seeds)


def test_epochs_and_seeds_differ() -> None:
    orders = {tuple(epoch_order(20, seed, epoch).tolist()) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_images": 0}, "at least 1, got 0, 2 and 1"),
        ({"batch_size": 0}, "at least 1, got 4, 0 and 1"),
        ({"start_step": 6}, "start_step=6, steps=5"),
        ({"rank": 1}, "rank=1, world_size=1"),
    ],
)
def test_bad_sampler_options(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        StepBatchSampler(**({"num_images": 4, "batch_size": 2, "seed": 0, "steps": 5} | options))


def test_workers_do_not_change_the_batches(tiny_camvid: Path) -> None:
    data = SeededDataset(
        open_dataset("folder", tiny_camvid, "train"), train_transform((32, 32), photometric=True)
    )
    assert len(data) == 4

    def batches(workers: int, start: int = 0) -> list:
        sampler = StepBatchSampler(len(data), 6, seed=3, steps=4, start_step=start)  # more than the images
        return list(DataLoader(data, batch_sampler=sampler, num_workers=workers))

    plain, parallel, resumed = batches(0), batches(2), batches(0, start=2)
    assert len(plain) == 4
    for (a, am), (b, bm) in zip(plain, parallel, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
        torch.testing.assert_close(am, bm, rtol=0, atol=0)
    torch.testing.assert_close(resumed[1][0], plain[3][0], rtol=0, atol=0)
    assert not torch.equal(plain[0][0], plain[1][0])


def test_item_draws_leave_the_global_generator_alone(tiny_camvid: Path) -> None:
    data = SeededDataset(open_dataset("folder", tiny_camvid, "train"), train_transform((32, 32)))
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = data[0, 11]
    torch.testing.assert_close(torch.rand(3), expected)
    torch.testing.assert_close(data[0, 11][0], first[0], rtol=0, atol=0)
    assert any(not torch.equal(data[0, s][0], first[0]) for s in range(12, 16))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_item_draws_leave_the_gpu_generator_alone(tiny_camvid: Path) -> None:
    data = SeededDataset(open_dataset("folder", tiny_camvid, "train"), train_transform((32, 32)))
    torch.cuda.manual_seed(5)
    expected = torch.rand(3, device="cuda")
    torch.cuda.manual_seed(5)
    data[0, 11]
    torch.testing.assert_close(torch.rand(3, device="cuda"), expected)


few = settings(max_examples=30, deadline=None)


@given(seed=st.integers(0, 999), images=st.integers(2, 30), classes=st.integers(1, 8), data=st.data())
@few
def test_every_batch_holds_what_it_promises(
    seed: int, images: int, classes: int, data: st.DataObject
) -> None:
    presence = draw_matrix(seed, images, classes)
    promised = data.draw(st.lists(st.integers(0, classes - 1), min_size=1, unique=True))
    least = len(greedy_cover(presence, np.isin(np.arange(classes), promised)))
    world = data.draw(st.sampled_from([1, 2]))
    size = -(-least // world) + data.draw(st.integers(0, 3))
    ranks = [
        CoveringBatchSampler(
            presence, size, classes=promised, seed=seed, steps=12, rank=rank, world_size=world
        )
        for rank in range(world)
    ]
    for parts in zip(*ranks, strict=True):
        batch = [index for part in parts for index, _ in part]
        assert len(batch) == size * world
        assert presence[batch][:, promised].any(0).all()
    if least > 1:
        with pytest.raises(ValueError, match=f"the cover found takes {least} images"):
            CoveringBatchSampler(presence, least - 1, classes=promised, seed=0, steps=1)


@given(seed=st.integers(0, 99), images=st.integers(1, 9), classes=st.integers(1, 5))
@few
def test_greedy_cover_against_all_sets(seed: int, images: int, classes: int) -> None:
    presence = draw_matrix(seed, images, classes)
    cover = greedy_cover(presence, np.ones(classes, bool))
    assert presence[cover].any(0).all()
    smallest = next(
        k
        for k in range(1, images + 1)
        if any(presence[list(s)].any(0).all() for s in itertools.combinations(range(images), k))
    )
    assert smallest <= len(cover) <= smallest * (1 + np.log(classes)) + 1e-9
    # what the first image leaves is covered by the rest: the sampler's places never run out
    assert greedy_cover(presence, ~presence[cover[0]]) == cover[1:]


@pytest.mark.parametrize("kind", [StratifiedBatchSampler, CoveringBatchSampler])
def test_a_batch_depends_on_seed_and_step_alone(
    kind: type[StratifiedBatchSampler | CoveringBatchSampler],
) -> None:
    presence = draw_matrix(1, 23, 5)
    whole = list(kind(presence, 6, seed=7, steps=20))
    assert list(kind(presence, 6, seed=7, steps=20, start_step=13)) == whole[13:]
    assert list(kind(presence, 6, seed=8, steps=20)) != whole
    halves = [kind(presence, 3, seed=7, steps=20, rank=r, world_size=2) for r in (0, 1)]
    assert [a + b for a, b in zip(*halves, strict=True)] == whole
    # the seeds of the items are the ones of the house's own sampler
    plain = list(StepBatchSampler(23, 6, seed=7, steps=20))
    assert [[s for _, s in batch] for batch in whole] == [[s for _, s in batch] for batch in plain]


def test_plain_shows_each_image_once_and_spreads_the_strata() -> None:
    known = load_statistics("cityscapes")
    assert known.presence is not None
    steps = known.num_images // 16
    random = count_repeats(StepBatchSampler(known.num_images, 16, seed=0, steps=steps), known.presence)
    plain = count_repeats(StratifiedBatchSampler(known.presence, 16, seed=0, steps=steps), known.presence)
    cover = count_repeats(CoveringBatchSampler(known.presence, 16, seed=0, steps=steps), known.presence)
    assert plain.times.max() == 1
    assert cover.missed.max() == 0 < plain.missed.sum() < random.missed.sum()
    train = known.names.index("train")
    # 142 images for 185 batches: each at least 1.3 times in an epoch that shows the others about once
    assert cover.per_class[train] > 1.3 * 0.95 > plain.per_class[train] * 1.2
    assert cover.most > 3
    assert cover.times.sum() == plain.times.sum() == steps * 16


def test_a_batch_may_be_larger_than_the_set() -> None:
    presence = np.array([[1, 0], [0, 1]], bool)
    for kind in (StratifiedBatchSampler, CoveringBatchSampler):
        for batch in kind(presence, 7, seed=0, steps=3):
            assert {index for index, _ in batch} == {0, 1}
            assert len(batch) == 7


def test_repeats_by_hand() -> None:
    presence = np.array([[1, 0], [1, 0], [1, 1]], bool)
    sampler = CoveringBatchSampler(presence, 1, seed=0, steps=6)
    found = count_repeats(sampler, presence)
    assert found.times.tolist() == [0, 0, 6]
    assert found.per_class.tolist() == [1.0, 3.0]
    assert (found.most, found.unseen, found.missed.tolist()) == (3.0, 2, [0.0, 0.0])


def test_rounds_spread_the_repeats() -> None:
    """One class in 4 of 12 images, alone promised: in 8 steps each of the 4 keeps the promise twice."""
    presence = np.zeros((12, 2), bool)
    presence[:4, 0] = presence[:, 1] = True
    sampler = CoveringBatchSampler(presence, 1, classes=[0], seed=3, steps=8)
    assert sorted(batch[0][0] for batch in sampler) == [0, 0, 1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize(
    ("presence", "options", "message"),
    [
        (np.ones((3, 2)), {}, "of bool, got"),
        (np.ones(3, bool), {}, "of bool, got"),
        (np.array([[1, 0], [1, 0]], bool), {}, "class 1 is in no image"),
        (np.ones((3, 2), bool), {"classes": []}, "each once"),
        (np.ones((3, 2), bool), {"classes": [0, 0]}, "each once"),
        (np.ones((3, 2), bool), {"classes": [2]}, "classes are 0 to 1"),
        (np.ones((3, 2), bool), {"start_step": 4}, "start_step"),
    ],
)
def test_bad_input(presence: np.ndarray, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CoveringBatchSampler(presence, 2, seed=0, steps=3, **options)  # type: ignore[arg-type]


def test_bad_counting() -> None:
    sampler = StepBatchSampler(3, 1, seed=0, steps=2, start_step=2)
    with pytest.raises(ValueError, match="no step is left"):
        count_repeats(sampler, np.ones((3, 1), bool))
    with pytest.raises(ValueError, match="presence has 4 images"):
        count_repeats(sampler, np.ones((4, 1), bool))
