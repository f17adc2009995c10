"""Small datasets of noise pictures, with leaks planted in them or none."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
from datasets import ClassLabel, Dataset, Features, Image, Value
from PIL import Image as PILImage
from PIL import ImageFilter

# What a picture is made by: a number drawn for its label.
Draw = Callable[[int, np.random.Generator], Any]


def noise(side: int, seed: int) -> PILImage.Image:
    """Blurred colour noise, which like a photograph has more of low frequencies."""
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), np.uint8)
    fine = np.random.default_rng(seed + 1_000_000).normal(0, 12, (side, side, 3))
    picture = PILImage.fromarray(coarse).resize((side, side), PILImage.Resampling.BICUBIC)
    return PILImage.fromarray(np.clip(np.asarray(picture) + fine, 0, 255).astype(np.uint8))


def planted(
    n: int,
    *,
    quality: Draw = lambda label, rng: rng.integers(60, 96),
    side: Draw = lambda label, rng: rng.integers(64, 97),
    blur: Draw = lambda label, rng: rng.uniform(0, 1),
    seed: int = 0,
) -> Dataset:
    """`n` pictures, labels in turn; by default whatever they are made by is drawn alike for both labels."""
    rows: list[dict[str, Any]] = []
    for i in range(n):
        rng = np.random.default_rng((seed, i))
        label = i % 2
        drawn = int(quality(label, rng)), int(side(label, rng)), float(blur(label, rng))
        picture = noise(drawn[1], int(rng.integers(1_000_000))).filter(ImageFilter.GaussianBlur(drawn[2]))
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=drawn[0])
        rows.append(
            {
                "image": {"bytes": buffer.getvalue(), "path": None},
                "label": label,
                "source": ("camera-a", "camera-b", "gan-a", "gan-b")[2 * label + i // 2 % 2],
                "generator": ("none", "stylegan2")[label],
            }
        )
    features = Features(
        image=Image(decode=False),
        label=ClassLabel(names=["real", "generated"]),
        source=Value("string"),
        generator=Value("string"),
    )
    return Dataset.from_list(rows, features=features)


def other_quality(label: int, rng: np.random.Generator) -> Any:
    return rng.integers(60, 76) if label == 0 else rng.integers(82, 96)


def other_side(label: int, rng: np.random.Generator) -> Any:
    return rng.integers(56, 76) if label == 0 else rng.integers(80, 100)
