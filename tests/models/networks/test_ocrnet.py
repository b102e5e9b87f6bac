from __future__ import annotations

import pytest
import torch

from aucseg.models import create_model
from aucseg.models.networks.ocrnet import ObjectContext, region_features


def test_region_features_by_a_plain_loop():
    pixels = torch.randn(2, 5, 3, 4, dtype=torch.float64)
    regions = torch.randn(2, 3, 3, 4)
    found = region_features(pixels, regions)
    assert found.shape == (2, 5, 3)
    for image in range(2):
        for k in range(3):
            exponentials = regions[image, k].double().exp()
            wanted = torch.zeros(5, dtype=torch.float64)
            for y in range(3):
                for x in range(4):
                    wanted += exponentials[y, x] / exponentials.sum() * pixels[image, :, y, x]
            torch.testing.assert_close(found[image, :, k], wanted, atol=1e-6, rtol=1e-5)


def test_a_sure_region_is_the_mean_of_its_pixels():
    pixels = torch.randn(1, 4, 2, 6)
    labels = torch.tensor([[0, 0, 1, 1, 2, 2], [0, 1, 1, 2, 2, 2]])
    regions = 100.0 * torch.nn.functional.one_hot(labels).permute(2, 0, 1)[None]
    found = region_features(pixels, regions)
    for k in range(3):
        torch.testing.assert_close(found[0, :, k], pixels[0, :, labels == k].mean(1))


def test_weights_are_exact_for_features_in_half_precision():
    """Of 70,000 equal pixels each has 1/70,000 of the weight, and together they have all of it."""
    pixels = torch.ones(1, 1, 200, 350, dtype=torch.bfloat16)
    found = region_features(pixels, torch.zeros(1, 2, 200, 350, dtype=torch.bfloat16))
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), torch.ones(1, 1, 2), atol=0.01, rtol=0)


def test_context_is_attention_over_regions():
    """The dense formula, pixel by pixel, on the projections that the module makes."""
    module = ObjectContext(8).eval()
    pixels, regions = torch.randn(2, 8, 3, 4), torch.randn(2, 8, 5)
    with torch.no_grad():
        found = module(pixels, regions)
        query = module.query(pixels)
        key, value = (part(regions.unsqueeze(3)).squeeze(3) for part in (module.key, module.value))
        context = torch.zeros(2, 4, 3, 4)
        for image in range(2):
            for y in range(3):
                for x in range(4):
                    relation = (query[image, :, y, x] @ key[image] / 4**0.5).softmax(0)
                    context[image, :, y, x] = value[image] @ relation
        torch.testing.assert_close(found, module.out(context))


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return create_model("ocrnet", "resnet18", num_classes=3, decoder_channels=16)


def test_main_logits_teach_the_regions_too(network):
    """Soft regions are part of the main prediction, so its gradient reaches the head that makes them."""
    network.train()
    network(torch.randn(2, 3, 64, 64)).logits.square().sum().backward()
    assert network.decoder.regions[-1].weight.grad.abs().sum() > 0
    network.zero_grad()


def test_region_loss_has_weight_of_two_fifths(network):
    assert {name: term.weight for name, term in network.auxiliary.items()} == {"regions": 0.4}
