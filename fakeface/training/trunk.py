"""Put ImageNet weights into a model's trunk, from a local file or timm's on the Hub, and say what was loaded."""

from dataclasses import dataclass
from pathlib import Path

import timm
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ..modeling_fakeface import TRUNKS, FakeFaceForImageClassification, FakeFaceModel, TransformerTrunk
from ..utils.errors import FakefaceError

HUB = "hub"
# timm's names of the pretrained weights: ImageNet's, and those of OpenAI's CLIP.
PRETRAINED = {"resnet50-cnn": "resnet50", "vit-b16-cnn": "vit_base_patch16_clip_quickgelu_224.openai"}
EXAMPLES = {"resnet50-cnn": "layer1.0.conv1.weight", "vit-b16-cnn": "blocks.0.attn.qkv.weight"}


class TrunkError(FakefaceError):
    """The trunk weights cannot be used; the message names the file and the cure."""


@dataclass(frozen=True)
class TrunkReport:
    """What `load_trunk` did; names are timm's.

    Attributes:
        source: the file, or the Hub name.
        loaded: tensors that were put into the trunk.
        missing: tensors of the trunk that the file lacks; they keep their random start.
        unused: tensors of the file that the trunk has no place for.
    """

    source: str
    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unused: tuple[str, ...]

    def __str__(self) -> str:
        def names(tensors: tuple[str, ...]) -> str:
            parts = sorted({name.split(".")[0] for name in tensors})
            return f" ({', '.join(parts)})" if parts else ""

        return (
            f"trunk weights from {self.source}: {len(self.loaded)} tensors loaded{names(self.loaded)}, "
            f"{len(self.missing)} missing{names(self.missing)}, {len(self.unused)} unused{names(self.unused)}"
        )


def load_trunk(model: FakeFaceModel | FakeFaceForImageClassification, weights: str | Path = HUB) -> TrunkReport:
    """Load trunk weights in place.

    Args:
        model: a `resnet50-cnn`, or a `vit-b16-cnn` whose `trunk_bits` are 32.
        weights: a safetensors file with timm's tensor names, of any floating type, which may hold only some stages;
            or `"hub"`: timm's ResNet-50, or CLIP's ViT-B/16.

    Raises:
        TrunkError: the model has no trunk; the file is missing, broken or fits nowhere; the Hub is out of reach.
    """
    base = model.fakeface if isinstance(model, FakeFaceForImageClassification) else model
    architecture = base.config.architecture
    if architecture not in TRUNKS:
        raise TrunkError(f"a {architecture} model has no trunk; trunk weights are for {' and '.join(TRUNKS)}")
    name = PRETRAINED[architecture]
    found = _from_hub(name) if str(weights) == HUB else _from_file(Path(weights))
    trunk = base.trunk.vit if isinstance(base.trunk, TransformerTrunk) else base.trunk
    own = trunk.state_dict()
    # Counters do not matter in use, and converted files often lack them.
    wanted = {name for name in own if not name.endswith("num_batches_tracked")}
    loaded = wanted & found.keys()
    wrong = sorted(name for name in loaded if found[name].shape != own[name].shape)
    if wrong:
        first = wrong[0]
        raise TrunkError(
            f"{weights}: {first} is {tuple(found[first].shape)}, the trunk's is {tuple(own[first].shape)} "
            f"({len(wrong)} such tensors); it takes {TRUNKS[architecture]} weights"
        )
    if not loaded:
        example = EXAMPLES[architecture]
        raise TrunkError(
            f"{weights}: holds no tensor of {TRUNKS[architecture]}; names must be timm's, such as {example}"
        )
    trunk.load_state_dict({name: found[name].to(own[name].dtype) for name in loaded}, strict=False)
    unused = {name for name in found.keys() - wanted if not name.endswith("num_batches_tracked")}
    return TrunkReport(
        str(weights) if str(weights) != HUB else f"timm/{name}",
        tuple(sorted(loaded)),
        tuple(sorted(wanted - loaded)),
        tuple(sorted(unused)),
    )


def _from_file(path: Path) -> dict[str, Tensor]:
    if path.suffix != ".safetensors":
        raise TrunkError(f"{path}: trunk weights must be a .safetensors file, since other formats can run code")
    try:
        return load_file(path)
    except FileNotFoundError as error:
        raise TrunkError(f"{path}: no such file; name one, or use 'hub'") from error
    except (SafetensorError, OSError) as error:
        raise TrunkError(f"{path}: not a readable safetensors file ({error})") from error


def _from_hub(name: str) -> dict[str, Tensor]:
    try:
        return timm.create_model(name, pretrained=True).state_dict()
    except Exception as error:  # offline, gated, rate limits: the client's types are many
        raise TrunkError(
            f"timm's {name} weights cannot be fetched from the Hub ({error}); give a file by --trunk-weights"
        ) from error
