"""Maximised pictures raise what they are made to raise; filters and feature maps are those of the model."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import SIZE, picture, tiny_model

from fakeface.explain.layers import features_at
from fakeface.image_processing_fakeface import FakeFaceImageProcessor
from fakeface.model_folder.opening import load_model_folder
from fakeface.visualise.maximisation import feature_maps, first_filters, maximise, turned

PROCESSOR = FakeFaceImageProcessor(size=SIZE)


def pixels_of(shown: Image.Image) -> torch.Tensor:
    return torch.from_numpy(PROCESSOR.to_array(shown))[None]


def margin(model: Any, shown: Image.Image, processor: FakeFaceImageProcessor = PROCESSOR) -> float:
    with torch.no_grad():
        logits = model(torch.from_numpy(processor.to_array(shown))[None]).logits[0]
    return float(logits[1] - logits[0])


@pytest.mark.parametrize("architecture", ["logistic", "cnn"])
def test_each_label_is_maximised(architecture: str):
    model = tiny_model(architecture)
    start, real, generated = (
        maximise(model, PROCESSOR, label=label, steps=steps)
        for label, steps in (("real", 0), ("real", 30), ("generated", 30))
    )
    assert (real.size, real.mode) == ((SIZE, SIZE), "RGB")
    assert margin(model, real) < margin(model, start) - 0.1
    assert margin(model, generated) > margin(model, start) + 0.1


def test_the_labels_of_the_shipped_model_are_maximised(repo: Path):
    model, processor = load_model_folder(str(repo / "checkpoints/fakeface-resnet50-cnn"))
    whole = FakeFaceImageProcessor(
        size=processor.size, image_mean=processor.image_mean, image_std=processor.image_std
    )  # the picture is all that the model sees
    real, generated = (maximise(model, processor, label=label, steps=10) for label in ("real", "generated"))
    assert margin(model, generated, whole) > margin(model, real, whole) + 4


def test_a_channel_and_a_layer_are_maximised():
    model = tiny_model()

    def excited(shown: Image.Image) -> torch.Tensor:
        with torch.no_grad():
            return features_at(model, "block2", pixels_of(shown))[0]

    start = excited(maximise(model, PROCESSOR, layer="block2", steps=0))
    channel = excited(maximise(model, PROCESSOR, layer="block2", channel=1, steps=30))
    layer = excited(maximise(model, PROCESSOR, layer="block2", steps=30))
    assert channel[1].mean() > 1.2 * start[1].mean()
    assert layer.square().mean() > 1.2 * start.square().mean()


def test_the_same_seed_gives_the_same_picture_and_the_model_is_left_alone():
    model = tiny_model()
    first, again, other = (maximise(model, PROCESSOR, label="real", steps=3, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"label": "fake"}, "unknown label 'fake'"),
        ({"layer": "attic"}, "unknown layer 'attic'"),
        ({"layer": "block1", "channel": 4}, "channel is 4: block1 has 4, counted from 0"),
        ({"label": "real", "channel": 0}, "not both"),
    ],
)
def test_a_wrong_choice_is_refused(choices: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        maximise(tiny_model(), PROCESSOR, steps=1, **choices)


def test_turning_moves_a_picture_a_little():
    spot = torch.zeros(1, 3, 50, 50)
    spot[:, :, 20:30, 20:30] = 1
    moved = turned(spot, torch.Generator().manual_seed(3))
    assert moved.shape == spot.shape
    assert not torch.equal(moved, spot)
    down, across = (moved[0, 0] > 0.5).nonzero().float().mean(0).tolist()
    assert abs(down - 24.5) < 5  # 0.06 of 50 pixels, and the turn about the centre
    assert abs(across - 24.5) < 5
    assert moved[0, 0].sum().item() == pytest.approx(100, rel=0.25)  # zoomed by at most a tenth


def test_filters_are_the_first_weights_about_grey():
    model = tiny_model("resnet50-cnn")
    kernels = first_filters(model)
    assert kernels.shape == (64, 7, 7, 3)
    weight = model.get_parameter("fakeface.trunk.conv1.weight").detach()
    np.testing.assert_allclose(np.abs(kernels - 0.5).max((1, 2, 3)), 0.5, rtol=1e-5)
    expected = weight[5] / weight[5].abs().max() / 2 + 0.5
    np.testing.assert_allclose(kernels[5], expected.permute(1, 2, 0), rtol=1e-5)
    logistic = tiny_model("logistic").get_parameter("classifier.out.weight").detach()
    shown = first_filters(tiny_model("logistic"))[0] - 0.5
    difference = (logistic[1] - logistic[0]).reshape(3, SIZE, SIZE).permute(1, 2, 0)
    assert np.corrcoef(shown.ravel(), difference.ravel())[0, 1] == pytest.approx(1)


def test_feature_maps_are_those_that_vary_most():
    model, pixels = tiny_model(), pixels_of(picture(SIZE, SIZE))
    found = feature_maps(model, pixels, "block2", count=3)
    with torch.no_grad():
        features = features_at(model, "block2", pixels)[0]
    assert [channel for channel, _ in found] == features.std((1, 2)).argsort(descending=True)[:3].tolist()
    for channel, map in found:
        own = features[channel].numpy()
        assert map.shape == own.shape
        if own.std():
            assert (map.min(), map.max()) == (0, 1)
            assert np.corrcoef(map.ravel(), own.ravel())[0, 1] == pytest.approx(1)
