"""Trunk weights: from whole and partial files, with a report of what was loaded, and a refusal of what does not fit."""

import pytest
import torch
from safetensors.torch import save_file

from fakeface.configuration_fakeface import FakeFaceConfig
from fakeface.modeling_fakeface import FakeFaceForImageClassification
from fakeface.training.trunk import TrunkError, TrunkReport, load_trunk


def make_model(stages=1, architecture="resnet50-cnn"):
    widths = {"conv_widths": [4] * 4, "fc_widths": [4], "trunk_stages": stages} if architecture != "cnn" else {}
    config = FakeFaceConfig(architecture=architecture, image_size=32, **widths)
    torch.manual_seed(0)
    return FakeFaceForImageClassification(config)


@pytest.fixture
def model():
    """A `resnet50-cnn` whose trunk is cut to the stem and layer1."""
    return make_model()


@pytest.fixture
def weights(model):
    """Random weights under timm's names, unlike those of `model`; without counters, as converted files are."""
    numbers = torch.Generator().manual_seed(1)
    own = model.fakeface.trunk.state_dict()
    return {
        name: torch.rand(tensor.shape, generator=numbers)
        for name, tensor in own.items()
        if not name.endswith("num_batches_tracked")
    }


def saved(folder, tensors, name="trunk.safetensors"):
    save_file(tensors, folder / name)
    return folder / name


def test_a_whole_file_fills_the_trunk(model, weights, tmp_path):
    file = saved(tmp_path, weights)
    report = load_trunk(model, file)
    own = model.fakeface.trunk.state_dict()
    assert all(torch.equal(own[name], tensor) for name, tensor in weights.items())
    assert report == TrunkReport(str(file), tuple(sorted(weights)), (), ())
    assert str(report) == (
        f"trunk weights from {file}: {len(weights)} tensors loaded (bn1, conv1, layer1), 0 missing, 0 unused"
    )


def test_the_bare_model_is_taken_too(model, weights, tmp_path):
    report = load_trunk(model.fakeface, saved(tmp_path, weights))
    assert not report.missing


def test_a_partial_file_leaves_the_rest_as_it_was(model, weights, tmp_path):
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    part = {name: tensor for name, tensor in weights.items() if name.startswith("layer1.")}
    report = load_trunk(model, str(saved(tmp_path, part)))
    assert report.loaded == tuple(sorted(part))
    assert report.missing == tuple(sorted(weights.keys() - part.keys()))
    assert "5 missing (bn1, conv1)" in str(report)
    for name, tensor in model.state_dict().items():
        loaded = name.removeprefix("fakeface.trunk.") in part
        assert torch.equal(tensor, before[name]) is not loaded, name


def test_tensors_without_a_place_are_reported(model, weights, tmp_path):
    more = {
        "fc.weight": torch.zeros(1000, 2048),
        "layer4.0.conv1.weight": torch.zeros(1),
        "bn9.num_batches_tracked": torch.tensor(3),
    }
    report = load_trunk(model, saved(tmp_path, weights | more))
    assert report.unused == ("fc.weight", "layer4.0.conv1.weight")
    assert str(report).endswith("0 missing, 2 unused (fc, layer4)")


def test_16_bit_files_are_widened(model, weights, tmp_path):
    half = {name: tensor.half() for name, tensor in weights.items()}
    load_trunk(model, saved(tmp_path, half))
    own = model.fakeface.trunk.state_dict()
    assert {tensor.dtype for tensor in own.values()} == {torch.float32, torch.int64}
    assert all(torch.equal(own[name], tensor.float()) for name, tensor in half.items())


def test_weights_of_another_network_are_refused(model, weights, tmp_path):
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    other = weights | {"conv1.weight": torch.zeros(64, 3, 3, 3), "layer1.0.conv1.weight": torch.zeros(1)}
    file = saved(tmp_path, other)
    with pytest.raises(TrunkError) as refusal:
        load_trunk(model, file)
    problem = f"{file}: conv1.weight is (64, 3, 3, 3), the trunk's is (64, 3, 7, 7) (2 such tensors)"
    assert str(refusal.value) == f"{problem}; it takes resnet50 weights"
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_names_of_another_library_are_refused(model, tmp_path):
    file = saved(tmp_path, {"resnet.embedder.weight": torch.zeros(3)})
    with pytest.raises(TrunkError, match="holds no tensor of resnet50; names must be timm's, such as layer1"):
        load_trunk(model, file)


def test_other_file_types_are_refused_unopened(model, tmp_path):
    torch.save({"conv1.weight": torch.zeros(64, 3, 7, 7)}, tmp_path / "trunk.pth")
    with pytest.raises(TrunkError, match=r"trunk\.pth: trunk weights must be a \.safetensors file"):
        load_trunk(model, tmp_path / "trunk.pth")


def test_broken_files_are_refused(model, weights, tmp_path):
    whole = saved(tmp_path, weights).read_bytes()
    for i, data in enumerate((b"", b"not safetensors", b"\xff" * 100, whole[: len(whole) // 2])):
        file = tmp_path / f"broken-{i}.safetensors"
        file.write_bytes(data)
        with pytest.raises(TrunkError, match=rf"broken-{i}\.safetensors: not a readable safetensors file"):
            load_trunk(model, file)
    (tmp_path / "folder.safetensors").mkdir()
    with pytest.raises(TrunkError, match="not a readable safetensors file"):
        load_trunk(model, tmp_path / "folder.safetensors")


def test_a_missing_file_is_refused(model, tmp_path):
    with pytest.raises(TrunkError, match=r"none\.safetensors: no such file; name one, or use 'hub'"):
        load_trunk(model, tmp_path / "none.safetensors")


def test_an_architecture_without_a_trunk_is_refused(tmp_path):
    with pytest.raises(TrunkError, match="a cnn model has no trunk; trunk weights are for resnet50-cnn"):
        load_trunk(make_model(architecture="cnn"), tmp_path / "any.safetensors")


def test_without_the_hub_the_message_names_the_way_out(model):
    # HF_HUB_OFFLINE is set for all tests
    with pytest.raises(TrunkError, match=r"timm's resnet50 weights cannot be fetched from the Hub .*--trunk-weights"):
        load_trunk(model)


# ---- a transformer


@pytest.fixture
def transformer():
    """A `vit-b16-cnn` whose trunk is cut to the first block."""
    config = FakeFaceConfig(
        architecture="vit-b16-cnn", image_size=32, trunk_blocks=[1], conv_widths=[4], pooling="average"
    )
    return FakeFaceForImageClassification(config)


def test_clips_weights_fill_the_lower_blocks_and_the_rest_is_reported(transformer, tmp_path):
    numbers = torch.Generator().manual_seed(1)
    own = transformer.fakeface.trunk.vit.state_dict()
    given = {name: torch.rand(tensor.shape, generator=numbers).half() for name, tensor in own.items()}
    more = {"norm.weight": torch.zeros(768).half(), "blocks.11.attn.proj.bias": torch.zeros(768).half()}
    before = transformer.fakeface.trunk.norm.running_mean.clone()
    report = load_trunk(transformer, saved(tmp_path, given | more))
    assert (report.missing, report.unused) == ((), ("blocks.11.attn.proj.bias", "norm.weight"))
    assert {"cls_token", "pos_embed", "patch_embed.proj.weight", "blocks.0.attn.qkv.weight"} <= set(report.loaded)
    own = transformer.fakeface.trunk.vit.state_dict()
    assert all(torch.equal(own[name], tensor.float()) for name, tensor in given.items())
    assert torch.equal(transformer.fakeface.trunk.norm.running_mean, before)


def test_a_resnets_weights_are_refused_by_a_transformer_and_the_other_way(transformer, model, weights, tmp_path):
    with pytest.raises(TrunkError, match=r"holds no tensor of vit_base_patch16.* such as blocks\.0\.attn\.qkv\.weight"):
        load_trunk(transformer, saved(tmp_path, weights))
    with pytest.raises(TrunkError, match=r"holds no tensor of resnet50; names must be timm's, such as layer1"):
        load_trunk(model, saved(tmp_path, {"cls_token": torch.zeros(1, 1, 768)}))


def test_patches_of_another_size_are_refused(transformer, tmp_path):
    file = saved(tmp_path, {"patch_embed.proj.weight": torch.zeros(768, 3, 32, 32)})
    with pytest.raises(
        TrunkError, match=r"patch_embed\.proj\.weight is \(768, 3, 32, 32\), the trunk's is .* 16, 16\)"
    ):
        load_trunk(transformer, file)


def test_without_the_hub_clips_weights_are_named(transformer):
    with pytest.raises(
        TrunkError, match=r"timm's vit_base_patch16_clip_quickgelu_224\.openai weights cannot be fetched"
    ):
        load_trunk(transformer)


def test_the_shared_weights_leave_nothing_missing(shared):
    model = make_model(stages=3)
    file = shared / "weights/resnet50_msra_stem_to_layer3_fp16.safetensors"
    report = load_trunk(model, file)
    assert (report.missing, report.unused) == ((), ())
    assert len(report.loaded) == 215  # 43 convolutions, each with the four tensors of its BatchNorm
    # ImageNet's first filters are not randoms start: some are several times stronger than others.
    strength = model.fakeface.trunk.state_dict()["conv1.weight"].flatten(1).norm(dim=1)
    assert strength.max() / strength.min() > 5
