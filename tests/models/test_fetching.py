"""Nothing is fetched unless asked, and then by smp or timm."""

from __future__ import annotations

import socket

import pytest
import segmentation_models_pytorch as smp
import timm.models._builder
import torch
from safetensors.torch import save_file

from aucseg.models import create_model, list_models, small_options
from aucseg.models.registry import NETWORKS


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


def test_weights_of_smp_by_an_unknown_name(asked):
    with pytest.raises(ValueError, match="imagenett"):
        create_model("fpn", "mobilenet_v2", num_classes=3, encoder_weights="imagenett")
    assert not asked
