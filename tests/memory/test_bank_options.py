"""Options where the paper is silent or says two things: scope, areas, cover, edges, placement, offload."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aucseg.memory import CopyPaste, FixedPixelBank, PixelMemoryBank, TailMemoryBank
from tests.memory.scenes import TAIL, assert_same, one_object, plain, run, scene, seeded


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from((TailMemoryBank, FixedPixelBank, CopyPaste, PixelMemoryBank)),
    scope=st.sampled_from(("image", "batch")),
    edge=st.sampled_from(("hard", "soft")),
    placement=st.sampled_from(("box", "canvas")),
    cover=st.sampled_from((None, 0.0, 0.5)),
    replacement=st.sampled_from(("random", "fifo", "lifo", "priority_used")),
    min_area=st.sampled_from((1, 9)),
    resize=st.sampled_from((0.1, 0.5, 1.0)),
    dtype=st.sampled_from((torch.float32, torch.uint8, torch.bfloat16)),
    offload=st.booleans(),
    seed=st.integers(0, 10**6),
)
def test_invariants(kind, scope, edge, placement, cover, replacement, min_area, resize, dtype, offload, seed):
    options = {
        "edge": edge,
        "placement": placement,
        "max_cover": cover,
        "min_area": min_area,
        "resize_ratio": resize,
        "offload": offload,
        "generator": seeded(seed),
    }
    if kind is not CopyPaste:
        options |= {"replacement": replacement, "memory_size": 2}
    if kind in (TailMemoryBank, PixelMemoryBank):
        options |= {"scope": scope, "sample_ratio": 0.7}
    if kind is FixedPixelBank:
        options["pixels_per_image"] = 20
    bank = kind(8 if kind is PixelMemoryBank else TAIL, **options)
    for step in range(4):
        size = (16 + 3 * (step % 2), 14 + 5 * (step % 3))  # objects of one size of image go to another
        images, target = scene(seed + step, size=size, dtype=dtype)
        before = images.clone(), target.clone()
        out, labels = bank(images, target)
        assert torch.equal(images, before[0])
        assert torch.equal(target, before[1])
        assert (out.dtype, out.shape, labels.dtype) == (images.dtype, images.shape, target.dtype)
        assert torch.equal(labels == 255, target == 255)  # void neither covered nor made
        changed = labels != target
        assert torch.equal(out.movedim(1, -1)[~changed], images.movedim(1, -1)[~changed])
        assert set(labels[changed].tolist()) <= set(bank.tail_classes)
        for old, new in zip(target, labels, strict=True):
            for label in bank.tail_classes:  # what was there before is covered as far as is allowed
                area = int((old == label).sum())
                if cover == 0.0:
                    assert int(((old == label) & (new == label)).sum()) == area
            if kind is FixedPixelBank:
                assert int((old != new).sum()) <= 20
        for label in bank.tail_classes:
            for picture, mask in bank.objects()[label]:
                assert int(mask.sum()) >= min_area
                assert picture.untyped_storage().data_ptr() not in {
                    t.untyped_storage().data_ptr() for t in (images, out)
                }
        if (
            torch.equal(labels, target)
            and torch.equal(out, images)
            and not any(bank.stats()["pasted"].values())
        ):
            assert out is images
            assert labels is target
    stats = bank.stats()
    assert all(stats["replaced"][c] <= stats["stored"][c] for c in bank.tail_classes)
    twin = kind(8 if kind is PixelMemoryBank else TAIL, **options | {"generator": seeded(1)})
    twin.load_state_dict(bank.state_dict())
    assert_same(run(bank, range(4), dtype=dtype), run(twin, range(4), dtype=dtype))
    assert twin.stats() == bank.stats()
    assert twin.metrics() == bank.metrics()


def test_no_bank_and_no_sample_hand_the_batch_back():
    images, target = scene(1, chance=1.0)
    for options in ({"memory_size": 0}, {"sample_ratio": 0.0}):
        bank = TailMemoryBank(TAIL, **options)
        for _ in range(2):
            out, labels = bank(images, target)
            assert out is images
            assert labels is target
        assert bool(len(bank)) == ("sample_ratio" in options)
    with pytest.raises(ValueError, match="same batch and size"):
        TailMemoryBank(TAIL, memory_size=0)(images, target[:1])


def test_an_empty_bank_hands_the_batch_back():
    images, target = plain(2)
    out, labels = TailMemoryBank(TAIL, sample_ratio=1.0)(images, target)
    assert out is images
    assert labels is target


def test_scope_batch_asks_for_what_no_image_holds():
    """One image holds 5, the other 6; only 7 is missing from the batch, and only 7 is pasted, once."""
    bank = TailMemoryBank(TAIL, scope="batch", sample_ratio=1.0, generator=seeded(0))
    bank(*one_object(7))
    images, target = (
        torch.cat([one_object(5)[0], one_object(6)[0]]),
        torch.cat([one_object(5)[1], one_object(6)[1]]),
    )
    missing = bank.stats()["missing"]
    hits = []
    for _ in range(30):
        _, labels = bank(images, target)
        assert set(labels[labels != target].tolist()) == {7}
        hits.append([bool((each == 7).any()) for each in labels])
    assert all(sum(hit) == 1 for hit in hits)
    assert {hit.index(True) for hit in hits} == {0, 1}  # into a random image
    assert {c: bank.stats()["missing"][c] - missing[c] for c in TAIL} == {5: 0, 6: 0, 7: 30}


@pytest.mark.parametrize(("missing", "ratio"), [(20, 0.05), (21, 0.05), (7, 1.0), (10, 0.33)])
def test_scope_batch_draws_for_the_batch(missing, ratio):
    bank = TailMemoryBank(range(missing), scope="batch", sample_ratio=ratio)
    bank(torch.zeros(3, 3, 4, 4), torch.full((3, 4, 4), 200))
    assert sum(bank.stats()["empty"].values()) == math.ceil(missing * ratio)
    assert sum(bank.stats()["missing"].values()) == missing


def test_min_area():
    bank = TailMemoryBank((5, 6), min_area=13)
    bank(*one_object())  # 12 pixels
    assert (len(bank), bank.stats()["too_small"], bank.stats()["missing"]) == (0, {5: 1, 6: 0}, {5: 0, 6: 1})
    bank = TailMemoryBank((5,), min_area=12)
    bank(*one_object())
    assert len(bank) == 1


def crowd(max_cover):
    """A 3x4 object of class 5 for an image whose columns 4 to 19 of 20 are class 6."""
    bank = TailMemoryBank(
        (5, 6), sample_ratio=1.0, resize_ratio=1.0, max_cover=max_cover, generator=seeded(0)
    )
    bank(*one_object(5))
    images, target = plain(40)
    target[:, :, 4:] = 6
    return target, bank(images, target)[1], bank.stats()


def test_max_cover_zero_keeps_every_pixel_of_another_tail_class():
    target, labels, stats = crowd(0.0)
    assert torch.equal(labels == 6, target == 6)
    assert stats["crowded"][5] > 0  # one place of 17 is free: not found in ten tries by all
    assert stats["pasted"][5] > 0
    assert stats["crowded"][5] + stats["pasted"][5] == 40
    assert int((labels == 5).sum()) == 12 * stats["pasted"][5]


def test_max_cover_is_a_share():
    target, labels, stats = crowd(0.02)  # of 320 pixels: 6.4
    lost = ((target == 6) & (labels != 6)).sum((1, 2))
    assert int(lost.max()) == 6
    assert stats["pasted"][5] > 0
    assert crowd(12 / 320)[2]["crowded"][5] == 0
    assert crowd(None)[2]["crowded"][5] == 0


def test_max_cover_does_not_tell_void_or_head_from_nothing():
    bank = TailMemoryBank((5, 6), sample_ratio=1.0, resize_ratio=1.0, max_cover=0.0)
    bank(*one_object(5))
    images, target = plain()
    target[0] = 255
    target[0, 0, 0] = 6
    target[0, :, 10:] = 3
    _, labels = bank(images, target)
    assert torch.equal(labels == 255, target == 255)


def test_placement_canvas_at_ratio_one_pastes_where_it_was():
    bank = TailMemoryBank((5,), sample_ratio=1.0, resize_ratio=1.0, placement="canvas")
    images, target = one_object()
    bank(images, target)
    out, labels = bank(*plain())
    assert torch.equal(labels == 5, target == 5)
    assert torch.equal(out[..., 2:5, 3:7], images[..., 2:5, 3:7])


def test_placement_canvas_keeps_the_scaled_image_inside():
    """Half of 20x20 is 10x10, anywhere in 20x20; the object begins at row 4, column 6 and half of that."""
    bank = TailMemoryBank((5,), sample_ratio=1.0, resize_ratio=0.5, placement="canvas", generator=seeded(0))
    images, target = plain()
    target[0, 4:8, 6:10] = 5
    bank(images, target)
    tops, lefts = set(), set()
    for _ in range(150):
        _, labels = bank(*plain())
        place = (labels[0] == 5).nonzero()
        assert len(place) == 4
        top, left = place.amin(0).tolist()
        tops.add(top)
        lefts.add(left)
    assert (tops, lefts) == (set(range(2, 13)), set(range(3, 14)))


def test_placement_canvas_fits_a_smaller_image():
    bank = TailMemoryBank((5,), sample_ratio=1.0, resize_ratio=1.0, placement="canvas")
    images, target = plain()
    target[0, 16:20, 16:20] = 5
    bank(images, target)
    _, labels = bank(*plain(size=(10, 40)))
    rows = (labels[0] == 5).any(1).nonzero().flatten().tolist()
    assert rows == [8, 9]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64])
def test_edges_by_hand(dtype):
    """A white object on black, halved so that its right column covers half of a pixel, on grey."""
    canvas, plain_target = plain(size=(4, 4))
    images, target = torch.zeros(1, 3, 4, 8), torch.zeros(1, 4, 8, dtype=torch.long)
    target[0, :, 1:4] = 5
    images[0, :, :, 1:4] = 200.0
    found = {}
    for edge in ("hard", "soft"):
        bank = TailMemoryBank(
            (5,), sample_ratio=1.0, resize_ratio=0.5, budget=None, edge=edge, generator=seeded(2)
        )
        bank(images.to(dtype), target)
        out, labels = bank((canvas + 100).to(dtype), plain_target)
        found[edge] = out[0, 0][labels[0] == 5].unique().tolist()
        assert (labels == 5).any()
    assert min(found["soft"]) >= 100  # white and grey mix: nothing of the old black
    assert max(found["soft"]) > 150


def test_soft_edge_keeps_a_thin_object_at_its_colour():
    bank = TailMemoryBank((5,), sample_ratio=1.0, resize_ratio=0.1, edge="soft")
    images, target = plain(size=(30, 30))
    target[0, 20, 9:21] = target[0, 0, 0] = 5  # one tight box over both
    images[:, :, target[0] == 5] = 8.0
    bank(images, target)
    out, labels = bank(*plain(size=(30, 30)))
    assert (labels == 5).sum() == 1
    torch.testing.assert_close(out[0, :, labels[0] == 5], torch.full((3, 1), 8.0))


def test_without_antialias_a_picture_is_sampled():
    images, target = plain(size=(8, 8))
    target[:] = 5
    images[..., ::4] = 1.0
    found = {}
    for antialias in (True, False):
        bank = TailMemoryBank((5,), sample_ratio=1.0, resize_ratio=0.25, budget=None, antialias=antialias)
        bank(images, target)
        out, labels = bank(*plain(size=(8, 8)))
        found[antialias] = float(out[0, 0][labels[0] == 5].sum())
    assert found[True] > 0.5
    assert found[False] == 0.0  # columns 1, 2 and 5, 6 are looked at


def test_mixed_devices_are_refused():
    images, target = plain()
    with pytest.raises(ValueError, match="images are on meta, target on cpu; move one of them"):
        TailMemoryBank(TAIL)(images.to("meta"), target)
    with pytest.raises(TypeError, match=r"images must be a torch\.Tensor, got list"):
        TailMemoryBank(TAIL)([1], target)
