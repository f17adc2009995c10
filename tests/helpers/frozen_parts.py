"""Small transformers, pictures and features for trainings of a head on a trunk that does not learn."""

import io
from typing import Any

import numpy as np
import torch
from datasets import ClassLabel, Dataset, Features, Sequence, Value
from datasets import Image as Picture
from PIL import Image, ImageFilter

from fakeface.configuration_fakeface import FakeFaceConfig
from fakeface.modeling_fakeface import FakeFaceForImageClassification
from fakeface.recipe import Recipe
from fakeface.training.frozen import HEADS

LANDMARKS = [24.0, 26.0, 40.0, 26.0, 32.0, 34.0, 26.0, 42.0, 38.0, 42.0]


def transformer(blocks: list[int] | None = None) -> Any:
    torch.manual_seed(0)
    config = FakeFaceConfig(
        architecture="vit-b16-cnn",
        image_size=32,
        trunk_blocks=blocks or [1],
        conv_widths=[4 * HEADS],
        pooling="average",
    )
    return FakeFaceForImageClassification(config)


def recipe(**changes: Any) -> Recipe:
    small = {"architecture": "vit-b16-cnn", "frozen_views": 2, "batch_size": 2, "workers": 0, "head_batch": 32}
    return Recipe(**{**small, **changes})


def rows(n: int) -> Dataset:
    """Blurred noise, the generated half with a grid; every row knows its face."""
    rng, found = np.random.default_rng(0), []
    for number in range(n):
        noise = Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8))
        pixels = np.asarray(noise.filter(ImageFilter.GaussianBlur(4))).copy()
        if label := number % 2:
            pixels[::4] = 255
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        found.append(
            {
                "image": {"bytes": buffer.getvalue(), "path": None},
                "label": label,
                "source": f"source-{number % 4}",
                "generator": ("none", "stylegan2")[label],
                "face_box": [16.0, 12.0, 32.0, 40.0],
                "face_landmarks": LANDMARKS,
            }
        )
    features = Features(
        image=Picture(decode=False),
        label=ClassLabel(names=["real", "generated"]),
        source=Value("string"),
        generator=Value("string"),
        face_box=Sequence(Value("float32")),
        face_landmarks=Sequence(Value("float32")),
    )
    return Dataset.from_list(found, features=features)


def training_part(n: int) -> Dataset:
    dataset = rows(n)
    return dataset.add_column("sha256", [f"{number:064x}" for number in range(n)])  # pyright: ignore[reportCallIssue]


def separable(n: int, seed: int, channels: int = 2 * 768) -> tuple[np.ndarray, np.ndarray]:
    """Features (2, n, channels) whose first channels tell the labels apart, on scales a hundredfold apart."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    features = rng.normal(size=(2, n, channels))
    features[:, :, :40] += 1.5 * (2 * labels[:, None] - 1)
    return (features * np.geomspace(0.1, 10, channels) + 5).astype(np.float16), labels
