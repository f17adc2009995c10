"""How far to trust a class activation map: does it find what was planted, do scores follow it, does it hold still.

`benchmarks/explain.py` measures the methods and layers with these on the shipped model.
"""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from scipy.stats import rankdata
from torch import Tensor, nn

from ..modeling_fakeface import FakeFaceForImageClassification

FEATHER = 0.15  # of the patch's side: how wide its edge fades in
STEPS = 8  # of the curves of deletion and insertion
BLUR = 0.08  # of the picture's side: standard deviation of the baseline, which leaves hue but no structure


def plant(
    face: Image.Image, donor: Image.Image, patch: float, at: tuple[float, float]
) -> tuple[Image.Image, tuple[float, float, float, float]]:
    """Paste a square of one face into another at the same place, its edge faded, its mean colour made to fit.

    Args:
        face, donor: RGB squares of the same side.
        patch: side of the pasted square over that of the face, in (0, 1).
        at: where it goes, across and down, each from 0 (left, upper edge) to 1 (right, lower edge).

    Returns:
        The picture, and the pasted square as (left, top, right, bottom), each over the side: from 0 to 1. Half of the
        donor shows on its edge.

    Raises:
        ValueError: the pictures are not squares of one size.
    """
    if face.size != donor.size or face.width != face.height:
        raise ValueError(f"face is {face.size}, donor {donor.size}: they must be squares of one size")
    side = face.width
    below, above = (np.asarray(picture, np.float32) for picture in (face, donor))
    left, top, length = at[0] * (1 - patch) * side, at[1] * (1 - patch) * side, patch * side
    centres = np.arange(side) + 0.5
    across, down = (np.minimum(centres - start, start + length - centres) for start in (left, top))
    inside = np.minimum(across[None], down[:, None]) / (FEATHER * length)  # distance from the edge, in widths of it
    weight = np.clip(inside + 0.5, 0, 1)
    weight = (weight**2 * (3 - 2 * weight))[..., None]  # smooth at both ends
    shift = ((below - above) * weight).sum((0, 1)) / weight.sum()
    mixed = below + (above + shift - below) * weight
    box = (left / side, top / side, (left + length) / side, (top + length) / side)
    return Image.fromarray(np.rint(mixed.clip(0, 255)).astype(np.uint8)), box


def pointing(map: np.ndarray, box: tuple[float, float, float, float]) -> tuple[bool, float]:
    """Whether a map's maximum lies in a square, and how much of the map's sum does.

    Args:
        map: (side, side), from 0.
        box: left, top, right, bottom, each over the side.

    Returns:
        Hit or not (Zhang et al., IJCV 2018), and the share, 0 to 1 (Wang et al., CVPR Workshops 2020). An empty map
        points nowhere: no hit, and 0.
    """
    centres = (np.arange(len(map)) + 0.5) / len(map)
    left, top, right, bottom = box
    inside = ((centres >= top) & (centres <= bottom))[:, None] & ((centres >= left) & (centres <= right))[None]
    total = float(map.sum())
    if total <= 0:
        return False, 0.0
    return bool(inside.ravel()[map.argmax()]), float(map[inside].sum()) / total


def deletion_and_insertion(
    model: FakeFaceForImageClassification, pixel_values: Tensor, maps: Tensor, steps: int = STEPS
) -> tuple[np.ndarray, np.ndarray]:
    """How the score falls as what a map shows is blurred, and rises as it is sharpened (Petsiuk et al., BMVC 2018).

    Args:
        model: in evaluation mode.
        pixel_values: (batch, 3, size, size), on the model's device.
        maps: (batch, size, size); the highest places go first, equal ones in the order of rows.
        steps: equal shares of the places to go through.

    Returns:
        Areas under the curves of the score of `generated`, (batch,) each, from 0 to 1: a faithful map of what spoke
        for `generated` has a low deletion and a high insertion. The baseline is the picture blurred.
    """
    blurred = blur(pixel_values, BLUR * pixel_values.shape[-1])
    order = maps.flatten(1).argsort(dim=1, descending=True, stable=True)
    places = torch.empty_like(order).scatter_(
        1, order, torch.arange(order.shape[1], device=order.device).expand_as(order)
    )
    rank = places.view_as(maps)[:, None]  # 0 for the place that goes first
    deleted, inserted = [], []
    with torch.inference_mode():
        for step in range(steps + 1):
            gone = rank < order.shape[1] * step / steps
            deleted.append(_scores(model, torch.where(gone, blurred, pixel_values)))
            inserted.append(_scores(model, torch.where(gone, pixel_values, blurred)))
    return _area(deleted), _area(inserted)


def _area(curve: list[np.ndarray]) -> np.ndarray:
    """Under curves from 0 to 1, given as their values (batch,) at equal steps: (batch,)."""
    return np.trapezoid(np.stack(curve), dx=1 / (len(curve) - 1), axis=0)


def agreement(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's rank correlation of two maps of the same shape, -1 to 1; 0 where one of them is flat."""
    ranks = [rankdata(map.ravel()) for map in (first, second)]
    if any(rank.std() == 0 for rank in ranks):
        return 0.0
    return float(np.corrcoef(*ranks)[0, 1])


def blur(pictures: Tensor, deviation: float) -> Tensor:
    """Gaussian blur of (batch, channels, height, width); the edge repeats itself beyond the picture."""
    reach = min(int(3 * deviation + 1), *(side - 1 for side in pictures.shape[-2:]))
    at = torch.arange(-reach, reach + 1, dtype=pictures.dtype, device=pictures.device)
    kernel = torch.exp(-(at**2) / (2 * deviation**2))
    kernel = (kernel / kernel.sum()).expand(pictures.shape[1], 1, 1, -1)
    for _ in range(2):  # along rows, then, turned, along columns
        padded = nn.functional.pad(pictures, (reach, reach, 0, 0), mode="replicate")
        pictures = nn.functional.conv2d(padded, kernel, groups=pictures.shape[1]).transpose(2, 3)
    return pictures


def _scores(model: FakeFaceForImageClassification, pixel_values: Tensor) -> np.ndarray:
    return model(pixel_values).logits.softmax(1)[:, 1].cpu().numpy()


__all__ = ["agreement", "blur", "deletion_and_insertion", "plant", "pointing"]
