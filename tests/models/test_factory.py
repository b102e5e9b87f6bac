from __future__ import annotations

import pytest
import segmentation_models_pytorch as smp
import torch

from aucseg.models import create_model, list_models, padded_logits, predict


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
        ({"num_classes": 1}, "at least 2"),
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
    ],
)
def test_bad_input_is_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        create_model(**{"num_classes": 3} | arguments)


class Counting(torch.nn.Module):
    """Returns its input's first two channels and remembers the size it saw."""

    def forward(self, images):
        self.seen = tuple(images.shape[-2:])
        return images[:, :2]


@pytest.mark.parametrize(("size", "padded"), [((64, 96), (64, 96)), ((65, 70), (96, 96)), ((1, 1), (32, 32))])
def test_padding_is_invisible(size, padded):
    images = torch.randn(2, 3, *size)
    model = Counting()
    torch.testing.assert_close(padded_logits(model, images), images[:, :2])
    assert model.seen == padded


def test_predict_is_argmax_and_restores_the_mode():
    images = torch.randn(1, 3, 40, 33)
    model = Counting().train()
    assert torch.equal(predict(model, images), images[:, :2].argmax(1))
    assert model.training
