"""What every network of the package promises, tried on the smallest variant of each."""

from __future__ import annotations

import copy
import warnings
from functools import cache

import pytest
import torch
from torch import Tensor, nn

from aucseg.losses import cross_entropy
from aucseg.models import TrainingOutput, create_model, padded_logits, predict, small_options
from aucseg.models.registry import NETWORKS

CLASSES = 4
NAMES = sorted(NETWORKS)


@cache
def _built(name: str) -> nn.Module:
    torch.manual_seed(0)
    return create_model(name, num_classes=CLASSES, **small_options(name))


@pytest.fixture(params=NAMES)
def network(request: pytest.FixtureRequest) -> nn.Module:
    """A fresh copy of each network; building one takes longer than copying it."""
    return copy.deepcopy(_built(request.param))


def _images(batch: int = 2, height: int = 64, width: int = 96, seed: int = 0) -> Tensor:
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(seed))


def _target(batch: int = 2, height: int = 64, width: int = 96) -> Tensor:
    """Labels of blocks, with a void border."""
    blocks = torch.randint(
        0, CLASSES, (batch, height // 16, width // 16), generator=torch.Generator().manual_seed(1)
    )
    target = blocks.repeat_interleave(16, 1).repeat_interleave(16, 2)
    target[:, :2] = 255
    return target


def _objective(network: nn.Module, images: Tensor, target: Tensor) -> Tensor:
    output = network(images)
    losses = network.auxiliary_losses(output.auxiliary, target)
    return cross_entropy(output.logits.float(), target) + sum(losses.values())


@pytest.mark.parametrize(("batch", "height", "width"), [(1, 64, 64), (3, 64, 96), (2, 65, 90), (1, 33, 127)])
def test_logits_have_the_size_of_the_images(network, batch, height, width):
    network.eval()
    with torch.no_grad():
        logits = padded_logits(network, _images(batch, height, width))
    assert logits.shape == (batch, CLASSES, height, width)
    assert logits.isfinite().all()


def test_any_size_without_padding_unless_it_says_otherwise(network):
    network.eval()
    images = _images(1, 65, 90)
    if network.requires_divisible_input_shape:
        with pytest.raises(RuntimeError, match="96"):
            network(images)
    else:
        assert network(images).shape == (1, CLASSES, 65, 90)


def test_images_below_the_stride_are_refused(network):
    size = network.minimum_size
    for height, width in [(size - 1, size), (size, size - 1)]:
        with pytest.raises(ValueError, match=f"{size} pixels, got {height}x{width}"):
            network(_images(2, height, width))


def test_backward_reaches_every_parameter(network):
    network.train()
    _objective(network, _images(), _target()).backward()
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name


def test_auxiliary_outputs_only_in_training(network):
    images = _images()
    output = network.train()(images)
    assert isinstance(output, TrainingOutput)
    assert set(output.auxiliary) == set(network.auxiliary)
    assert output.logits.shape == (2, CLASSES, 64, 96)
    assert isinstance(network.eval()(images), Tensor)


PLAIN = sorted(set(NETWORKS) - {"pointrend"})


@pytest.mark.parametrize("name", PLAIN)
def test_plain_logits_in_training(name):
    """As smp's networks: a tensor in both modes, from which backward reaches every parameter there is."""
    torch.manual_seed(0)
    network = create_model(name, num_classes=CLASSES, plain_logits=True, **small_options(name)).train()
    logits = network(_images())
    assert isinstance(logits, Tensor)
    cross_entropy(logits.float(), _target()).backward()
    assert network.auxiliary_losses({}, _target()) == {}
    for key, parameter in network.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, key
    torch.manual_seed(0)
    whole = _built(name)
    # the same network but for the branches that are left out
    state = whole.state_dict()
    assert set(network.state_dict()) == {key for key in state if not key.startswith("auxiliary_heads.")}
    assert type(network)(**network.config).plain_logits


def test_torch_script_is_told_truly(network):
    """smp's flag says whether torch.jit.script takes a network: none of these."""
    assert not network._is_torch_scriptable
    network.eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(Exception, match=r"(?s)."):
            torch.jit.script(network)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_weights_in_half_precision(network, dtype):
    """Images and weights in half precision, as for inference on a small card: near those of float32."""
    images = _images()
    with torch.no_grad():
        expected = network.eval()(images)
        found = copy.deepcopy(network).to(dtype).eval()(images.to(dtype))
    assert found.dtype == dtype
    # dozens of layers of random weights lift the rounding of bfloat16 to some percent
    pair = torch.stack([expected.flatten(), found.float().flatten()])
    assert torch.corrcoef(pair)[0, 1] > 0.95
    # backward in half precision has no fast kernels on a CPU: the smallest image there is shows as much
    side = network.minimum_size
    network.to(dtype).train()(_images(2, side, side).to(dtype)).logits.float().sum().backward()


@pytest.mark.parametrize("name", NAMES)
def test_traced_for_another_batch(name):
    """torch.jit.trace of two images answers for five others."""
    network = copy.deepcopy(_built(name)).eval()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(network, _images(2), check_trace=False)
        images = _images(5, seed=3)
        torch.testing.assert_close(traced(images), network(images), rtol=1e-3, atol=1e-4)


def test_auxiliary_losses_ignore_void(network):
    target = torch.full((2, 64, 96), 255)
    output = network.train()(_images())
    losses = network.auxiliary_losses(output.auxiliary, target)
    total = sum(losses.values(), output.logits.sum() * 0)
    total.backward()
    assert total.isfinite()
    for name, parameter in network.named_parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all(), name


@pytest.mark.parametrize("name", NAMES)
def test_one_logit_for_two_classes(name):
    """What its own terms and a loss make of one channel z is what they make of the logits (0, z)."""
    torch.manual_seed(0)
    network = create_model(name, num_classes=1, **small_options(name))
    target = _target().clamp(max=1).where(_target() != 255, 255)
    output = network(_images())
    losses = {"main": cross_entropy(output.logits.float(), target)}
    losses |= network.auxiliary_losses(output.auxiliary, target)
    sum(losses.values()).backward()
    assert output.logits.shape == (2, 1, 64, 96)
    assert all(loss.isfinite() for loss in losses.values())
    with torch.no_grad():
        assert network.eval()(_images()).shape == (2, 1, 64, 96)


def test_evaluation_is_deterministic_and_leaves_no_trace(network):
    network.eval()
    images, before = _images(), copy.deepcopy(network.state_dict())
    with torch.no_grad():
        first = network(images)
        torch.manual_seed(1)
        second = network(images)
    assert torch.equal(first, second)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_an_image_does_not_depend_on_the_others_in_its_batch(network):
    network.eval()
    images = _images(3)
    with torch.no_grad():
        together, alone = network(images)[1:2], network(images[1:2])
    torch.testing.assert_close(together, alone, rtol=1e-3, atol=1e-4)


def test_state_round_trip(network, tmp_path):
    network.eval()
    torch.save(network.state_dict(), tmp_path / "network.pt")
    torch.manual_seed(5)
    other = type(network)(**network.config).eval()
    other.load_state_dict(torch.load(tmp_path / "network.pt", weights_only=True))
    images = _images(1)
    with torch.no_grad():
        assert torch.equal(network(images), other(images))


def test_save_pretrained_as_in_smp(network, tmp_path):
    network.eval().save_pretrained(tmp_path)
    other = type(network).from_pretrained(tmp_path).eval()
    images = _images(1)
    with torch.no_grad():
        assert torch.equal(network(images), other(images))


def test_a_frozen_encoder_stays_as_it_is(network):
    before = copy.deepcopy(network.encoder.state_dict())
    network.freeze_encoder()
    network.train()
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)
    _objective(network, _images(), _target()).backward()
    optimizer.step()
    after = network.encoder.state_dict()
    assert all(torch.equal(value, before[key]) for key, value in after.items())


def test_bfloat16_autocast(network):
    network.train()
    with torch.autocast("cpu", torch.bfloat16):
        loss = _objective(network, _images(), _target())
    loss.backward()
    assert loss.isfinite()


def test_export_with_open_height_and_width(network):
    network.eval()
    sides = {2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(network, (_images(2, 64, 96),), dynamic_shapes=(sides,), strict=False)
        images = _images(2, 96, 128)
        torch.testing.assert_close(program.module()(images), network(images), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["emanet", "segnext"])
def test_export_with_an_open_batch(name):
    """Both have bases for each image, as many as there are."""
    network = copy.deepcopy(_built(name)).eval()
    batch = {0: torch.export.Dim("batch", min=2, max=64)}
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(network, (_images(2),), dynamic_shapes=(batch,), strict=False)
        images = _images(5)
        torch.testing.assert_close(program.module()(images), network(images), rtol=1e-3, atol=1e-4)


def test_compiles_as_one_graph_in_training(network):
    """What PyTorch's compiler traces is the whole step without a break, and the same numbers."""
    network.train()
    images, target = _images(), _target()
    torch.manual_seed(0)
    expected = _objective(copy.deepcopy(network), images, target)
    torch.manual_seed(0)
    compiled = torch.compile(network, backend="eager", fullgraph=True)
    torch.testing.assert_close(_objective(compiled, images, target), expected, rtol=1e-4, atol=1e-5)
    torch.compiler.reset()


def test_overfits_one_batch(network):
    """Bright and dark blocks of four colours are learnt to an IoU of over 0.9 in 60 steps, by most in 15."""
    target = _target()
    colours = torch.tensor([[1.0, -1, -1], [-1, 1, -1], [-1, -1, 1], [1, 1, -1]])
    images = colours[target.where(target < CLASSES, 0)].permute(0, 3, 1, 2) + 0.1 * _images()
    network.train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    for step in range(1, 61):
        optimizer.zero_grad()
        _objective(network, images, target).backward()
        optimizer.step()
        if step % 15 == 0 and (learnt := _mean_iou(_evaluated(network, images), target)) > 0.9:
            break
    assert learnt > 0.9


def _evaluated(network: nn.Module, images: Tensor) -> Tensor:
    """Labels of images by the network in evaluation, with the statistics of these very images."""
    # batch statistics of so few steps are not yet in the running means: take them over
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.momentum = None
            module.reset_running_stats()
    # (PyTorch keeps the variance of n values with n - 1 below the line, training divides by n: with the mean
    # over two images it makes a factor of two, with the same batch sixteen times over almost none)
    with torch.no_grad():
        network(images.repeat(16, 1, 1, 1))
    found = predict(network, images)
    network.train()
    return found


def _mean_iou(found: Tensor, target: Tensor) -> float:
    valid = target < CLASSES
    ious = []
    for k in range(CLASSES):
        both = ((found == k) & (target == k) & valid).sum()
        either = (((found == k) | (target == k)) & valid).sum()
        ious.append(both / either.clamp(min=1))
    return float(torch.stack(ious).mean())
