"""The three architectures: their layers as described, their shapes, and logits that are calibrated inside the model."""

import pytest
import torch
from torch import nn

from fakeface.configuration_fakeface import FakeFaceConfig
from fakeface.modeling_fakeface import FakeFaceForImageClassification, FakeFaceModel


def tiny(architecture="cnn", **fields):
    """A small model with fixed weights, in evaluation mode."""
    widths = {"logistic": {}, "cnn": {"conv_widths": [4, 8], "fc_widths": [6]}}
    widths["resnet50-cnn"] = {"conv_widths": [8, 8, 8, 8], "fc_widths": [8, 6], "trunk_stages": 1}
    config = FakeFaceConfig(architecture=architecture, **{"image_size": 32, **widths[architecture], **fields})
    torch.manual_seed(0)
    return FakeFaceForImageClassification(config).eval()


def pixels(batch=2, size=32):
    return torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(1))


def leaves(module):
    return [type(layer).__name__ for layer in module.modules() if not list(layer.children())]


# ---- the layers


def test_logistic_is_one_fully_connected_layer():
    model = tiny("logistic")
    assert leaves(model) == ["Sequential", "Flatten", "Linear"]  # the first is the empty body
    assert [tuple(p.shape) for p in model.parameters()] == [(2, 3 * 32 * 32), (2,)]


def test_cnn_is_conv_conv_pool_twice_then_fc_dropout_fc():
    model = tiny("cnn")
    block = ["Conv2d", "ReLU", "Conv2d", "ReLU", "MaxPool2d"]
    assert leaves(model.fakeface) == block * 2
    assert leaves(model.classifier) == ["Flatten", "Linear", "ReLU", "Dropout", "Linear"]
    convs = [(m.in_channels, m.out_channels) for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert convs == [(3, 4), (4, 4), (4, 8), (8, 8)]


def test_resnet50_cnn_has_the_head_as_described():
    with torch.device("meta"):
        model = FakeFaceForImageClassification(FakeFaceConfig())
    assert len(model.fakeface.blocks) == 4
    for block in model.fakeface.blocks:
        assert leaves(block) == ["Conv2d", "ReLU"] * 4 + ["BatchNorm2d"]
    hidden = ["Linear", "BatchNorm1d", "ReLU", "Dropout"]
    assert leaves(model.classifier) == ["Flatten", *hidden, *hidden, "Linear", "ReLU", "Dropout", "Linear"]
    linear = [(m.in_features, m.out_features) for m in model.classifier if isinstance(m, nn.Linear)]
    assert linear == [(256 * 5 * 5, 512), (512, 256), (256, 64), (64, 2)]
    convs = [
        (m.in_channels, m.out_channels, m.kernel_size[0], m.stride[0])
        for m in model.fakeface.blocks.modules()
        if isinstance(m, nn.Conv2d)
    ]
    plain = (256, 256, 3, 1)
    first = [(1024, 256, 1, 1), plain, plain, plain]
    assert convs == [*first, plain, (256, 256, 3, 2), *[plain] * 10]


def test_a_pooled_head_sees_the_mean_of_each_channel():
    model = tiny("resnet50-cnn", pooling="average")
    features = torch.randn(2, 8, 4, 4, generator=torch.Generator().manual_seed(2))
    moved = features.flip(-1).transpose(-1, -2)
    with torch.no_grad():
        assert torch.allclose(model.classify(features), model.classify(moved), atol=1e-6)
        assert torch.equal(model.classify(features), model.classify(features.mean((2, 3), keepdim=True)))
        flat = tiny("resnet50-cnn")
        assert not torch.allclose(flat.classify(features), flat.classify(moved), atol=1e-3)


def test_a_pooled_head_takes_other_sides_and_says_which():
    model = tiny("resnet50-cnn", pooling="average")
    with torch.no_grad():
        assert model(pixels(size=64)).logits.shape == (2, 2)
        for wrong in (pixels(size=60), pixels(size=64)[:, :, :32], pixels(size=64)[:, :1]):
            with pytest.raises(ValueError, match=r"this model takes \(batch, 3, \d+, \d+\)"):
                model(wrong)
        with pytest.raises(ValueError, match=r"this model takes \(batch, 3, 32, 32\)"):
            tiny("resnet50-cnn")(pixels(size=64))


def test_resnet50_cnn_has_timms_resnet50_as_its_trunk():
    with torch.device("meta"):
        names = set(FakeFaceModel(FakeFaceConfig()).trunk.state_dict())
    assert {"conv1.weight", "bn1.running_var", "layer1.0.downsample.1.weight", "layer3.5.conv3.weight"} <= names
    assert not [name for name in names if name.startswith(("layer4", "fc"))]


def test_resnet50_cnn_takes_at_most_64_mb_in_16_bit():
    with torch.device("meta"):
        model = FakeFaceForImageClassification(FakeFaceConfig())
    assert 2 * sum(tensor.numel() for tensor in model.state_dict().values()) <= 64_000_000


@pytest.mark.parametrize(
    ("architecture", "fields", "shape"),
    [
        ("logistic", {}, (3, 32, 32)),
        ("cnn", {}, (8, 8, 8)),
        ("resnet50-cnn", {}, (8, 4, 4)),
        ("resnet50-cnn", {"trunk_stages": 2}, (8, 2, 2)),
        ("resnet50-cnn", {"trunk_stages": 3}, (8, 1, 1)),
        ("resnet50-cnn", {"trunk_stages": 4, "image_size": 64}, (8, 1, 1)),
    ],
)
def test_shapes(architecture, fields, shape):
    model = tiny(architecture, **fields)
    batch = pixels(size=model.config.image_size)
    with torch.no_grad():
        features = model.fakeface(batch).last_hidden_state
        logits = model(batch).logits
    assert model.fakeface.feature_shape == shape
    assert tuple(features.shape) == (2, *shape)
    assert (tuple(logits.shape), logits.dtype) == ((2, 2), torch.float32)


# ---- the start


@pytest.mark.parametrize("architecture", ["logistic", "cnn", "resnet50-cnn"])
def test_a_fresh_model_is_undecided(architecture):
    fields = {"trunk_stages": 3, "image_size": 64} if architecture == "resnet50-cnn" else {}
    with torch.no_grad():
        scores = tiny(architecture, **fields)(pixels(8, fields.get("image_size", 32))).logits.softmax(-1)[:, 1]
    # The weights have a standard deviation of 0.01; logistic sums over 3,072 pixels and wanders farthest.
    assert scores.tolist() == pytest.approx([0.5] * 8, abs=0.45)
    assert (scores.mean() - 0.5).abs() < 0.2


def test_the_start_keeps_the_size_of_activations_through_the_head():
    # Kaiming's promise; with transformers' default standard deviation of 0.02 they would all but vanish.
    model = tiny("cnn", conv_widths=[32, 64])
    with torch.no_grad():
        features = model.fakeface(pixels(8)).last_hidden_state
    assert 0.3 < features.std().item() < 3
    assert all(not parameter.any() for name, parameter in model.named_parameters() if name.endswith("bias"))


# ---- the outputs


def test_logits_are_calibrated_inside_the_model():
    plain, batch = tiny(), pixels()
    with torch.no_grad():
        raw = plain(batch).logits
        plain.config.temperature, plain.config.bias = 2.0, 0.75
        calibrated = plain(batch).logits
    assert calibrated[:, 0].tolist() == pytest.approx((raw[:, 0] / 2).tolist())
    assert calibrated[:, 1].tolist() == pytest.approx((raw[:, 1] / 2 + 0.75).tolist())


def test_labels_give_the_cross_entropy():
    model, batch, labels = tiny(), pixels(3), torch.tensor([0, 1, 1])
    with torch.no_grad():
        output = model(batch, labels=labels)
        bare = model(batch)
    assert torch.equal(output.loss, nn.functional.cross_entropy(output.logits, labels))
    assert bare.loss is None
    assert torch.equal(bare.logits, output.logits)


def test_tuples_on_request():
    model, batch, labels = tiny(), pixels(), torch.tensor([0, 1])
    with torch.no_grad():
        output = model(batch, labels=labels)
        (logits,) = model(batch, return_dict=False)
        loss, _ = model(batch, labels=labels, return_dict=False)
        (features,) = model.fakeface(batch, return_dict=False)
    assert torch.equal(logits, output.logits)
    assert torch.equal(loss, output.loss)
    assert tuple(features.shape) == (2, 8, 8, 8)


@pytest.mark.parametrize("architecture", ["logistic", "cnn", "resnet50-cnn"])
def test_pixels_of_another_shape_are_refused(architecture):
    model = tiny(architecture)
    for shape in [(2, 3, 32, 33), (2, 1, 32, 32), (3, 32, 32), (2, 3, 64, 64), (2, 32, 32, 3)]:
        with pytest.raises(ValueError, match="pixel_values is ") as error:
            model(torch.zeros(shape))
        assert str(error.value) == (
            f"pixel_values is {shape}: this model takes (batch, 3, 32, 32), as its own image processor makes them"
        )


def test_a_picture_gets_the_same_logits_alone_and_in_a_batch():
    model, batch = tiny("resnet50-cnn"), pixels(4)
    with torch.no_grad():
        together = model(batch).logits
        alone = torch.cat([model(picture[None]).logits for picture in batch])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("architecture", ["logistic", "cnn", "resnet50-cnn"])
def test_every_parameter_learns(architecture):
    model = tiny(architecture).train()
    model(pixels(4), labels=torch.tensor([0, 1, 0, 1])).loss.backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("architecture", ["logistic", "cnn", "resnet50-cnn"])
def test_a_model_comes_back_from_disk_to_the_bit(architecture, tmp_path):
    model = tiny(architecture, temperature=1.5, bias=-0.25)
    model.save_pretrained(tmp_path)
    loaded, report = FakeFaceForImageClassification.from_pretrained(tmp_path, output_loading_info=True)  # type: ignore[misc]
    with torch.no_grad():
        assert torch.equal(loaded(pixels()).logits, model(pixels()).logits)
    assert not any(report.values())


def numbers(module):
    """Parameters and buffers of a layer, but for BatchNorm's counter."""
    return [tensor for name, tensor in module.state_dict().items() if name != "num_batches_tracked"]


def test_batch_norm_stays_in_32_bits(tmp_path):
    tiny("resnet50-cnn").save_pretrained(tmp_path)
    model = FakeFaceForImageClassification.from_pretrained(tmp_path, dtype=torch.bfloat16)
    kinds = {
        kind.__name__: {tensor.dtype for m in model.modules() if isinstance(m, kind) for tensor in numbers(m)}
        for kind in (nn.Conv2d, nn.Linear, nn.BatchNorm2d, nn.BatchNorm1d)
    }
    assert kinds["Conv2d"] == kinds["Linear"] == {torch.bfloat16}
    assert kinds["BatchNorm2d"] == kinds["BatchNorm1d"] == {torch.float32}


@pytest.mark.parametrize("architecture", ["logistic", "cnn", "resnet50-cnn"])
def test_16_bit_weights_give_nearly_the_same_32_bit_logits(architecture, tmp_path):
    tiny(architecture).save_pretrained(tmp_path)
    model = FakeFaceForImageClassification.from_pretrained(tmp_path, dtype=torch.bfloat16)
    with torch.no_grad():
        logits = model(pixels()).logits
        expected = tiny(architecture)(pixels()).logits
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, expected, rtol=0, atol=0.05)
