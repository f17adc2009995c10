"""What a trained model makes of a change that happens to one label only.

A model that looks at faces is moved little by one more save or by half the size, and loses as much when both labels
go through it as when one does: traces of a generator get weaker. One that has learned a shortcut changes its mind when
only the photographs, or only the generated pictures, are blurred, re-encoded or moved: its AUC moves, and comes back
when both are.
"""

import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from datasets import Dataset
from PIL import Image, ImageEnhance, ImageFilter

from ...delivery.augment import Augmentation, change_pose
from ...delivery.channels import reencode
from ...detector.runtime import scores_of
from ...images.load import load_picture
from ...metrics.detection import bootstrap_interval, rank_auc

if TYPE_CHECKING:
    from ...detector.detector import Detector

Rows = Dataset | Sequence[dict[str, Any]]

MOVED = Augmentation(flip=0, rotate=0.5, rotation=12, zoom=(1, 1), shift=0.1)


def half_size(picture: Image.Image) -> Image.Image:
    size = (max(16, picture.width // 2), max(16, picture.height // 2))
    return picture.resize(size, Image.Resampling.BICUBIC)


def blurred(picture: Image.Image) -> Image.Image:
    """A blur that looks alike at any size: sigma 1.5 pixels at 280."""
    return picture.filter(ImageFilter.GaussianBlur(1.5 * min(picture.size) / 280))


def moved(picture: Image.Image) -> Image.Image:
    """Up to a tenth of the side away, and half of the pictures turned by up to 12 degrees, as their pixels draw it.

    Faces of one generator often stand at one place, and that alone may tell them from photographs: docs/checkpoint.md.
    """
    return change_pose(picture, np.random.default_rng(zlib.crc32(picture.tobytes())), MOVED)


TRANSFORMS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG, quality 50": lambda picture: reencode(picture, "JPEG", 50),
    "WebP, quality 60": lambda picture: reencode(picture, "WEBP", 60),
    "half size": half_size,
    "blur": blurred,
    "sharpen": lambda picture: picture.filter(ImageFilter.UnsharpMask(1.0, 100, 0)),
    "grey": lambda picture: picture.convert("L").convert("RGB"),
    "darker": lambda picture: ImageEnhance.Brightness(picture).enhance(0.75),
    "moved": moved,
    "mirrored": lambda picture: picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
}


def one_sided(detector: "Detector", rows: Rows, labels: np.ndarray) -> list[dict[str, Any]]:
    """Scores when a transform changes the real pictures only, and the generated ones only.

    Args:
        detector: the model under test.
        rows: of a dataset, with readable pictures in `image`.
        labels: (n,), 0 and 1 both among them.

    Returns:
        For each transform: `auc` without it, `auc_real_changed`, `auc_generated_changed`, `auc_both_changed`, their
        `interval`s, and
        `shift_real`, `shift_generated`: by how much it moves the mean score of either label.
    """
    scores = scores_of(detector.model, _versions(detector, rows)).reshape(-1, 1 + len(TRANSFORMS))
    plain = scores[:, 0]
    found = []
    for column, name in enumerate(TRANSFORMS, start=1):
        changed = scores[:, column]
        row: dict[str, Any] = {"transform": name, **_auc("auc", labels, plain)}
        for label, word in enumerate(("real", "generated")):
            own = labels == label
            row[f"shift_{word}"] = float((changed[own] - plain[own]).mean())
            row.update(_auc(f"auc_{word}_changed", labels, np.where(own, changed, plain)))
        found.append({**row, **_auc("auc_both_changed", labels, changed)})
    return found


def _auc(name: str, labels: np.ndarray, scores: np.ndarray) -> dict[str, Any]:
    return {name: rank_auc(labels, scores), f"{name}_interval": bootstrap_interval(labels, scores, "auc")}


def _versions(detector: "Detector", rows: Rows) -> Iterator[np.ndarray]:
    """Inputs of each row in turn: the picture as it is, and after each transform."""
    for i in range(len(rows)):
        picture = load_picture(rows[i]["image"])
        yield detector.processor.to_array(picture)
        for transform in TRANSFORMS.values():
            yield detector.processor.to_array(transform(picture))
