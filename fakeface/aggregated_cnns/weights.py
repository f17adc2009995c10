"""Weights of the five EfficientNet-B4, whoever trained them: ours as safetensors, the authors' `method_A.pth` too.

The authors' files are of EfficientNet-PyTorch 0.6.3 (their environment.yml). timm's `tf_efficientnet_b4` is the same
network by the numbers, which plain `efficientnet_b4` is not: TensorFlow's BatchNorm epsilon of 1e-3, and its padding
`same`, which puts the odd pixel at the right and bottom. That release pads every convolution as for a side of 380; at
128 pixels, where each side that a stride halves is even, `same` comes to just that.
"""

import re
from pathlib import Path

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ..utils.errors import FakefaceError

MOST_BYTES = 2**30  # a B4 has 70 MB in float32
STAGES = (2, 4, 4, 6, 6, 8, 2)  # blocks of each of timm's stages; the other layout numbers all 32 in a row
TOP = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}
TOP |= {"_fc": "classifier", "classifier": "classifier"}  # the authors' class puts its own layer in place of `_fc`
SQUEEZE = {"_se_reduce": "se.conv_reduce", "_se_expand": "se.conv_expand"}
# Blocks of the first stage do not expand, so that what is their first layer is the second of the others.
FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2", **SQUEEZE}
OTHER = {"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2"}
OTHER |= {"_project_conv": "conv_pwl", "_bn2": "bn3", **SQUEEZE}
# A module that holds the network, such as `efficientnet` or `model`, may stand before its names.
NAME = re.compile(rf"(?:[a-z]\w*\.)*?(?:_blocks\.(\d+)\.(\w+)|({'|'.join(TOP)}))\.(\w+)")


class WeightsError(FakefaceError):
    """Weights cannot be used; the message names the file and the cure."""


def make_network() -> nn.Module:
    """An EfficientNet-B4 with two logits, real and generated, and a random start; takes (n, 3, 128, 128)."""
    network = timm.create_model("tf_efficientnet_b4", num_classes=2)
    # timm draws the last layer from ±1/√classes; with two of them first losses would be of 3 and more.
    nn.init.normal_(network.get_parameter("classifier.weight"), std=0.01)
    return network.to(memory_format=torch.channels_last)


def load_network(path: str | Path, *, classifier: bool = True) -> nn.Module:
    """A network with the weights of a file.

    Args:
        path: safetensors with timm's names, or a `.pth` of either layout, which is unpickled as tensors alone.
        classifier: false leaves the file's last layer, of whatever classes, aside and gives the network a random one.

    Raises:
        WeightsError: the file is missing, broken, or of another network.
    """
    network = make_network()
    state = _read(Path(path))
    if any("_blocks." in name for name in state):
        state = timm_names(state, str(path))
    if not classifier:
        fresh = network.state_dict()
        state = {k: v for k, v in state.items() if not k.startswith("classifier.")}
        state |= {k: v for k, v in fresh.items() if k.startswith("classifier.")}
    needed = {name: tensor.shape for name, tensor in network.state_dict().items()}
    # EfficientNet-PyTorch files of old releases of torch lack the counters, which evaluation does not use.
    state |= {name: torch.tensor(0) for name in needed.keys() - state.keys() if name.endswith("num_batches_tracked")}
    if wrong := sorted(name for name in needed.keys() | state.keys() if _shape(state, name) != needed.get(name)):
        listed = ", ".join(wrong[:3]) + (f" and {len(wrong) - 3} more" if len(wrong) > 3 else "")
        raise WeightsError(f"{path}: not an EfficientNet-B4 with two logits ({listed}); fetch the file again")
    if bad := [name for name, tensor in state.items() if not tensor.isfinite().all()]:
        raise WeightsError(f"{path}: {bad[0]} holds values that are not numbers; fetch the file again")
    network.load_state_dict(state)
    return network


def timm_names(state: dict[str, Tensor], file: str = "weights") -> dict[str, Tensor]:
    """Tensors of EfficientNet-PyTorch's B4 (lukemelas) under timm's names.

    Raises:
        WeightsError: a name is not of that layout.
    """
    places = [(stage, at) for stage, blocks in enumerate(STAGES) for at in range(blocks)]
    renamed = {}
    for name, tensor in state.items():
        match = NAME.fullmatch(name)
        block, layer, top, kind = match.groups() if match else (None, None, None, None)
        if top is not None:
            renamed[f"{TOP[top]}.{kind}"] = tensor
            continue
        stage, at = places[int(block)] if block is not None and int(block) < len(places) else (0, 0)
        theirs = FIRST if stage == 0 else OTHER
        if block is None or int(block) >= len(places) or layer not in theirs:
            raise WeightsError(f"{file}: no tensor of EfficientNet-B4 is called {name!r}; fetch the file again")
        renamed[f"blocks.{stage}.{at}.{theirs[layer]}.{kind}"] = tensor
    return renamed


def _read(path: Path) -> dict[str, Tensor]:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise WeightsError(f"{path}: more than {MOST_BYTES >> 30} GiB; that is not an EfficientNet-B4")
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except WeightsError:
        raise
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path}: cannot be read ({error}); fetch it again") from error
    except Exception as error:  # unpickling an untrusted file fails in many ways, each with its own type
        reason = str(error).strip().partition("\n")[0][:100]
        raise WeightsError(f"{path}: does not open as tensors alone ({reason}); fetch it again") from error
    if isinstance(content, dict):
        content = content.get("net", content)  # some of the authors' files hold the state of a whole run
    if not isinstance(content, dict) or not all(
        isinstance(k, str) and isinstance(v, Tensor) for k, v in content.items()
    ):
        raise WeightsError(f"{path}: holds no named tensors; fetch it again")
    return content


def _shape(state: dict[str, Tensor], name: str) -> torch.Size | None:
    return state[name].shape if name in state else None
