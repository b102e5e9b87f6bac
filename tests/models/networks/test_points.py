from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from aucseg.models.networks.points import (
    labels_at,
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
