"""Tiny models with random weights, always the same, and a picture for them."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from fakeface.configuration_fakeface import FakeFaceConfig
from fakeface.image_processing_fakeface import FakeFaceImageProcessor
from fakeface.modeling_fakeface import FakeFaceForImageClassification

SIZE = 32
WIDTHS: dict[str, dict[str, Any]] = {
    "logistic": {},
    "cnn": {"conv_widths": [4, 4], "fc_widths": [8]},
    "resnet50-cnn": {"trunk_stages": 1, "conv_widths": [8, 8, 8, 8], "fc_widths": [8, 4]},
    "vit-b16-cnn": {"trunk_blocks": [1], "trunk_bits": 8, "conv_widths": [8], "pooling": "average"},
}


def tiny_model(architecture: str = "cnn", **settings: Any) -> FakeFaceForImageClassification:
    torch.manual_seed(0)
    config = FakeFaceConfig(architecture=architecture, image_size=SIZE, **WIDTHS[architecture], **settings)
    model = FakeFaceForImageClassification(config).eval()
    with torch.no_grad():
        model.get_parameter("classifier.out.weight").mul_(
            30
        )  # or all scores would be close to one half, and equal by chance
    return model


def tiny_folder(folder: Path, architecture: str = "cnn", **settings: Any) -> Path:
    """Write a model folder; `settings` go into its config."""
    tiny_model(architecture, **settings).save_pretrained(folder)
    FakeFaceImageProcessor(size=SIZE).save_pretrained(folder)
    return folder


def picture(width: int = 96, height: int = 80, seed: int = 0) -> Image.Image:
    """Blurred noise, which like a photograph is much the same after JPEG."""
    noise = np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)
