"""The features before the classifier are what the logits are made of."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from aucseg.models import (
    classifier,
    create_model,
    forward_with_features,
    list_models,
    small_options,
    use_head,
)
from aucseg.models.heads import AlignedConv2d, CosineConv2d
from aucseg.models.registry import NETWORKS

CLASSES = 4
VIT = {"encoder": "tu-vit_tiny_patch16_224", "dynamic_img_size": True, "decoder_fusion_channels": 32}


def _built(name: str) -> nn.Module:
    torch.manual_seed(0)
    return create_model(name, num_classes=CLASSES, **(VIT if name == "dpt" else small_options(name)))


def _images(height: int = 64, width: int = 96) -> torch.Tensor:
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", list_models())
def test_features_make_the_logits(name):
    """Times the classifier's weights, by einsum where it is 1x1, they are the logits before upsampling."""
    network = _built(name).train()
    images = _images(128, 128) if name == "pan" else _images()  # it halves the deepest stage three times
    output, features = forward_with_features(network, images)
    logits = output.logits if name in NETWORKS else output
    last = classifier(network)
    assert last.out_channels == CLASSES
    assert features.shape[:2] == (2, last.in_channels)
    if last.kernel_size == (1, 1):
        low = torch.einsum("bdhw,kd->bkhw", features, last.weight[:, :, 0, 0])
        low = low + last.bias[:, None, None] if last.bias is not None else low
    else:
        low = F.conv2d(features, last.weight, last.bias, padding=last.padding)
    if low.shape[-2:] != logits.shape[-2:]:
        # smp scales up with nn.UpsamplingBilinear2d, which aligns corners
        low = F.interpolate(low, logits.shape[-2:], mode="bilinear", align_corners=name not in NETWORKS)
    torch.testing.assert_close(low, logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["danet", "unet"])
def test_the_answer_is_the_same_and_no_hook_stays(name):
    network = _built(name).eval()
    with torch.no_grad():
        output, features = forward_with_features(network, _images())
        assert torch.equal(output, network(_images()))
    before = features.clone()
    network(_images() + 1)
    assert torch.equal(features, before)


def test_a_loss_of_features_reaches_the_encoder_and_not_the_classifier():
    network = _built("segnext").train()
    _, features = forward_with_features(network, _images())
    features.square().mean().backward()
    assert all(parameter.grad is not None for parameter in network.encoder.parameters())
    assert classifier(network).weight.grad is None


@pytest.mark.parametrize("head", [None, nn.Identity()])
def test_a_network_without_a_classifier_is_named(head):
    network = nn.Sequential(nn.Conv2d(3, 4, 1))
    if head is not None:
        network.segmentation_head = head
    with pytest.raises(TypeError, match="Sequential has no convolution in a segmentation_head"):
        forward_with_features(network, _images())


def test_a_classifier_called_twice_is_refused():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.segmentation_head = nn.Conv2d(3, 2, 1)

        def forward(self, x):
            return self.segmentation_head(x) + self.segmentation_head(x.flip(-1)).flip(-1)

    with pytest.raises(RuntimeError, match="Twice called its classifier 2 times"):
        forward_with_features(Twice(), _images())


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 1},
        {"kernel_size": 3, "padding": 1},
        {"kernel_size": 3, "stride": 2, "padding": (2, 1), "dilation": 2},
    ],
)
def test_cosines_are_those_of_the_patches(options):
    """Patch by patch: what lies under the kernel, as one long vector, beside each kernel as another."""
    torch.manual_seed(0)
    layer = CosineConv2d(5, 4, bias=False, dtype=torch.float64, **options)
    features = torch.randn(2, 5, 6, 7, dtype=torch.float64)
    features[0, :, :4, :4] = 0  # here and there nothing lies under a kernel
    found = layer(features)
    patches = F.unfold(features, **options)
    expected = F.cosine_similarity(patches[:, None], layer.weight.flatten(1)[None, :, :, None], dim=2)
    torch.testing.assert_close(found.flatten(2), expected, rtol=1e-5, atol=1e-6)
    assert found.abs().max() <= 1 + 1e-6


def test_features_that_are_all_zero_have_a_finite_gradient():
    layer = CosineConv2d(3, 2, 1, bias=False)
    features = torch.zeros(1, 3, 2, 2, requires_grad=True)
    layer(features).sum().backward()
    assert features.grad.isfinite().all()
    assert layer.weight.grad.isfinite().all()


def test_cosines_do_not_depend_on_how_long_features_and_weights_are():
    torch.manual_seed(0)
    layer, features = CosineConv2d(3, 2, 1, bias=False), torch.randn(1, 3, 4, 4)
    before = layer(features)
    with torch.no_grad():
        layer.weight.mul_(7)
    torch.testing.assert_close(layer(features * 0.01), before)


def test_cosines_under_autocast_are_cosines():
    torch.manual_seed(0)
    layer, features = CosineConv2d(64, 8, 1, bias=False), torch.randn(1, 64, 9, 9) * 300
    with torch.autocast("cpu", torch.bfloat16):
        found = layer(features)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), layer(features), rtol=0, atol=0.01)


@pytest.mark.parametrize("name", ["unet", "segformer", "segnext", "ocrnet", "bisenetv2"])
def test_a_cosine_head_is_the_classifier_and_starts_as_the_linear_one(name):
    network = _built(name)
    kernels = classifier(network).weight.detach().clone()
    assert use_head(network, "cosine") is network
    last = classifier(network)
    assert isinstance(last, CosineConv2d)
    assert last.bias is None
    assert torch.equal(last.weight, kernels)
    logits = network.eval()(_images())
    assert logits.shape == (2, CLASSES, 64, 96)
    assert logits.abs().max() <= 1 + 1e-5
    _, features = forward_with_features(network.eval(), _images())
    assert features.shape[1] == last.in_channels


@pytest.mark.parametrize("head", ["aligned", "aligned_relu"])
@pytest.mark.parametrize("kernel", [1, 3])
def test_an_aligned_head_is_its_formula_pixel_by_pixel(head, kernel):
    """In evaluation mode, with a loop over the pixels in float64."""
    network = nn.Module()
    network.segmentation_head = nn.Conv2d(5, 3, kernel, padding=kernel // 2)
    torch.manual_seed(0)
    layer = use_head(network, head).segmentation_head.double().eval()
    assert isinstance(layer, AlignedConv2d)
    features = torch.randn(2, 5, 4, 6, dtype=torch.float64)
    scores = F.conv2d(features, layer.weight, layer.bias, padding=kernel // 2)
    assert torch.equal(layer(features), scores)  # as it begins: a scale of 1 and a shift of 0
    norm = layer.confidence[1]
    with torch.no_grad():
        for tensor in (layer.scale, layer.shift, norm.weight, norm.bias, norm.running_mean):
            tensor.copy_(torch.randn(tensor.shape, dtype=torch.float64))
        norm.running_var.fill_(0.7)
    found, (gate, _) = layer(features), layer.confidence[:2]
    for b, y, x in ((0, 0, 0), (1, 3, 5), (0, 2, 4)):
        raw = torch.dot(gate.weight[0, :, 0, 0], features[b, :, y, x]) - norm.running_mean[0]
        raw = norm.weight[0] * raw / (0.7 + norm.eps) ** 0.5 + norm.bias[0]
        c = 1 / (1 + torch.exp(-(raw.clamp(min=0) if head == "aligned_relu" else raw)))
        z = scores[b, :, y, x]
        torch.testing.assert_close(found[b, :, y, x], c * (layer.scale * z + layer.shift) + (1 - c) * z)
    confidence = layer.confidence(features).sigmoid()
    assert (confidence.min() >= 0.5) == (head == "aligned_relu")


def test_an_aligned_head_has_the_right_gradients():
    torch.manual_seed(0)
    layer = AlignedConv2d(3, 2, 1, dtype=torch.float64)
    features = torch.randn(2, 3, 3, 2, dtype=torch.float64, requires_grad=True)
    parameters = tuple(layer.parameters())
    assert torch.autograd.gradcheck(lambda x, *_: layer(x), (features, *parameters))


@pytest.mark.parametrize("name", ["unet", "segnext", "hrnet"])
def test_an_aligned_head_begins_as_the_linear_one_and_keeps_its_names(name):
    network = _built(name).eval()
    images = _images()
    before, state = network(images), {k: v.clone() for k, v in network.state_dict().items()}
    last = classifier(use_head(network, "aligned"))
    assert isinstance(last, AlignedConv2d)  # and not the convolution of its confidence
    torch.testing.assert_close(network.eval()(images), before)
    now = network.state_dict()
    assert all(torch.equal(now[key], value) for key, value in state.items())
    added = {key.rpartition("segmentation_head.")[2] for key in now.keys() - state.keys()}
    assert all(".confidence." in f".{key}" or key.endswith(("scale", "shift")) for key in added)
    assert set(last.alignment()) == {
        "scale",
        "shift",
        "confidence.0.weight",
        "confidence.1.weight",
        "confidence.1.bias",
    }


def test_an_exported_network_has_its_aligned_head():
    class Small(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.segmentation_head = nn.Conv2d(3, 8, 3), nn.Conv2d(8, CLASSES, 1)

        def forward(self, x):
            return self.segmentation_head(self.encoder(x).relu())

    torch.manual_seed(0)
    network = use_head(Small(), "aligned").eval()
    last = classifier(network)
    with torch.no_grad():
        last.scale.mul_(3)
        last.shift.add_(1)
    exported = torch.export.export(network, (_images(),))
    torch.testing.assert_close(exported.module()(_images()), network(_images()))
    assert any(name.endswith("shift") for name in exported.state_dict)


def test_a_head_that_changes_the_size_cannot_be_aligned():
    network = nn.Module()
    network.segmentation_head = nn.Conv2d(3, 2, 3, stride=2)
    with pytest.raises(ValueError, match=r"kernel \(3, 3\), stride \(2, 2\), padding \(0, 0\)"):
        use_head(network, "aligned")


def test_a_linear_head_is_what_networks_have():
    network = _built("unet")
    last = classifier(network)
    assert classifier(use_head(network, "linear")) is last


def test_a_head_alone_is_replaced_too():
    network = nn.Module()
    network.segmentation_head = nn.Conv2d(3, 2, 1)
    assert isinstance(use_head(network, "cosine").segmentation_head, CosineConv2d)


def test_a_network_that_classifies_twice_is_refused():
    for head in ("cosine", "aligned"):
        with pytest.raises(ValueError, match="PointRend corrects single points by logits of a second"):
            use_head(_built("pointrend"), head)
    with pytest.raises(ValueError, match="unknown head 'cosin'; did you mean 'cosine'"):
        use_head(_built("unet"), "cosin")
