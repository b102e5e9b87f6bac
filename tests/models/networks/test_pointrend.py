"""Points of an image, and a segmentation corrected at the least certain of them."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from aucseg.models import create_model
from aucseg.models.networks.pointrend import (
    PointHead,
    SemanticFPN,
    labels_at,
    point_cross_entropy,
    training_points,
    uncertain_pixels,
    uncertainty,
    values_at,
)


def _centres(height: int, width: int) -> torch.Tensor:
    """Centres of all pixels of a grid, row by row."""
    points = [((x + 0.5) / width, (y + 0.5) / height) for y in range(height) for x in range(width)]
    return torch.tensor([points], dtype=torch.float64)


@pytest.mark.parametrize("size", [(3, 5), (6, 10), (11, 7)])
def test_values_at_pixel_centres_are_those_of_interpolation(size):
    features = torch.randn(1, 4, 3, 5, dtype=torch.float64)
    found = values_at(features, _centres(*size)).unflatten(2, size)
    wanted = F.interpolate(features, size=size, mode="bilinear", align_corners=False)
    torch.testing.assert_close(found, wanted)


def test_value_between_four_pixels_by_hand():
    features = torch.tensor([[[[0.0, 4.0], [8.0, 12.0]]]])
    # a quarter of the way from the left centre (x = 1/4) to the right one (x = 3/4), half way down
    points = torch.tensor([[[0.25 + 0.25 * 0.5, 0.5], [0.0, 0.0], [1.0, 1.0]]])
    torch.testing.assert_close(values_at(features, points), torch.tensor([[[5.0, 0.0, 12.0]]]))


def test_positions_are_exact_for_features_in_half_precision():
    """In bfloat16 a position in a wide image would be off by whole pixels."""
    ramp = torch.arange(256.0).expand(1, 1, 2, 256)
    points = torch.tensor([[[(200 + 0.5) / 256, 0.5]]])
    assert values_at(ramp.bfloat16(), points).item() == 200


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 10**6))
def test_labels_are_those_of_the_pixel_that_a_point_lies_in(height, width, seed):
    generator = torch.Generator().manual_seed(seed)
    target = torch.randint(0, 256, (2, height, width), generator=generator)
    points = torch.rand(2, 30, 2, generator=generator)
    found = labels_at(target, points)
    grid = (2 * points - 1).unsqueeze(2)
    nearest = F.grid_sample(
        target.unsqueeze(1).float(), grid, mode="nearest", padding_mode="border", align_corners=False
    )
    assert torch.equal(found, nearest.flatten(1).long())


def test_labels_at_the_corners_of_the_image():
    target = torch.tensor([[[1, 2, 3], [4, 5, 6]]])
    points = torch.tensor([[[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]])
    assert labels_at(target, points).tolist() == [[1, 3, 4, 6]]


def test_uncertainty_is_the_lead_of_the_first_choice():
    logits = torch.tensor([[3.0, 1.0, 2.5], [0.0, 7.0, 7.0], [-1.0, -5.0, -1.5]]).T.unsqueeze(0)
    assert uncertainty(logits).tolist() == [[-0.5, 0.0, -0.5]]


def _tied_on_the_right() -> torch.Tensor:
    """(2,3,8,8) logits: sure in the left half, tied in the right."""
    logits = torch.zeros(2, 3, 8, 8)
    logits[:, 0, :, :4] = 9.0
    return logits


@pytest.mark.parametrize("important", [0.0, 0.75, 1.0])
def test_training_points_are_where_the_prediction_is_uncertain(important):
    torch.manual_seed(0)
    points = training_points(_tied_on_the_right(), count=400, oversample=3, important=important)
    assert points.shape == (2, 400, 2)
    assert ((points >= 0) & (points <= 1)).all()
    # of 1200 points about 600 lie where the prediction is tied or nearly so: enough for the important ones
    right = (points[..., 0] > 3.5 / 8).float().mean(1)
    wanted = important + (1 - important) * 4.5 / 8
    torch.testing.assert_close(right, torch.full((2,), wanted), atol=0.06, rtol=0)


def test_training_points_are_the_most_uncertain_of_those_drawn():
    """Drawn again with the same seed and sorted by a plain loop."""
    coarse = torch.randn(1, 4, 5, 5)
    torch.manual_seed(3)
    found = training_points(coarse, count=8, oversample=3, important=0.75)
    torch.manual_seed(3)
    drawn = torch.rand(1, 24, 2)
    logits = values_at(coarse, drawn)[0].T.tolist()
    lead = [sorted(row)[-1] - sorted(row)[-2] for row in logits]
    wanted = sorted(range(24), key=lead.__getitem__)[:6]
    assert torch.equal(found[0, :6], drawn[0, wanted])
    assert torch.equal(found[0, 6:], torch.rand(1, 2, 2)[0])


@pytest.mark.parametrize("count", [1, 7, 100])
def test_uncertain_pixels_by_sorting_all(count):
    logits = torch.randn(2, 3, 4, 6)
    indices, points = uncertain_pixels(logits, count)
    assert indices.shape == (2, min(count, 24))
    for image in range(2):
        lead = logits[image].flatten(1).sort(dim=0).values.diff(dim=0)[-1]
        assert indices[image].tolist() == lead.argsort()[:count].tolist()
    assert torch.equal(points.double(), _centres(4, 6)[0].float().double()[indices])


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return create_model("pointrend", "resnet18", num_classes=3, decoder_channels=32).eval()


def _parts(network, images):
    with torch.no_grad():
        semantic, fine = network.decoder(network.encoder(images))
        return network.segmentation_head(semantic), fine


def test_point_head_is_a_perceptron_that_sees_the_coarse_logits_before_each_layer():
    head = PointHead(5, 2)
    fine, coarse = torch.randn(1, 5, 7), torch.randn(1, 2, 7)
    found = head(fine, coarse)
    for point in range(7):
        x, c = fine[0, :, point], coarse[0, :, point]
        for layer in head.hidden:
            x = (layer.weight[:, :, 0] @ torch.cat([x, c]) + layer.bias).clamp(min=0)
        wanted = head.out.weight[:, :, 0] @ torch.cat([x, c]) + head.out.bias
        torch.testing.assert_close(found[0, :, point], wanted)


def test_point_head_starts_nearly_undecided():
    torch.manual_seed(0)
    head = PointHead(256, 19)
    assert head.out.weight.std().item() == pytest.approx(0.01, rel=0.05)
    assert not head.out.bias.any()


def test_every_pixel_is_refined_where_the_image_has_few(network):
    """Then the result is the point head at each pixel's centre, whatever was upsampled."""
    images = torch.randn(1, 3, 64, 96)
    coarse, fine = _parts(network, images)
    centres = torch.tensor([((x + 0.5) / 96, (y + 0.5) / 64) for y in range(64) for x in range(96)])
    with torch.no_grad():
        wanted = network.point_head(values_at(fine, centres[None]), values_at(coarse, centres[None]))
        torch.testing.assert_close(network(images).flatten(2), wanted, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("size", [(64, 96), (65, 90)])
def test_only_the_most_uncertain_pixels_are_refined(network, size):
    images = torch.randn(2, 3, *size)
    coarse, fine = _parts(network, images)
    network.eval_points = 40
    try:
        with torch.no_grad():
            found = network(images)
    finally:
        network.eval_points = 8196
    # step by step, with a plain loop over pixels
    logits = coarse
    height, width = coarse.shape[-2:]
    for step in ((2 * height, 2 * width), size):
        logits = F.interpolate(logits, size=step, mode="bilinear", align_corners=False)
        chosen = uncertainty(logits.flatten(2)).argsort(dim=1, descending=True)[:, :40]
        for image in range(2):
            for pixel in chosen[image].tolist():
                y, x = divmod(pixel, step[1])
                point = torch.tensor([[[(x + 0.5) / step[1], (y + 0.5) / step[0]]]])
                with torch.no_grad():
                    one = slice(image, image + 1)
                    anew = network.point_head(values_at(fine[one], point), values_at(coarse[one], point))
                logits[image, :, y, x] = anew[0, :, 0]
    torch.testing.assert_close(found, logits, atol=1e-5, rtol=1e-4)


def test_point_loss_is_a_mean_over_labelled_points():
    logits = torch.randn(2, 3, 5)
    points = torch.rand(2, 5, 2)
    target = torch.randint(0, 3, (2, 4, 6))
    target[:, ::2] = 255
    total, count = torch.zeros(()), 0
    for image in range(2):
        for point in range(5):
            x, y = points[image, point].tolist()
            label = int(target[image, int(y * 4), int(x * 6)])
            if label != 255:
                total = total - logits[image, :, point].log_softmax(0)[label]
                count += 1
    assert count not in (0, 10)
    torch.testing.assert_close(point_cross_entropy((logits, points), target, 255), total / count)


def test_no_more_points_than_pixels(network):
    network.train()
    try:
        for size, count in [((32, 48), 1536), ((64, 96), 2048)]:
            output = network(torch.randn(2, 3, *size))
            logits, points = output.auxiliary["points"]
            assert logits.shape == (2, 3, count)
            assert points.shape == (2, count, 2)
            assert not points.requires_grad
    finally:
        network.eval()


def test_main_logits_in_training_are_the_coarse_ones(network):
    """The point head has no part in them, so a loss on them leaves it alone."""
    network.train()
    try:
        output = network(torch.randn(2, 3, 64, 64))
        output.logits.sum().backward()
        assert all(p.grad is None for p in network.point_head.parameters())
    finally:
        network.zero_grad()
        network.eval()


def test_each_level_of_the_pyramid_counts():
    decoder = SemanticFPN([3, 4, 4, 6, 8, 10], 16).eval()
    features = [torch.randn(1, c, s, s + 2) for c, s in zip([4, 6, 8, 10], [17, 9, 5, 3], strict=True)]
    with torch.no_grad():
        semantic, fine = decoder(features)
        assert semantic.shape == (1, 8, 17, 19)
        assert fine.shape == (1, 16, 17, 19)
        for level in range(4):
            other = [f + (i == level) for i, f in enumerate(features)]
            assert not torch.allclose(decoder(other)[0], semantic)
    assert [len(branch) for branch in decoder.branches] == [1, 1, 2, 3]


@pytest.mark.parametrize("option", ["train_points", "eval_points"])
def test_fewer_than_one_point_is_refused(option):
    with pytest.raises(ValueError, match="at least 1, got"):
        create_model("pointrend", "resnet18", num_classes=3, **{option: 0})
