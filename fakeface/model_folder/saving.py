"""Write complete model folders, the ones `from_pretrained` and the Hub take."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from ..image_processing_fakeface import FakeFaceImageProcessor
from ..modeling_fakeface import FakeFaceForImageClassification
from ..utils.files import replace_folder


def save_model_folder(
    folder: str | Path,
    model: FakeFaceForImageClassification,
    processor: FakeFaceImageProcessor,
    *,
    half: bool = False,
) -> Path:
    """Write weights, config, processor and code files into a folder, replacing it once the new one is whole.

    Args:
        folder: to write; a reader sees the old folder, for an instant none, or the new one, never half of either.
        model: its config carries calibration and thresholds.
        processor: the one the model was trained with.
        half: store convolutions and fully connected layers in 16 bits. The config still says float32, so that
            whoever asks for no dtype gets a model that works on any device.

    Returns:
        The folder.
    """
    with replace_folder(Path(folder)) as fresh:
        model.save_pretrained(fresh)
        processor.save_pretrained(fresh)
        if half:
            _store_half(fresh, model)
    return Path(folder)


def _store_half(folder: Path, model: FakeFaceForImageClassification) -> None:
    weights = folder / "model.safetensors"
    keep = model._keep_in_fp32_modules_strict or ()  # names of what it keeps in float32 when it loads
    state = {
        name: tensor.contiguous() if any(part in name for part in keep) or not tensor.is_floating_point()
        else tensor.to(torch.float16).contiguous()
        for name, tensor in model.state_dict().items()
    }  # fmt: skip
    config_file = folder / "config.json"
    save_file(state, weights, metadata={"format": "pt"})
    weights.chmod(config_file.stat().st_mode)  # safetensors writes for the owner's eyes only
    config = json.loads(config_file.read_text())
    config["dtype"] = "float32"
    config_file.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
