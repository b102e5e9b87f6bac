from __future__ import annotations

import json

import huggingface_hub
import pytest
import segmentation_models_pytorch as smp
import torch
from safetensors.torch import load_file, save_file

from aucseg.models import create_model, from_pretrained, small_options
from aucseg.models.registry import NETWORKS


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
