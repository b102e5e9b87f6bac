from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from aucseg.models import create_model
from aucseg.models.networks.pointrend import PointHead, SemanticFPN, point_cross_entropy
from aucseg.models.networks.points import uncertainty, values_at


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
