"""A model cut at any of its layers gives the logits of the whole."""

from typing import Any

import pytest
import torch

from fakeface.configuration_fakeface import FakeFaceConfig
from fakeface.explain.layers import features_at, layer_names, layer_used, logits_from
from fakeface.modeling_fakeface import FakeFaceForImageClassification

CASES = {
    "logistic": ({"image_size": 16}, ("pixels",), "pixels"),
    "cnn": (
        {"image_size": 32, "conv_widths": [8, 12], "fc_widths": [16]},
        ("block1", "block2", "block3", "block4", "block5", "block6"),
        "block5",
    ),
    "resnet50-cnn": (
        {"image_size": 64, "trunk_stages": 2, "conv_widths": [16, 16, 16, 16], "fc_widths": [16]},
        ("stage1", "trunk", "block1", "block2", "block3", "block4"),
        "trunk",
    ),
    "vit-b16-cnn": (
        {"image_size": 32, "trunk_blocks": [1], "conv_widths": [8], "pooling": "average"},
        ("trunk", "block1"),
        "trunk",
    ),
}


@pytest.mark.parametrize("architecture", list(CASES))
def test_both_halves_make_the_whole(architecture: str):
    shape, names, default = CASES[architecture]
    model = FakeFaceForImageClassification(FakeFaceConfig(architecture=architecture, **shape)).eval()
    assert layer_names(model) == names
    assert layer_used(model, None) == default
    pixels = torch.randn(2, 3, shape["image_size"], shape["image_size"])
    with torch.no_grad():
        expected = model(pixels).logits
        for name in names:
            torch.testing.assert_close(logits_from(model, name, features_at(model, name, pixels)), expected)


def test_a_stage_is_what_the_trunk_gives_there():
    shape, _, _ = CASES["resnet50-cnn"]
    model: Any = FakeFaceForImageClassification(FakeFaceConfig(architecture="resnet50-cnn", **shape)).eval()
    pixels = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        stage, trunk = (features_at(model, name, pixels) for name in ("stage1", "trunk"))
        (expected,) = model.fakeface.trunk(pixels)
        assert (stage.shape, trunk.shape) == ((2, 256, 16, 16), (2, 512, 8, 8))
        torch.testing.assert_close(trunk, expected)
        torch.testing.assert_close(model.fakeface.trunk.layer2(stage), expected)
