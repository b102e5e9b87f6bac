"""Networks by name and from folders. Nothing is fetched unless asked, and then by smp or timm."""

from __future__ import annotations

import copy
import json
import socket

import huggingface_hub
import pytest
import segmentation_models_pytorch as smp
import timm.models._builder
import torch
from safetensors.torch import load_file, save_file

from aucseg.errors import OptionError
from aucseg.models import create_model, from_pretrained, list_models, small_options
from aucseg.models.registry import NETWORKS


def test_is_the_model_of_smp():
    torch.manual_seed(0)
    ours = create_model("fpn", "resnet18", num_classes=7)
    torch.manual_seed(0)
    theirs = smp.FPN("resnet18", encoder_weights=None, classes=7)
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))


def test_every_listed_name_is_one_that_smp_builds():
    assert {"unet", "fpn", "deeplabv3plus", "segformer"} <= set(list_models())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"name": "unett"}, "'unet'"),
        ({"name": "zzz"}, "known"),
        ({"num_classes": 0}, "at least 1"),
        ({"encoder": "resnet19"}, "unknown encoder 'resnet19'; did you mean 'resnet18'"),
        ({"encoder": "tu-resnet19"}, "timm has no encoder 'resnet19'; did you mean 'resnet"),
        ({"encoder": "§"}, "can be named"),
        ({"name": "danett"}, "'danet'"),
        ({"name": "bisenetv2", "encoder": "resnet18"}, "takes no encoder"),
        ({"name": "bisenetv2", "encoder_weights": "imagenet"}, "give a file"),
        ({"name": "isanet", "encoder": "vgg11"}, "1/8.*encoder_output_stride=32"),
        ({"name": "isanet", "encoder": "tu-hrnet_w18_small"}, "1/8.*encoder_output_stride=32"),
        ({"name": "isanet", "encoder": "tu-vit_tiny_patch16_224"}, "stages from 1/4 to 1/32"),
        ({"name": "hrnet", "encoder": "tu-vit_tiny_patch16_224"}, "stages from 1/4 to 1/32"),
        ({"name": "danet", "encoder": "resnet18", "encoder_output_stride": 4}, "8, 16 or 32, got 4"),
        ({"name": "danet", "encoder": "resnet18", "decoder_channel": 8}, "decoder_channels"),
        ({"decoder_chanels": 3}, "decoder_chanels"),
        (
            {"name": "encnet", "encoder": "tu-resnet18", "decoder_chanels": 3},
            "takes option decoder_chanels=3",
        ),
        ({"name": "hrnet", "encoder": "tu-hrnet_w18_small", "depth_": 3}, "takes option depth_=3"),
        ({"name": "danet", "encoder": "resnet18", "encoder_depth": 3}, "encoder_depth=5 and no other, got 3"),
        ({"name": "danet", "encoder": "tu-resnet18", "encoder_depth": 3}, "encoder_depth=5 and no other"),
        ({"name": "stdc", "decoder_use_norm": False}, "decoder_use_norm='batchnorm' and no other, got False"),
        ({"name": "segnext", "aux_params": {"classes": 2}}, "SegNeXt has aux_params=None.*model.encoder"),
        ({"name": "fastfcn", "activation": "softmax"}, "logits"),
        ({"name": "pointrend", "encoder": "resnet18", "plain_logits": True}, "would stay untrained"),
    ],
)
def test_bad_input_is_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        create_model(**{"num_classes": 3} | arguments)


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_a_class_refuses_what_it_would_drop(name):
    """Built without create_model too: smp drops what its own encoders do not know."""
    with pytest.raises((ValueError, TypeError), match="decoder_chanels"):
        NETWORKS[name](decoder_chanels=3)


@pytest.mark.parametrize("encoder", ["resnet18", "tu-resnet18"])
def test_options_of_smp_that_say_what_is_so_anyway(encoder, tmp_path):
    options = {"encoder_depth": 5, "decoder_use_norm": "batchnorm", "activation": None, "aux_params": None}
    network = create_model("encnet", encoder, num_classes=3, decoder_channels=32, **options)
    network.save_pretrained(tmp_path)
    assert from_pretrained(tmp_path).config["encoder_depth"] == 5


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "encnet", "encoder": "resnet18", "decoder_channels": 10**9}, "decoder_channels=1000000000"),
        (
            {"name": "encnet", "encoder": "resnet18", "decoder_channels": 10**6},
            "decoder_channels=1000000 ",
        ),
        (
            {"name": "fpn", "encoder": "resnet18", "decoder_pyramid_channels": 10**6},
            "pyramid_channels=1000000",
        ),
        (
            {"encoder": "resnet18", "decoder_channels": (256, 128, 10**7, 32, 16)},
            "decoder_channels=.256, 128",
        ),
        ({"name": "bisenetv2", "width": 1e5}, "width=100000.0"),
        ({"name": "segnext", "num_classes": 10**10}, "num_classes=10000000000"),
    ],
)
def test_a_network_beyond_memory_is_refused_before_it_is_allocated(options, words):
    """The system ended the process before; now it is told by name, value and size."""
    with pytest.raises(OptionError, match=f"{words}.* (parameters|no machine can hold)"):
        create_model(**{"num_classes": 3} | options)


def test_many_channels_that_fit_are_built():
    network = create_model("fpn", "resnet18", num_classes=10_000, decoder_segmentation_channels=32)
    assert network.segmentation_head[0].out_channels == 10_000


class Unreachable(OSError):
    """What a hub that cannot be reached raises."""


@pytest.fixture
def asked(monkeypatch, tmp_path) -> list[str]:
    """What was asked of the hub; nothing leaves the machine, and no cache answers."""
    calls: list[str] = []

    def refuse(*arguments, **options):
        calls.append(str(arguments[0] if arguments else options))
        raise Unreachable("no hub here")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(smp.encoders, "hf_hub_download", refuse)
    monkeypatch.setattr(timm.models._builder, "load_state_dict_from_hf", refuse)
    monkeypatch.setattr(timm.models._builder, "load_state_dict_from_url", refuse)
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    return calls


@pytest.fixture
def loaded(monkeypatch) -> list[str]:
    """Networks that timm was asked to load published weights into, which stay as they are."""
    calls: list[str] = []

    def load(model, pretrained_cfg, **options):
        calls.append(".".join(filter(None, [pretrained_cfg["architecture"], pretrained_cfg["tag"]])))

    monkeypatch.setattr(timm.models._builder, "load_pretrained", load)
    return calls


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_networks_of_this_package_fetch_nothing(asked, name):
    create_model(name, num_classes=3, **small_options(name))
    assert not asked


@pytest.mark.parametrize(("name", "encoder"), [("fpn", "mobilenet_v2"), ("unet", "tu-lcnet_050")])
def test_networks_of_smp_fetch_nothing(asked, name, encoder):
    """Though smp's own default is ImageNet."""
    assert name in list_models()
    create_model(name, encoder, num_classes=3)
    assert not asked


def test_a_file_fetches_nothing(asked, tmp_path):
    state = smp.encoders.get_encoder("tu-lcnet_050", weights=None).state_dict()
    save_file(state, tmp_path / "w.safetensors")
    create_model("fpn", "tu-lcnet_050", num_classes=3, encoder_weights=tmp_path / "w.safetensors")
    assert not asked


def test_a_folder_called_imagenet_is_not_meant(asked, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "imagenet").mkdir()
    with pytest.raises(ConnectionError):
        create_model("fpn", "mobilenet_v2", num_classes=3, encoder_weights="imagenet")
    assert asked


@pytest.mark.parametrize("given", ["weights/w.bin", "w.pth", "weights/w"])
def test_a_path_is_never_taken_for_a_name(asked, given):
    with pytest.raises(FileNotFoundError, match="w"):
        create_model("fpn", "mobilenet_v2", num_classes=3, encoder_weights=given)
    assert not asked


@pytest.mark.parametrize(("name", "encoder"), [("fpn", "tu-lcnet_050"), ("pointrend", "tu-lcnet_050")])
def test_imagenet_reaches_timm_without_a_warning(loaded, name, encoder, recwarn):
    create_model(name, encoder, num_classes=3, encoder_weights="imagenet")
    assert loaded == ["lcnet_050.ra2_in1k"]
    assert not recwarn.list


def test_the_name_of_the_encoder_chooses_the_weights(loaded):
    create_model("fpn", "tu-resnet18.a1_in1k", num_classes=3, encoder_weights="imagenet")
    assert loaded == ["resnet18.a1_in1k"]


def test_weights_of_timm_by_another_name(loaded):
    with pytest.raises(ValueError, match=r"part of an encoder's name.*'a1_in1k'"):
        create_model("fpn", "tu-resnet18", num_classes=3, encoder_weights="a1_in1k")
    assert not loaded


def test_an_encoder_of_timm_that_has_no_weights(asked):
    with pytest.raises(ValueError, match="No pretrained weights exist"):
        create_model("fpn", "tu-lcnet_035", num_classes=3, encoder_weights="imagenet")


@pytest.mark.parametrize("encoder", ["mobilenet_v2", "tu-lcnet_050"])
def test_a_hub_out_of_reach(asked, encoder):
    with pytest.raises(ConnectionError, match=f"'imagenet' of '{encoder}'.*give its path"):
        create_model("fpn", encoder, num_classes=3, encoder_weights="imagenet")
    assert asked


def test_weights_that_a_package_has_too(asked):
    with pytest.raises(ConnectionError, match="'package' takes those of the extra 'pretrained', with a file"):
        create_model("fpn", "tu-tf_efficientnet_lite0", num_classes=3, encoder_weights="imagenet")


def test_weights_of_smp_by_an_unknown_name(asked):
    with pytest.raises(ValueError, match="imagenett"):
        create_model("fpn", "mobilenet_v2", num_classes=3, encoder_weights="imagenett")
    assert not asked


def _same(a: torch.nn.Module, b: torch.nn.Module) -> None:
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(a.eval()(images), b(images))


@pytest.fixture
def saved(tmp_path):
    """A folder with a small network."""
    torch.manual_seed(0)
    network = create_model("pointrend", "mobilenet_v2", num_classes=3, decoder_channels=16, eval_points=9)
    network.save_pretrained(tmp_path / "net")
    return network, tmp_path / "net"


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_networks_of_this_package(tmp_path, name):
    network = create_model(name, num_classes=3, **small_options(name))
    network.save_pretrained(tmp_path)
    other = from_pretrained(tmp_path)
    assert type(other) is type(network)
    assert not other.training
    _same(network, other)


@pytest.mark.parametrize(
    ("name", "encoder", "options"),
    [
        ("unet", "mobilenet_v2", {"decoder_channels": [32, 24, 16, 8, 8]}),
        ("deeplabv3plus", "tu-lcnet_035", {"decoder_channels": 16, "decoder_atrous_rates": [2, 4, 6]}),
    ],
)
def test_networks_of_smp(tmp_path, name, encoder, options):
    network = create_model(name, encoder, num_classes=3, **options)
    network.save_pretrained(tmp_path)
    other = from_pretrained(str(tmp_path))
    assert type(other) is type(network)
    _same(network, other)
    _same(network, smp.from_pretrained(tmp_path))


def test_saved_again_it_is_the_same(saved, tmp_path):
    _, folder = saved
    from_pretrained(folder).save_pretrained(tmp_path / "again")
    first, second = (json.loads((f / "config.json").read_text()) for f in (folder, tmp_path / "again"))
    assert first == second
    assert second["eval_points"] == 9


def test_an_option_replaces_that_of_the_file(saved):
    assert from_pretrained(saved[1], eval_points=70).eval_points == 70


@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_weights_that_fit_in_part(saved):
    """Other classes: everything but what depends on their number is taken, the rest named."""
    network, folder = saved
    with pytest.raises(ValueError, match="of another shape"):
        from_pretrained(folder, classes=7)
    with pytest.warns(UserWarning, match=r"(?s)train what is named:.*segmentation_head.1.weight") as told:
        other = from_pretrained(folder, strict=False, classes=7)
    state, file = other.state_dict(), network.state_dict()
    for key, value in state.items():
        if value.shape == file[key].shape:
            assert torch.equal(value, file[key]), key
            assert key not in str(told[0].message)
        else:
            assert key in str(told[0].message)
    _same(network, from_pretrained(folder, strict=False))
    assert type(network).from_pretrained(folder, strict=False).eval_points == 9


def test_weights_of_which_none_fits(saved):
    _, folder = saved
    save_file({"other.weight": torch.zeros(3)}, folder / "model.safetensors")
    with pytest.raises(ValueError, match="no weight that fits PointRend"):
        from_pretrained(folder, strict=False)


def test_weights_of_the_encoder_are_not_fetched_to_be_replaced(saved, monkeypatch):
    """A network that started from ImageNet says so in its configuration."""
    network, folder = saved
    config = json.loads((folder / "config.json").read_text()) | {"encoder_weights": "imagenet"}
    (folder / "config.json").write_text(json.dumps(config))
    asked = []
    monkeypatch.setattr(smp.encoders, "hf_hub_download", lambda *a, **k: asked.append(a))
    _same(network, from_pretrained(folder))
    assert not asked


def test_readme_says_how_to_load_it(saved):
    text = (saved[1] / "README.md").read_text()
    assert "from aucseg.models import from_pretrained" in text
    assert "smp.from_pretrained" not in text


@pytest.fixture
def fetched(saved, monkeypatch):
    """A hub that has the saved network, and what was asked of it."""
    calls = []

    def download(repository, **options):
        calls.append((repository, options))
        return str(saved[1])

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    return calls


def test_the_hub_is_only_asked_on_request(saved, fetched):
    with pytest.raises(FileNotFoundError, match=r"someone/street.*download=True"):
        from_pretrained("someone/street")
    assert not fetched
    _same(saved[0], from_pretrained("someone/street", download=True, revision="v1"))
    files = ["config.json", "model.safetensors"]
    assert fetched == [("someone/street", {"revision": "v1", "allow_patterns": files})]


def test_a_folder_at_hand_is_taken_first(saved, fetched):
    from_pretrained(saved[1], download=True)
    assert not fetched
    with pytest.raises(ValueError, match="no revisions, got 'v1'"):
        from_pretrained(saved[1], download=True, revision="v1")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "config.json is no JSON"),
        ("[1]", "'_model_class' is missing"),
        ('{"classes": 3}', "'_model_class' is missing"),
        ('{"_model_class": "PointRent"}', "did you mean 'PointRend'"),
        (
            '{"_model_class": "FPN", "zzz": 1, "encoder_name": "mobilenet_v2"}',
            r"FPN on encoder 'mobilenet_v2' takes no option 'zzz'",
        ),
        ('{"_model_class": "FPN", "encoder_name": "mobilenet_v7"}', "cannot build FPN.*mobilenet_v7"),
    ],
)
def test_bad_configurations_are_named(saved, text, words):
    (saved[1] / "config.json").write_text(text)
    with pytest.raises(ValueError, match=words):
        from_pretrained(saved[1])


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
def test_missing_files_are_named(saved, file):
    (saved[1] / file).unlink()
    with pytest.raises(FileNotFoundError, match=file if file == "config.json" else "model"):
        from_pretrained(saved[1])


def test_every_wrong_key_is_listed(saved):
    file = saved[1] / "model.safetensors"
    state = load_file(file)
    del state["point_head.out.bias"]
    state["point_head.hidden.0.bias"] = torch.zeros(2)
    save_file(state | {"extra": torch.zeros(1)}, file)
    with pytest.raises(ValueError, match="does not fit PointRend") as caught:
        from_pretrained(saved[1])
    assert str(caught.value).splitlines()[1:] == [
        "  missing: point_head.out.bias",
        "  unexpected: extra",
        "  of another shape: point_head.hidden.0.bias is (2,) and should be (16,)",
    ]


def test_options_of_another_network_are_named():
    """One channel count for each of U-Net's stages, where DeepLabV3 has a single one."""
    with pytest.raises(OptionError) as caught:
        create_model("deeplabv3", "resnet18", num_classes=3, decoder_channels=[64, 32])
    told = str(caught.value)
    assert told.startswith("cannot build 'deeplabv3' with encoder 'resnet18' and decoder_channels=[64, 32]: ")
    assert told.endswith("leave them out (model.options={})")


@pytest.mark.parametrize("name", ["deeplabv3plus", "stdc"])  # smp's, and one of this package
def test_a_batch_of_one_that_cannot_be_normalised_is_said_in_our_words(name):
    chosen = dict(small_options(name))
    model = create_model(name, chosen.pop("encoder", None), num_classes=3, **chosen).train()
    image = torch.zeros(1, 3, 64, 64)
    with pytest.raises(
        OptionError, match=r"one image leaves one value to each of \d+ channels.*model\.eval\(\)"
    ):
        model(image)
    with torch.no_grad():
        assert model.eval()(image).shape[:2] == (1, 3)
        copy.deepcopy(model).train()(image.expand(2, -1, -1, -1))
