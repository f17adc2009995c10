"""The architectures: their layers as described, their shapes, and logits that are calibrated inside the model."""

from pathlib import Path

import pytest
import torch
from torch import nn

from fakeface.configuration_fakeface import FakeFaceConfig
from fakeface.image_processing_fakeface import FakeFaceImageProcessor
from fakeface.model_folder.opening import load_model_folder
from fakeface.model_folder.saving import save_model_folder
from fakeface.modeling_fakeface import FakeFaceForImageClassification, FakeFaceModel, Int8Linear, keep_in_int8

ARCHITECTURES = ["logistic", "cnn", "resnet50-cnn", "vit-b16-cnn"]


def tiny(architecture="cnn", **fields):
    """A small model with fixed weights, in evaluation mode."""
    widths = {"logistic": {}, "cnn": {"conv_widths": [4, 8], "fc_widths": [6]}}
    widths["resnet50-cnn"] = {"conv_widths": [8, 8, 8, 8], "fc_widths": [8, 6], "trunk_stages": 1}
    widths["vit-b16-cnn"] = {"trunk_blocks": [1], "conv_widths": [8], "pooling": "average"}
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
        ("vit-b16-cnn", {}, (8, 2, 2)),
        ("vit-b16-cnn", {"image_size": 48}, (8, 3, 3)),
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


# ---- the transformer as trunk


def test_vit_b16_cnn_has_clips_blocks_up_to_the_last_that_counts():
    with torch.device("meta"):
        model = FakeFaceForImageClassification(FakeFaceConfig(architecture="vit-b16-cnn", pooling="average"))
    names = set(model.fakeface.trunk.vit.state_dict())
    assert {"cls_token", "pos_embed", "norm_pre.weight", "blocks.0.attn.qkv.weight", "blocks.8.mlp.fc2.bias"} <= names
    assert not [name for name in names if name.startswith(("blocks.9", "head", "norm."))]
    convs = [m for m in model.fakeface.blocks.modules() if isinstance(m, nn.Conv2d)]
    assert [(m.in_channels, m.out_channels, m.kernel_size) for m in convs] == [(2 * 5 * 768, 256, (1, 1))]
    assert leaves(model.classifier) == ["AdaptiveAvgPool2d", "Flatten", "ReLU", "Dropout", "Linear"]


def test_the_map_of_a_transformer_has_patches_and_class_token_of_each_block():
    model = tiny("vit-b16-cnn", trunk_blocks=[1, 2])
    vit, batch = model.fakeface.trunk.vit, pixels()
    with torch.no_grad():
        found = model.fakeface.trunk.raw(batch)
        assert tuple(found.shape) == (2, 2 * 2 * 768, 2, 2)
        # What timm's own layers give, one after the other
        hidden = vit.norm_pre(vit._pos_embed(vit.patch_embed(batch)))
        for number, block in enumerate(vit.blocks):
            hidden = block(hidden)
            patches = found[:, number * 768 : (number + 1) * 768].flatten(2).transpose(1, 2)
            torch.testing.assert_close(patches, hidden[:, 1:])
            tokens = found[:, (2 + number) * 768 : (3 + number) * 768]
            torch.testing.assert_close(tokens, hidden[:, 0, :, None, None].expand_as(tokens))


def test_a_transformers_channels_are_standardised_by_statistics_that_are_given():
    trunk, batch = tiny("vit-b16-cnn").fakeface.trunk, pixels()
    trunk.norm.running_mean.fill_(0.5)
    trunk.norm.running_var.fill_(4.0)
    with torch.no_grad():
        expected = (trunk.raw(batch) - 0.5) / 2
        torch.testing.assert_close(trunk(batch), expected, rtol=1e-4, atol=1e-4)
    assert list(trunk.norm.parameters()) == []


def test_an_average_over_the_map_is_the_same_behind_the_heads_convolution_as_before_it():
    model = tiny("vit-b16-cnn")
    with torch.no_grad():
        feature_map = model.fakeface.trunk(pixels(size=48))
        behind = model.classify(model.fakeface.blocks(feature_map))
        before = model.classify(model.fakeface.blocks(feature_map.mean((2, 3), keepdim=True)))
    torch.testing.assert_close(behind, before, rtol=1e-4, atol=1e-5)


def test_a_transformer_takes_other_sides_by_position_embeddings_between_those_it_has():
    model = tiny("vit-b16-cnn", image_size=224)
    with torch.no_grad():
        assert model(pixels(size=64)).logits.shape == (2, 2)
        whole = model.fakeface.trunk.vit._pos_embed(torch.zeros(1, 14, 14, 768))
        half = model.fakeface.trunk.vit._pos_embed(torch.zeros(1, 7, 7, 768))
    assert (whole.shape[1], half.shape[1]) == (1 + 14 * 14, 1 + 7 * 7)
    assert torch.equal(whole[:, 0], half[:, 0])
    smooth = nn.functional.avg_pool2d(whole[0, 1:].T.reshape(768, 14, 14), 2).flatten()
    # An interpolation at half the side is near the mean of four neighbours, and far from any other embedding.
    assert torch.corrcoef(torch.stack([smooth, half[0, 1:].T.flatten()]))[0, 1] > 0.9


def test_8_bits_bring_back_a_matrix_that_was_made_of_them():
    dice = torch.Generator().manual_seed(3)
    codes = torch.randint(-127, 128, (6, 40), generator=dice)
    codes[:, 0], codes[5] = 127, 0
    scale = torch.rand(6, 1, generator=dice) + 0.01
    linear = nn.Linear(40, 6)
    linear.weight.data = codes * scale
    kept = Int8Linear.from_linear(linear)
    assert torch.equal(kept.weight.long(), codes)
    again = kept.to_linear()
    torch.testing.assert_close(again.weight, linear.weight, rtol=1e-6, atol=0)
    assert torch.equal(again.bias, linear.bias)
    inputs = torch.randn(3, 40, generator=dice)
    assert torch.equal(kept(inputs), again(inputs))
    assert {name for name, parameter in kept.named_parameters() if parameter.requires_grad} == {"bias"}


def test_distance_is_the_mean_square_of_what_is_left_of_the_standardised_averages():
    model = tiny("vit-b16-cnn", familiar_directions=2, familiar_distance=2.0)
    trunk, generator = model.fakeface.trunk, torch.Generator().manual_seed(3)
    trunk.norm.running_mean.normal_(generator=generator)
    trunk.norm.running_var.uniform_(0.5, 2, generator=generator)
    trunk.directions.copy_(torch.linalg.qr(torch.randn(1536, 2, generator=generator)).Q.T)
    with torch.no_grad():
        found = model(pixels()).distance
        z = (trunk.raw(pixels()).mean((2, 3)) - trunk.norm.running_mean) / (trunk.norm.running_var + 1e-5).sqrt()
    left = z - z @ trunk.directions.T @ trunk.directions
    torch.testing.assert_close(found, left.square().mean(1))
    model.config.reset_calibration()
    assert model.config.familiar_distance is None
    assert model(pixels()).distance is None


def test_distance_of_a_resnet_is_told_of_the_averages_of_its_trunk(tmp_path: Path):
    model = tiny("resnet50-cnn", familiar_directions=2, familiar_distance=2.0)
    familiar, generator = model.fakeface.familiar, torch.Generator().manual_seed(3)
    familiar.mean.normal_(generator=generator)
    familiar.deviation.uniform_(0.5, 2, generator=generator)
    familiar.directions.copy_(torch.linalg.qr(torch.randn(256, 2, generator=generator)).Q.T)
    with torch.no_grad():
        found = model(pixels()).distance
        z = (model.fakeface.trunk(pixels())[-1].mean((2, 3)) - familiar.mean) / familiar.deviation
    left = z - z @ familiar.directions.T @ familiar.directions
    torch.testing.assert_close(found, left.square().mean(1))
    save_model_folder(tmp_path / "model", model, FakeFaceImageProcessor(size=32), half=True)
    narrow, _ = load_model_folder(str(tmp_path / "model"), dtype=torch.bfloat16)
    assert narrow.fakeface.familiar.mean.dtype == torch.float32  # 16 bits would move distances
    assert torch.equal(narrow.fakeface.familiar.mean, familiar.mean)


def test_8_bits_move_no_number_by_more_than_half_a_step():
    linear = nn.Linear(40, 6)
    kept = Int8Linear.from_linear(linear)
    steps = linear.weight.detach().abs().amax(1, keepdim=True) / 127
    assert ((kept.matrix() - linear.weight).abs() <= steps * 0.501).all()
    assert kept.weight.dtype == torch.int8


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_trunk_in_8_bits_comes_back_from_disk(dtype, tmp_path):
    model = tiny("vit-b16-cnn")
    with torch.no_grad():
        plain = model(pixels()).logits
        keep_in_int8(model.fakeface.trunk.vit)
        model.config.trunk_bits = 8
        expected = model(pixels()).logits
    torch.testing.assert_close(expected, plain, rtol=0, atol=0.05)
    model.save_pretrained(tmp_path)
    loaded, report = FakeFaceForImageClassification.from_pretrained(tmp_path, dtype=dtype, output_loading_info=True)  # type: ignore[misc]
    assert not any(report.values())
    kinds = {m: (m.weight.dtype, m.scale.dtype, m.bias.dtype) for m in loaded.modules() if isinstance(m, Int8Linear)}
    assert set(kinds.values()) == {(torch.int8, torch.float32, dtype)}
    assert len(kinds) == 4  # qkv, proj, fc1 and fc2 of the one block
    assert loaded.fakeface.trunk.norm.running_mean.dtype == torch.float32
    with torch.no_grad():
        found = loaded(pixels()).logits
    if dtype == torch.float32:
        assert torch.equal(found, expected)
    torch.testing.assert_close(found, expected, rtol=0, atol=0.05)


# ---- the start


@pytest.mark.parametrize("architecture", ARCHITECTURES)
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


@pytest.mark.parametrize("architecture", ["logistic", "cnn", "resnet50-cnn"])  # which take one size, without pooling
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


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_parameter_learns(architecture):
    model = tiny(architecture).train()
    model(pixels(4), labels=torch.tensor([0, 1, 0, 1])).loss.backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("architecture", ARCHITECTURES)
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


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_16_bit_weights_give_nearly_the_same_32_bit_logits(architecture, tmp_path):
    tiny(architecture).save_pretrained(tmp_path)
    model = FakeFaceForImageClassification.from_pretrained(tmp_path, dtype=torch.bfloat16)
    with torch.no_grad():
        logits = model(pixels()).logits
        expected = tiny(architecture)(pixels()).logits
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, expected, rtol=0, atol=0.05)
