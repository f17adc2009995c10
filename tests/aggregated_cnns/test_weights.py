"""Files of the authors' layout, made here by tests/helpers/efficientnet_layout.py, and of ours."""

import pickle
from pathlib import Path

import pytest
import torch
from efficientnet_layout import made
from safetensors.torch import save_file

from fakeface.aggregated_cnns.weights import WeightsError, load_network, make_network, timm_names


@pytest.fixture(scope="module")
def theirs():
    return made()


def saved(content: object, path: Path) -> Path:
    torch.save(content, path)
    return path


def test_authors_file_gives_the_same_logits(theirs, tmp_path):
    """BatchNorm's epsilon, the padding and every name must be right for this; a wrong one moves the logits by 100."""
    state = {f"efficientnet.{name}": tensor for name, tensor in theirs.state_dict().items()}
    network = load_network(saved({"net": state, "epoch": 3}, tmp_path / "method_A.pth")).eval()
    patches = torch.randn(2, 3, 128, 128, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with torch.inference_mode():
        expected = made().double()(patches)
        torch.testing.assert_close(network.double()(patches), expected, rtol=1e-6, atol=0)
    assert expected.abs().min() > 1


@pytest.mark.parametrize("prefix", ["", "model.", "module.efficientnet."])
def test_names_may_stand_below_a_module(theirs, prefix):
    plain = timm_names(theirs.state_dict())
    assert timm_names({prefix + name: tensor for name, tensor in theirs.state_dict().items()}).keys() == plain.keys()


def test_own_layer_in_place_of_fc(theirs, tmp_path):
    """The authors' class deletes `_fc` and puts `classifier` beside the network."""
    state = {f"efficientnet.{k}": v for k, v in theirs.state_dict().items() if not k.startswith("_fc")}
    state |= {"classifier.weight": theirs._fc.weight.data, "classifier.bias": theirs._fc.bias.data}
    network = load_network(saved({"net": state}, tmp_path / "method_B.pth"))
    assert torch.equal(network.get_parameter("classifier.weight"), theirs._fc.weight)


def test_names_and_shapes_are_all_of_timms(theirs):
    renamed = timm_names(theirs.state_dict())
    expected = {name: tensor.shape for name, tensor in make_network().state_dict().items()}
    assert {name: tensor.shape for name, tensor in renamed.items()} == expected
    assert len(renamed) == 706


def test_last_layer_of_other_classes_is_left_aside(tmp_path):
    theirs = made(classes=5)
    file = saved(theirs.state_dict(), tmp_path / "imagenet.pth")
    network = load_network(file, classifier=False)
    assert network.get_parameter("classifier.weight").shape == (2, 1792)
    assert torch.equal(network.get_parameter("conv_stem.weight"), theirs._conv_stem.weight)
    with pytest.raises(WeightsError, match=r"imagenet.pth: not an EfficientNet-B4 with two logits \(classifier.bias"):
        load_network(file)


def test_own_file_comes_back(tmp_path):
    network = make_network()
    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, tmp_path / "A.safetensors")
    back = load_network(tmp_path / "A.safetensors").state_dict()
    assert all(torch.equal(tensor, back[name]) for name, tensor in network.state_dict().items())


class Harm:
    def __reduce__(self):
        return (Path("harm-was-done").touch, ())


def test_code_in_a_file_does_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("method_A.pth").write_bytes(pickle.dumps({"net": Harm()}))
    saved({"net": Harm()}, Path("method_B.pth"))
    for name in ("method_A.pth", "method_B.pth"):
        with pytest.raises(WeightsError, match=f"{name}: does not open as tensors alone"):
            load_network(tmp_path / name)
    assert not Path("harm-was-done").exists()


def test_bad_files_are_refused_by_name(theirs, tmp_path):
    state = theirs.state_dict()
    no_number = {**state, "_conv_stem.weight": state["_conv_stem.weight"] * float("nan")}
    for content, words in [
        ({"_blocks.32._bn0.weight": torch.zeros(1)}, "no tensor of EfficientNet-B4 is called '_blocks.32._bn0.weight'"),
        ({"_blocks.0._bn0.weight": torch.zeros(1)}, "no tensor of EfficientNet-B4 is called '_blocks.0._bn0.weight'"),
        ({"_blocks.0._bn1.weight": torch.zeros(1)}, r"two logits \(blocks.0.0.bn1.bias, .* more\)"),
        (no_number, "conv_stem.weight holds values that are not numbers"),
        ([1, 2], "holds no named tensors"),
        ({"net": 3}, "holds no named tensors"),
    ]:
        with pytest.raises(WeightsError, match=f"method_C.pth: .*{words}"):
            load_network(saved(content, tmp_path / "method_C.pth"))
    (tmp_path / "cut.safetensors").write_bytes(b"\0" * 20)
    for name, words in [("cut.safetensors", "cannot be read"), ("none.pth", "cannot be read .*No such file")]:
        with pytest.raises(WeightsError, match=f"{name}: {words}"):
            load_network(tmp_path / name)
