"""Model folders: complete, in half the size, loadable by anyone, and replaced only once the new one is whole."""

import errno
import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tiny import tiny_model

from fakeface.configuration_fakeface import FakeFaceConfig
from fakeface.image_processing_fakeface import FakeFaceImageProcessor
from fakeface.model_folder import saving as hub
from fakeface.model_folder.opening import load_model_folder
from fakeface.model_folder.saving import save_model_folder
from fakeface.modeling_fakeface import FakeFaceForImageClassification

FILES = {
    "config.json",
    "configuration_fakeface.py",
    "image_processing_fakeface.py",
    "model.safetensors",
    "modeling_fakeface.py",
    "preprocessor_config.json",
}


def make_model(**fields):
    sizes = {"architecture": "resnet50-cnn", "trunk_stages": 1, "conv_widths": [8] * 4, "fc_widths": [8, 6]}
    torch.manual_seed(0)
    model = FakeFaceForImageClassification(FakeFaceConfig(image_size=32, **{**sizes, **fields})).eval()
    for name, buffer in model.named_buffers():
        if name.endswith("running_var"):
            buffer.fill_(100_000.0)  # out of the range of 16 bits
    return model


@pytest.fixture(scope="module")
def model():
    return make_model()


@pytest.fixture(scope="module")
def processor():
    return FakeFaceImageProcessor(size=32, crop_fraction=0.875)


def logits(model):
    with torch.no_grad():
        return model(torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))).logits


def test_a_folder_is_complete(model, processor, tmp_path):
    folder = save_model_folder(tmp_path / "deep" / "model", model, processor)
    assert folder == tmp_path / "deep" / "model"
    assert {file.name for file in folder.iterdir()} == FILES
    assert [path.name for path in folder.parent.iterdir()] == ["model"]
    assert json.loads((folder / "config.json").read_text())["dtype"] == "float32"
    loaded = FakeFaceForImageClassification.from_pretrained(folder)
    assert torch.equal(logits(loaded), logits(model))
    assert FakeFaceImageProcessor.from_pretrained(folder).crop_fraction == 0.875


def test_half_is_half_the_size_and_says_float32(model, processor, tmp_path):
    full = save_model_folder(tmp_path / "full", model, processor)
    half = save_model_folder(tmp_path / "half", model, processor, half=True)
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (half, full)]
    batch_norm = sum(
        tensor.numel() for name, tensor in model.state_dict().items() if "bn" in name or "norm" in name
    ) + sum(tensor.numel() for name, tensor in model.state_dict().items() if "downsample.1" in name)
    assert sizes[0] <= sizes[1] / 2 + 4 * batch_norm
    config = json.loads((half / "config.json").read_text())
    assert config["dtype"] == "float32"
    assert config == json.loads((full / "config.json").read_text())


def test_half_keeps_batch_norm_in_32_bits(model, processor, tmp_path):
    folder = save_model_folder(tmp_path / "half", model, processor, half=True)
    with safe_open(folder / "model.safetensors", "pt") as file:
        kinds = {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
        variance = file.get_tensor("fakeface.trunk.bn1.running_var")
    assert set(kinds) == set(model.state_dict())
    assert kinds["fakeface.trunk.conv1.weight"] == kinds["classifier.fc1.weight"] == "F16"
    assert kinds["classifier.out.bias"] == "F16"
    for name in ("fakeface.trunk.bn1.weight", "fakeface.trunk.layer1.0.downsample.1.running_mean"):
        assert kinds[name] == "F32"
    assert kinds["fakeface.blocks.0.norm.bias"] == kinds["classifier.norm1.running_var"] == "F32"
    assert kinds["classifier.norm1.num_batches_tracked"] == "I64"
    assert variance.tolist() == [100_000.0] * 64


def test_half_keeps_the_scales_of_8_bits_in_32(tmp_path):
    """They lost digits that nothing brings back: each is multiplied with a row of a matrix."""
    model, processor = tiny_model("vit-b16-cnn"), FakeFaceImageProcessor(size=32)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(".scale"):
                parameter.fill_(1e-3 / 3)
    folder = save_model_folder(tmp_path / "half", model, processor, half=True)
    loaded, _ = load_model_folder(str(folder), dtype=torch.bfloat16)
    scales = [parameter for name, parameter in loaded.named_parameters() if name.endswith(".scale")]
    assert len(scales) == 4
    assert all(torch.equal(scale, torch.full_like(scale, 1e-3 / 3, dtype=torch.float32)) for scale in scales)
    # Folders that were stored before have them in 16 bits, and open as they did.
    state = load_file(folder / "model.safetensors")
    old = {name: tensor.half() if name.endswith(".scale") else tensor for name, tensor in state.items()}
    save_file(old, folder / "model.safetensors", metadata={"format": "pt"})
    again, _ = load_model_folder(str(folder))
    assert all(
        torch.equal(parameter, old[name].float())
        for name, parameter in again.named_parameters()
        if name.endswith(".scale")
    )


def test_half_loads_as_float32_with_nearly_the_same_logits(model, processor, tmp_path):
    folder = save_model_folder(tmp_path / "half", model, processor, half=True)
    loaded, report = FakeFaceForImageClassification.from_pretrained(folder, output_loading_info=True)  # type: ignore[misc]
    assert not any(report.values())
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}
    torch.testing.assert_close(logits(loaded), logits(model), rtol=2e-3, atol=1e-3)
    assert not torch.equal(logits(loaded), logits(model))


def test_the_model_itself_stays_as_it_was(processor, tmp_path):
    model = make_model()
    save_model_folder(tmp_path / "half", model, processor, half=True)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert torch.equal(logits(model), logits(make_model()))


def test_calibration_travels(processor, tmp_path):
    model = make_model(temperature=1.7, bias=-0.3, threshold_generated=0.9, threshold_real=0.1, target_fpr=0.01)
    config = FakeFaceConfig.from_pretrained(save_model_folder(tmp_path / "model", model, processor, half=True))
    assert (config.temperature, config.bias, config.target_fpr) == (1.7, -0.3, 0.01)
    assert (config.threshold_generated, config.threshold_real) == (0.9, 0.1)


def test_an_old_folder_is_replaced_whole(model, processor, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "left-over.txt").write_text("of an older version")
    (tmp_path / ".model.writing").mkdir()  # of a run that was killed
    (tmp_path / ".model.old").mkdir()
    save_model_folder(folder, model, processor)
    assert {file.name for file in folder.iterdir()} == FILES
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def full_disk(*args, **kwargs):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("step", ["weights", "processor", "half weights"])
def test_a_full_disk_leaves_the_old_folder_as_it_was(step, model, processor, tmp_path, monkeypatch):
    folder = save_model_folder(tmp_path / "model", model, processor)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    if step == "half weights":
        monkeypatch.setattr(hub, "save_file", full_disk)
    else:
        owner = FakeFaceForImageClassification if step == "weights" else FakeFaceImageProcessor
        monkeypatch.setattr(owner, "save_pretrained", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save_model_folder(folder, make_model(temperature=3.0), processor, half=True)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_config_that_cannot_be_written_leaves_the_old_folder_as_it_was(model, processor, tmp_path):
    folder = save_model_folder(tmp_path / "model", model, processor)
    bad = make_model()
    bad.config.note = object()
    with pytest.raises(TypeError, match="not JSON serializable"):
        save_model_folder(folder, bad, processor)
    assert torch.equal(logits(FakeFaceForImageClassification.from_pretrained(folder)), logits(model))
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
