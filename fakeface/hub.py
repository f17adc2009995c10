"""Write complete model folders, the ones `from_pretrained` and the Hub take."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import save_file

from .image_processing_fakeface import FakeFaceImageProcessor
from .modeling_fakeface import FakeFaceForImageClassification


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
    with replacing(folder) as fresh:
        model.save_pretrained(fresh)
        processor.save_pretrained(fresh)
        if half:
            _store_half(fresh, model)
    return Path(folder)


@contextmanager
def replacing(folder: str | Path) -> Iterator[Path]:
    """A folder to fill in the block, which takes the place of `folder` at its end, or is gone if the block raises."""
    folder = Path(folder)
    fresh = folder.with_name(f".{folder.name}.writing")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        yield fresh
    except BaseException:  # a full disk above all: give back what was taken
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    retired = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(retired, ignore_errors=True)
    if folder.exists():
        os.replace(folder, retired)
    os.replace(fresh, folder)
    shutil.rmtree(retired, ignore_errors=True)


def _store_half(folder: Path, model: FakeFaceForImageClassification) -> None:
    weights = folder / "model.safetensors"
    keep = model._keep_in_fp32_modules_strict or ()  # BatchNorm: the names the model keeps in float32 when it loads
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
