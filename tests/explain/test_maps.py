"""Class activation maps agree with the grad-cam package, leave the model alone and land where they belong."""

import copy
import threading
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pytorch_grad_cam import AblationCAM, GradCAM, HiResCAM, LayerCAM
from torch import Tensor, nn

from fakeface.configuration_fakeface import LABELS, FakeFaceConfig
from fakeface.explain.maps import METHODS, cam, colour_table, evidence, method_used, overlay, place, place_square
from fakeface.explain.methods import STRATEGIES, Look
from fakeface.faces import Face, align_face, aligned_square
from fakeface.image_processing_fakeface import FakeFaceImageProcessor
from fakeface.modeling_fakeface import FakeFaceForImageClassification


class CentredHiResCAM(HiResCAM):
    """The oracle's HiResCAM on activations whose mean over the picture was taken off."""

    def get_cam_image(self, input_tensor, target_layer, target_category, activations, grads, eigen_smooth):
        centred = activations - activations.mean((2, 3), keepdims=True)
        return (centred * grads).sum(axis=1)


ORACLES = {
    "grad-cam": GradCAM,
    "hires-cam": HiResCAM,
    "centred-cam": CentredHiResCAM,
    "layer-cam": LayerCAM,
    "ablation-cam": AblationCAM,
}
DEVICES = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
SHAPES = {
    "logistic": {"image_size": 16},
    "cnn": {"image_size": 32, "conv_widths": [8, 12], "fc_widths": [16]},
    # One trunk stage is the smallest ResNet; its map is 16 x 16 at 64 px.
    "resnet50-cnn": {"image_size": 64, "trunk_stages": 1, "conv_widths": [16, 16, 16, 16], "fc_widths": [16, 16]},
    "vit-b16-cnn": {"image_size": 32, "trunk_blocks": [1], "conv_widths": [8], "pooling": "average"},
}


# Models are typed Any here: to type checkers every layer of a module is `Tensor | Module`.
def make_model(architecture: str) -> Any:
    torch.manual_seed(7)
    config = FakeFaceConfig(architecture=architecture, temperature=1.7, bias=-0.3, **SHAPES[architecture])
    model: Any = FakeFaceForImageClassification(config).eval()
    # The initial output layer is nearly zero; evidence of ordinary size needs ordinary weights.
    nn.init.normal_(model.classifier.out.weight)
    nn.init.normal_(model.classifier.out.bias)
    return model


@pytest.fixture(scope="module", params=list(SHAPES))
def model(request: pytest.FixtureRequest) -> Any:
    return make_model(request.param)


@pytest.fixture(scope="module", params=["cnn", "resnet50-cnn"])
def deep(request: pytest.FixtureRequest) -> Any:
    return make_model(request.param)


def pixels_for(model: Any, count: int = 3) -> Tensor:
    size = model.config.image_size
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(11))


class LogitsOnly(nn.Module):
    """grad-cam wants a tensor from the model, not transformers' output class."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, pixel_values: Tensor) -> Tensor:
        return self.model(pixel_values).logits


def oracle_maps(model: Any, pixels: Tensor, label: str, method: str, layer: nn.Module | None = None) -> np.ndarray:
    base = model.fakeface
    default = base.blocks[-2] if model.config.architecture == "cnn" else base.trunk.layer1
    sign = 1 if label == "generated" else -1
    targets = [lambda logits: sign * (logits[1] - logits[0])] * len(pixels)
    with ORACLES[method](LogitsOnly(model), [layer or default]) as oracle:
        return oracle(input_tensor=pixels.clone(), targets=targets)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("method", ["grad-cam", "hires-cam", "centred-cam", "layer-cam"])
def test_maps_agree_with_the_oracle(deep, method: str, device: str):
    pixels = pixels_for(deep).to(device)
    model = copy.deepcopy(deep).to(device)
    compared = 0
    for label in ("real", "generated"):
        _, maps = cam(model, pixels, label=label, method=method)
        for ours, theirs in zip(maps.cpu().numpy(), oracle_maps(model, pixels, label, method), strict=True):
            assert ours.any() == theirs.any()  # a picture may have no evidence for one of the labels
            if ours.any():
                assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] >= 0.99
                compared += 1
    assert compared >= len(pixels)


@pytest.mark.parametrize("method", ["grad-cam", "hires-cam", "centred-cam", "layer-cam"])
def test_maps_of_a_named_layer_agree_with_the_oracle(deep, method: str):
    pixels = pixels_for(deep)
    compared = 0
    for label in ("real", "generated"):
        _, maps = cam(deep, pixels, label=label, method=method, layer="block1")
        expected = oracle_maps(deep, pixels, label, method, deep.fakeface.blocks[0])
        for ours, theirs in zip(maps.numpy(), expected, strict=True):
            if ours.any():
                assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] >= 0.99
                compared += 1
    assert compared >= len(pixels)


def test_scores_are_those_of_the_model(model):
    pixels = pixels_for(model)
    assert torch.equal(cam(model, pixels)[0], model(pixels).logits.softmax(1)[:, 1])


def test_ablation_maps_agree_with_the_oracle(deep):
    # The oracle divides by the target, so that only pictures with a target above zero compare.
    pixels = pixels_for(deep, 2)
    for picture in pixels.split(1):
        label = "generated" if deep(picture).logits.softmax(1)[0, 1] > 0.5 else "real"
        (ours,) = cam(deep, picture, label=label, method="ablation-cam")[1].numpy()
        (theirs,) = oracle_maps(deep, picture, label, "ablation-cam")
        assert ours.std() > 0.05
        assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] >= 0.99


def test_the_map_of_logistic_is_exact():
    model = make_model("logistic")
    pixels = pixels_for(model)
    logits = model(pixels).logits
    bias = model.classifier.out.bias / 1.7
    expected = (logits[:, 1] - logits[:, 0]) - (bias[1] - bias[0] - 0.3)
    _, found = evidence(model, pixels)
    assert found.shape == (3, 16, 16)
    torch.testing.assert_close(found.sum((1, 2)), expected)
    weight = (model.classifier.out.weight[1] - model.classifier.out.weight[0]).reshape(3, 16, 16) / 1.7
    torch.testing.assert_close(found, (weight * pixels).sum(1))


def test_logistic_names_its_map_exact():
    assert [method_used(make_model("logistic"), method) for method in METHODS] == ["exact-cam"] * 5
    assert [method_used(make_model("cnn"), method) for method in METHODS] == list(METHODS)


@pytest.mark.parametrize("method", METHODS)
def test_maps_run_from_zero_to_one_on_the_input_square(model, method: str):
    pixels = pixels_for(model)
    scores, maps = cam(model, pixels, method=method)
    assert (scores.shape, maps.shape, maps.dtype) == ((3,), pixels[:, 0].shape, torch.float32)
    assert maps.min() >= 0
    _, found = evidence(model, pixels, method=method)
    peaks = maps.amax((1, 2)).tolist()
    assert peaks == [float(spoken) for spoken in found.amax((1, 2)) > 0]  # a transformer's may all be of one sign
    assert 1.0 in peaks
    assert not maps.requires_grad


@pytest.mark.parametrize("method", METHODS)
def test_a_batch_gives_what_its_pictures_give_one_by_one(model, method: str):
    pixels = pixels_for(model, 4)
    together = cam(model, pixels, method=method)
    alone = [cam(model, picture, method=method) for picture in pixels.split(1)]
    torch.testing.assert_close(together[0], torch.cat([scores for scores, _ in alone]))
    torch.testing.assert_close(together[1], torch.cat([maps for _, maps in alone]), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("method", ["grad-cam", "hires-cam", "centred-cam", "ablation-cam"])
def test_the_evidence_of_the_two_labels_is_opposed(model, method: str):
    pixels = pixels_for(model)
    _, generated = evidence(model, pixels, label="generated", method=method)
    _, real = evidence(model, pixels, label="real", method=method)
    torch.testing.assert_close(generated, -real)


@pytest.mark.parametrize("method", METHODS)
def test_a_picture_without_evidence_has_an_empty_map(model, method: str):
    # Given a model that never looks at the picture
    blind = make_model(model.config.architecture)
    nn.init.zeros_(blind.classifier.out.weight)
    # When it is asked for evidence, then there is none, and no division by zero either
    _, maps = cam(blind, pixels_for(blind), method=method)
    assert torch.equal(maps, torch.zeros_like(maps))


def test_what_is_the_same_all_over_is_no_evidence_for_a_place():
    # Given feature maps of two channels: one the same all over, one that stands out in a corner; both speak for it
    features = torch.zeros(1, 2, 4, 4)
    features[0, 0] = 5
    features[0, 1, 0, 0] = 1
    features.requires_grad_()
    look = Look(features, features.sum((1, 2, 3)), lambda other: other.sum((1, 2, 3)))
    # Then HiResCAM is high everywhere, and the centred map in the corner alone
    hires, centred = (STRATEGIES[name](look)[0] for name in ("hires-cam", "centred-cam"))
    assert (hires.min(), hires.max()) == (5, 6)
    assert (centred > 0).nonzero().tolist() == [[0, 0]]
    assert centred[0, 0].item() == 15 / 16


def test_the_class_token_is_no_evidence_for_a_place():
    # Given a transformer whose head looks at the class token alone, which the map has in every place
    model = make_model("vit-b16-cnn")
    with torch.no_grad():
        model.fakeface.blocks[0].weight[:, : model.fakeface.trunk.channels // 2] = 0
    pixels = pixels_for(model)
    # Then its map is empty by the method that takes each channel's mean off, and another one spreads it all over
    assert not cam(model, pixels)[1].any()
    _, spread = cam(model, pixels, method="hires-cam", label="generated")
    assert any(part.min() > 0.99 for part in [*spread, *cam(model, pixels, method="hires-cam", label="real")[1]])


def test_rounding_is_not_stretched_to_a_map():
    # Given evidence against the label everywhere, but for a trace below what float32 resolves
    model = make_model("logistic")
    with torch.no_grad():
        model.classifier.out.weight[0] = 0
        model.classifier.out.weight[1] = -1
        model.classifier.out.weight[1, 0] = 1e-9
    # When every pixel is one, then the trace alone is above zero, and the map stays empty
    _, maps = cam(model, torch.ones(1, 3, 16, 16) * torch.tensor([1.0, 0.0, 0.0])[:, None, None])
    assert torch.equal(maps, torch.zeros_like(maps))


def state_of(model: nn.Module) -> list[object]:
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    hooks = [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()]
    wants = [parameter.requires_grad for parameter in model.parameters()]
    grads = [None if parameter.grad is None else parameter.grad.clone() for parameter in model.parameters()]
    return [weights, modes, hooks, wants, grads]


def half_trained(architecture: str) -> Any:
    """A model in the middle of training: modes mixed, one parameter frozen, one with a gradient."""
    model = make_model(architecture).train()
    model.classifier.eval()
    first, *_, last = model.parameters()
    first.requires_grad_(False)
    last.grad = torch.ones_like(last)
    return model


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("architecture", list(SHAPES))
def test_the_model_is_left_as_it_was(architecture: str, method: str):
    model = half_trained(architecture)
    pixels = pixels_for(model)
    before, pixels_before = state_of(model), pixels.clone()
    cam(model, pixels, method=method)
    torch.testing.assert_close(state_of(model), before, rtol=0, atol=0)
    assert torch.equal(pixels, pixels_before)
    assert not pixels.requires_grad
    assert torch.is_grad_enabled()


def test_the_model_is_left_as_it_was_when_the_head_fails():
    model = half_trained("cnn")
    before = state_of(model)
    whole = model.classifier.out
    model.classifier.out = nn.Linear(3, 2)
    with pytest.raises(RuntimeError):
        cam(model, pixels_for(model))
    model.classifier.out = whole
    torch.testing.assert_close(state_of(model), before, rtol=0, atol=0)
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("guard", [torch.no_grad, torch.inference_mode])
def test_it_works_where_the_caller_switched_gradients_off(model, guard):
    expected = cam(model, pixels_for(model))[1]
    with guard():
        assert torch.equal(cam(model, pixels_for(model))[1], expected)


def test_threads_may_share_a_model():
    model = make_model("cnn")
    pixels = pixels_for(model)
    expected = {label: cam(model, pixels, label=label)[1] for label in ("real", "generated")}
    failures: list[str] = []

    def explain_often(label: str) -> None:
        for _ in range(30):
            if not torch.equal(cam(model, pixels, label=label)[1], expected[label]):
                failures.append(label)

    threads = [threading.Thread(target=explain_often, args=(label,)) for label in ("real", "generated") * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_gives_nearly_the_same_map(dtype: torch.dtype):
    model = make_model("cnn")
    pixels = pixels_for(model)
    expected = cam(model, pixels)[1]
    maps = cam(model.to(dtype), pixels)[1]
    assert maps.dtype == torch.float32
    assert np.corrcoef(maps.numpy().ravel(), expected.numpy().ravel())[0, 1] > 0.99


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"label": "fake"}, "unknown label 'fake': choose one of real, generated"),
        ({"method": "magic"}, "unknown method 'magic': choose one of grad-cam, hires-cam, centred-cam, layer-cam, "),
        ({"layer": "trunk"}, "unknown layer 'trunk': this model has block1, block2, block3"),
        ({"method": "exact-cam"}, "exact-cam is for logistic only"),
    ],
)
def test_a_wrong_choice_is_refused_with_the_right_ones(arguments: dict[str, str], message: str):
    model = make_model("cnn")
    with pytest.raises(ValueError, match=message):
        cam(model, pixels_for(model), **arguments)


def test_pixels_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r"is \(1, 3, 8, 8\): this model takes \(batch, 3, 32, 32\)"):
        cam(make_model("cnn"), torch.zeros(1, 3, 8, 8))


@pytest.mark.parametrize(
    ("size", "box"), [((30, 20), (5, 0, 25, 20)), ((20, 30), (0, 5, 20, 25)), ((20, 20), (0, 0, 20, 20))]
)
def test_place_fills_the_square_that_the_model_saw(size: tuple[int, int], box: tuple[int, int, int, int]):
    assert FakeFaceImageProcessor(size=10).crop_box(*size) == box
    whole = place(np.ones((10, 10), np.float32), size, box)
    expected = np.zeros((size[1], size[0]), np.float32)
    expected[box[1] : box[3], box[0] : box[2]] = 1
    assert whole.dtype == np.float32
    np.testing.assert_array_equal(whole, expected)


def test_place_keeps_the_peak_at_its_pixel():
    # Given a map with its peak in the second row and fourth column of five
    peaked = torch.zeros(5, 5)
    peaked[1, 3] = 1
    # When it is placed onto a landscape whose square starts 20 px from the left, at 10 px to a cell
    whole = place(peaked, (90, 50), (20.0, 0.0, 70.0, 50.0))
    # Then the peak is at the cell's centre, x = 20 + 3.5 cells and y = 1.5 cells
    ys, xs = np.nonzero(whole == whole.max())
    assert (xs.mean() + 0.5, ys.mean() + 0.5) == (55, 15)


def test_place_stays_inside_a_picture_of_odd_size():
    # (7 - 4) / 2 is half a pixel
    assert place(np.ones((8, 8)), (7, 4), FakeFaceImageProcessor(size=8).crop_box(7, 4)).sum() == 16
    assert place(np.ones((8, 8)), (1, 9), FakeFaceImageProcessor(size=8).crop_box(1, 9)).sum() == 1


def test_overlay_colours_in_proportion_and_leaves_the_rest():
    picture = Image.new("RGB", (3, 1), (100, 100, 100))
    shown = overlay(picture, np.array([[0, 0.5, 1]], np.float32), opacity=0.5)
    assert shown.mode == "RGB"
    assert shown.getpixel((0, 0)) == (100, 100, 100)
    # the middle of the table, (33, 145, 140), at a quarter; its top, (253, 231, 37), at half
    np.testing.assert_allclose(np.asarray(shown)[0, 1:], [(83, 111, 110), (177, 166, 68)], atol=1)
    assert picture.getpixel((2, 0)) == (100, 100, 100)


@pytest.mark.parametrize("label", LABELS)
def test_colours_are_ordered_by_lightness(label: str):
    table = colour_table(label)
    assert (table.shape, table.dtype) == ((256, 3), np.uint8)
    # Luma as in Rec. 709; rounding to 8 bit may hold it for a step.
    lightness = table @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(lightness) > -0.5).all()
    assert lightness[-1] - lightness[0] > 150


def test_a_map_for_one_label_is_not_taken_for_one_for_the_other():
    apart = np.abs(colour_table("real").astype(int) - colour_table("generated")).sum(axis=1)
    assert apart[128:].min() > 100  # where a map is seen; what is dark is nearly clear


@pytest.mark.parametrize("degrees", [0.0, 30.0, -75.0, 180.0])
def test_a_map_of_a_turned_square_comes_back_to_where_its_pixels_were_taken(degrees: float):
    """Each place of the map says how bright the picture is there: placed, it is the picture inside the square."""
    columns = np.tile(np.arange(40, 200, dtype=np.uint8), (120, 1))
    scene = Image.fromarray(np.repeat(columns[..., None], 3, axis=2))
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = 33 * np.array([[-0.3, -0.2], [0.3, -0.2], [0.0, 0.1], [-0.25, 0.4], [0.25, 0.4]]) @ turn.T + (75, 62)
    face = Face((60, 47, 90, 77), 1.0, tuple(map(tuple, points.tolist())))
    seen = np.asarray(align_face(scene, face, 64), np.float32)[..., 0] / 255
    square = aligned_square(face)
    placed = place_square(seen, scene.size, square)
    inside = placed > 0
    assert np.abs(placed * 255 - columns)[inside].max() < 3
    assert inside.sum() == pytest.approx(square.side**2, rel=0.05)
    rows, across = np.nonzero(inside)
    (x, y), (right, down) = square.centre, square.half
    along = ((across + 0.5 - x) * right + (rows + 0.5 - y) * down) / (square.side / 2)
    assert np.abs(along).max() < square.side / 2 + 1
