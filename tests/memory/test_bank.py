from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aucseg.errors import OptionError
from aucseg.memory import TailMemoryBank
from tests.memory.scenes import TAIL, assert_same, make, one_object, run, scene, seeded


def test_store_by_hand():
    bank = TailMemoryBank(TAIL)
    images, target = one_object()
    out, labels = bank(images, target)
    assert bank.sizes() == {5: 1, 6: 0, 7: 0}
    assert len(bank) == 1
    assert torch.equal(out, images)  # classes 6 and 7 are missing but nothing of them is stored
    assert torch.equal(labels, target)
    ((picture, mask),) = bank.objects()[5]
    assert torch.equal(picture, images[0, :, 2:5, 3:7])
    assert mask.shape == (3, 4)
    assert mask.all()
    assert bank.stats()["stored"] == {5: 1, 6: 0, 7: 0}
    assert bank.stats()["missing"] == {5: 0, 6: 1, 7: 1}
    assert sum(bank.stats()["empty"].values()) == 1  # ceil(2 * 0.05) draws, lost


def test_paste_at_ratio_one_is_the_stored_object():
    bank = TailMemoryBank((5,), sample_ratio=1.0, resize_ratio=1.0)
    images, target = one_object()
    bank(images, target)
    canvas, plain = torch.zeros(1, 3, 20, 20), torch.zeros(1, 20, 20, dtype=torch.long)
    out, labels = bank(canvas, plain)
    place = (labels[0] == 5).nonzero()
    assert len(place) == 12
    top, left = place.amin(0).tolist()
    assert torch.equal(out[0, :, top : top + 3, left : left + 4], images[0, :, 2:5, 3:7])
    assert (out[0].sum(0) == 0).sum() == 400 - 12
    assert (canvas == 0).all()
    assert (plain == 0).all()


def test_places_are_uniform():
    """A 1x1 object on a 3x4 canvas lands on each pixel alike: chi-square below its 0.999 quantile."""
    bank = TailMemoryBank((5,), sample_ratio=1.0, budget=None, generator=seeded(1))
    images, target = torch.zeros(1, 3, 3, 4), torch.zeros(1, 3, 4, dtype=torch.long)
    target[0, 0, 0] = 5
    bank(images, target)
    counts = torch.zeros(3, 4)
    for _ in range(50):
        _, labels = bank(torch.zeros(24, 3, 3, 4), torch.zeros(24, 3, 4, dtype=torch.long))
        counts += (labels == 5).sum(0)
    assert counts.sum() == 1200
    assert ((counts - 100).square() / 100).sum() < 31.3


@pytest.mark.parametrize(
    ("missing", "ratio", "expected"),
    [(20, 0.05, 1), (21, 0.05, 2), (100, 0.07, 7), (1, 0.01, 1), (7, 1.0, 7), (124, 0.05, 7), (10, 0.3, 3)],
)
def test_number_of_draws_is_the_ceiling(missing, ratio, expected):
    bank = TailMemoryBank(range(missing), sample_ratio=ratio)
    bank(torch.zeros(1, 3, 4, 4), torch.full((1, 4, 4), 200))
    assert sum(bank.stats()["empty"].values()) == expected
    assert max(bank.stats()["empty"].values()) == 1  # without replacement


def test_draws_are_without_replacement_and_pasted_once():
    bank = TailMemoryBank(TAIL, sample_ratio=1.0)
    for label in TAIL:
        bank(*one_object(label))
    before = bank.stats()["pasted"]
    bank(torch.zeros(1, 3, 20, 20), torch.zeros(1, 20, 20, dtype=torch.long))
    after = bank.stats()["pasted"]
    assert [after[label] - before[label] for label in TAIL] == [1, 1, 1]


def test_an_image_gets_what_another_of_the_batch_holds():
    images, target = one_object()
    images, target = torch.cat((images, images)), torch.cat((target, torch.zeros_like(target)))
    bank = TailMemoryBank((5,), sample_ratio=1.0)
    _, labels = bank(images, target)
    assert (labels[1] == 5).any()


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    sample=st.sampled_from((0.05, 0.4, 1.0)),
    resize=st.sampled_from((0.1, 0.4, 1.0)),
    size=st.tuples(st.integers(8, 20), st.integers(8, 20)),
    dtype=st.sampled_from((torch.float32, torch.uint8)),
)
def test_invariants(seed, sample, resize, size, dtype):
    bank = TailMemoryBank(
        TAIL, memory_size=2, sample_ratio=sample, resize_ratio=resize, generator=seeded(seed)
    )
    for step in range(4):
        images, target = scene(seed + step, size=size, dtype=dtype)
        before = images.clone(), target.clone()
        out, labels = bank(images, target)
        assert torch.equal(images, before[0])
        assert torch.equal(target, before[1])
        assert out.dtype == dtype
        assert out.shape == images.shape
        assert labels.dtype == target.dtype
        assert torch.equal(labels == 255, target == 255)  # void neither covered nor made
        changed = labels != target
        assert torch.equal(out.movedim(1, -1)[~changed], images.movedim(1, -1)[~changed])
        for old, new in zip(target, labels, strict=True):
            missing = set(TAIL) - set(old.unique().tolist())
            pasted = set(new[old != new].tolist())
            assert pasted <= missing
            assert len(pasted) <= math.ceil(len(missing) * sample - 1e-9)
        assert all(n <= 2 for n in bank.sizes().values())
    stats = bank.stats()
    assert all(stats["pasted"][c] + stats["empty"][c] <= stats["missing"][c] for c in TAIL)
    assert all(stats["stored"][c] + stats["missing"][c] == 8 for c in TAIL)


def test_void_image_stays_void():
    bank = TailMemoryBank((5,), sample_ratio=1.0)
    bank(*one_object())
    images, void = torch.rand(1, 3, 20, 20), torch.full((1, 20, 20), 255)
    out, labels = bank(images, void)
    assert torch.equal(out, images)
    assert torch.equal(labels, void)


def test_negative_void_label_with_uint8():
    """In uint8 the label 255 equals -1: with ignore_index=-1 it is a label like any other."""
    bank = TailMemoryBank((5,), sample_ratio=1.0, resize_ratio=1.0, ignore_index=-1)
    images, target = one_object()
    bank(images, target.to(torch.uint8))
    _, labels = bank(images, torch.full((1, 20, 20), 255, dtype=torch.uint8))
    assert (labels == 5).sum() == 12


def test_deterministic_by_the_generator_alone():
    torch.manual_seed(1)
    first = run(make(3), range(8))
    state = torch.get_rng_state()
    torch.manual_seed(2)
    assert_same(first, run(make(3), range(8)))
    other = run(make(4), range(8))
    assert any(not torch.equal(a[1], b[1]) for a, b in zip(first, other, strict=True))
    torch.manual_seed(1)
    run(make(3), range(8))
    assert torch.equal(torch.get_rng_state(), state)


def test_default_generator_follows_the_global_seed_without_drawing_from_it():
    outputs = []
    for _ in range(2):
        torch.manual_seed(11)
        before = torch.get_rng_state()
        bank = TailMemoryBank(TAIL, sample_ratio=0.7)
        outputs.append(run(bank, range(5)))
        assert torch.equal(torch.get_rng_state(), before)
    assert_same(*outputs)
    generator = torch.Generator()
    generator.set_state(bank.get_extra_state()["generator"])
    assert generator.initial_seed() != torch.initial_seed()


def test_eval_mode_hands_the_batch_back():
    bank = make(0)
    run(bank, range(4), chance=1.0)
    size, stats = len(bank), bank.stats()
    images, target = scene(9)
    out, labels = bank.eval()(images, target)
    assert out is images
    assert labels is target
    assert (len(bank), bank.stats()) == (size, stats)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_dtypes_are_kept(dtype):
    bank = make(0)
    pasted = 0
    for seed in range(6):
        images, target = scene(seed, dtype=dtype)
        out, labels = bank(images, target.to(torch.uint8))
        assert out.dtype == dtype
        assert labels.dtype == torch.uint8
        pasted += int((labels != target).sum())
    assert pasted


def test_huge_object_with_a_small_ratio_and_a_smaller_canvas():
    bank = TailMemoryBank((5,), sample_ratio=1.0, resize_ratio=0.1, budget=None)
    bank(torch.rand(1, 3, 64, 64), torch.full((1, 64, 64), 5))
    _, labels = bank(torch.rand(1, 3, 40, 40), torch.zeros(1, 40, 40, dtype=torch.long))
    assert (labels == 5).sum() == 36  # 6.4 pixels a side
    bank.resize_ratio = 1.0
    _, labels = bank(torch.rand(1, 3, 8, 16), torch.zeros(1, 8, 16, dtype=torch.long))
    assert (labels == 5).sum() == 64  # shrunk to the canvas, in proportion


def test_reset_forgets():
    bank = make(0)
    run(bank, range(3), chance=1.0)
    bank.reset()
    assert len(bank) == 0
    assert sum(bank.stats()["stored"].values()) == 0


def test_no_gradient_through_the_bank():
    images, target = scene(0)
    out, _ = make(0)(images.requires_grad_(), target)
    assert not out.requires_grad


def test_bad_options():
    cases = (
        (((),), {}, "tail_classes is empty"),
        (((3, -1),), {}, "holds -1; labels are not negative"),
        (((3, 3),), {}, "holds 3 twice"),
        (((3, 255),), {}, "holds 255, which is ignore_index"),
        (((3,),), {"memory_size": -1}, "memory_size must be an int of at least 0, got -1; 0 means no bank"),
        (((3,),), {"memory_size": 2.5}, "memory_size must be an int of at least 0, got 2.5"),
        (((3,),), {"sample_ratio": -0.1}, r"sample_ratio must be in \[0, 1\], got -0.1"),
        (((3,),), {"sample_ratio": 1.1}, r"sample_ratio must be in \[0, 1\], got 1.1"),
        (((3,),), {"resize_ratio": -0.4}, r"resize_ratio must be in \(0, 1\], got -0.4"),
        (((3,),), {"resize_ratio": 0.0}, r"got 0.0; to paste nothing set sample_ratio=0"),
        (((3, 19),), {"num_classes": 19}, "holds 19; with num_classes=19 the last class is 18"),
        (((3,),), {"min_area": 0}, "min_area must be an int of at least 1, got 0"),
        (((3,),), {"budget": 1.5}, r"budget must be in \[0, 1\], got 1.5; None sets no limit"),
        (((3,),), {"max_cover": 1.5}, r"max_cover must be in \[0, 1\], got 1.5; None sets no limit"),
        (((3,),), {"scope": "picture"}, "scope must be one of image, batch, got 'picture'"),
        (((3,),), {"edge": "round"}, "edge must be one of hard, soft"),
        (((3,),), {"edge": "soft", "antialias": False}, "got antialias=False; leave one"),
        (((3,),), {"placement": "here"}, "placement must be one of box, canvas"),
        (((3,),), {"share": "some"}, "share must be one of none, all"),
        (((3,),), {"replacement": "lru"}, "replacement must be one of random, fifo, lifo, priority_used or"),
        (((3,),), {"resize_ratio": float("nan")}, r"resize_ratio must be in \(0, 1\], got nan"),
    )
    for args, options, message in cases:
        with pytest.raises(OptionError, match=message):
            TailMemoryBank(*args, **options)
    with pytest.raises(TypeError, match="'float' object cannot be interpreted as an integer"):
        TailMemoryBank((5.7,))


def test_bad_batches():
    bank = TailMemoryBank(TAIL)
    images, target = scene(0)
    cases = (
        (images[:1], target, r"got \(1, 3, 24, 32\) and \(2, 24, 32\)"),
        (images, target[:, :5], "same batch and size"),
        (images[0], target[0], r"images must have shape \(B, C, H, W\)"),
        (images.long(), target, r"floating point or uint8, got torch\.int64"),
    )
    for bad_images, bad_target, message in cases:
        with pytest.raises(ValueError, match=message):
            bank(bad_images, bad_target)
    with pytest.raises(TypeError, match=r"integer class labels, got dtype torch\.float32"):
        bank(images, target.float())
    bank(*scene(1, chance=1.0))
    with pytest.raises(
        ValueError, match=r"holds torch\.float32 objects of 3 channels, .* torch\.uint8 with 3"
    ):
        bank(*scene(2, dtype=torch.uint8))
    with pytest.raises(ValueError, match=r"call reset\(\) first"):
        bank(images[:, :1], target)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32])
@pytest.mark.parametrize("shape", [lambda x: x, lambda x: x[:, None], lambda x: x[..., None]])
def test_targets_of_any_width_and_shape(dtype, shape):
    """What is pasted is the same, and comes back in the form that went in."""
    plain, other = make(0), make(0)
    pasted = 0
    for seed in range(4):
        images, target = scene(seed)
        expected_images, expected = plain(images, target)
        given = shape(target.to(dtype))
        found_images, found = other(images, given)
        assert torch.equal(found_images, expected_images)
        assert found.dtype == dtype
        assert torch.equal(found, shape(expected.to(dtype)))
        pasted += int(expected is not target)
        assert (found is given) == (expected is target)
    assert pasted


def test_booleans_for_two_classes():
    images, target = scene(0, batch=4, tail=(), void=False)
    target = (target == 0) & (torch.arange(4) < 2)[:, None, None]
    bank = TailMemoryBank([1], sample_ratio=1.0, generator=seeded())
    _, found = bank(images, target[:, None])
    assert found.dtype == torch.bool
    assert found.shape == (4, 1, 24, 32)
    assert found[2:].any(dim=(1, 2, 3)).all()


def test_one_hot_targets_are_told_what_to_do():
    images, _ = scene(0)
    with pytest.raises(ValueError, match=r"a number for each class .*\.argmax\(1\)"):
        make(0)(images, torch.zeros(2, 8, 24, 32))
    with pytest.raises(ValueError, match=r"a number for each class .*\.argmax\(-1\)"):
        make(0)(images, torch.zeros(2, 24, 32, 8).bool())


def test_numpy_integers():
    bank = TailMemoryBank(
        np.array([5, 6]), memory_size=np.int64(3), min_area=np.int32(2), num_classes=np.uint8(8)
    )
    assert (bank.tail_classes, bank.memory_size, bank.min_area) == ((5, 6), 3, 2)
    assert all(type(value) is int for value in (*bank.tail_classes, bank.memory_size, bank.min_area))
    with pytest.raises(OptionError, match="memory_size must be an int of at least 0, got True"):
        TailMemoryBank([5], memory_size=True)


def test_no_parameters():
    assert not list(make(0).parameters())
    assert "memory_size=2, sample_ratio=0.7, resize_ratio=0.6, ignore_index=255" in repr(make(0))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_makes_the_same_choices(tmp_path):
    here, there = make(3), make(3)
    for seed in range(8):
        images, target = scene(seed)
        out, labels = here(images, target)
        gpu_out, gpu_labels = there(images.cuda(), target.cuda())
        assert gpu_out.is_cuda
        assert torch.equal(labels, gpu_labels.cpu())
        torch.testing.assert_close(out, gpu_out.cpu(), rtol=0, atol=1e-5)
    torch.save(there.state_dict(), tmp_path / "state.pt")
    fresh = make(0)
    fresh.load_state_dict(torch.load(tmp_path / "state.pt", map_location="cpu", weights_only=True))
    fresh(images.cuda(), target.cuda())
