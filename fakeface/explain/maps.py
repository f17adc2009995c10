"""Class activation maps: which parts of a picture spoke for a label.

    >>> from fakeface import Detector
    >>> Detector.from_pretrained().explain("portrait.jpg").overlay().save("why.png")    # doctest: +SKIP

Every method gets the same `Look`: one pass of the trunk without a graph, then one of the head from a feature map that
is a leaf of its own. No hook is registered and no gradient reaches a parameter, so threads may share a model.

A map tells where the evidence lay, not how much there was: each is scaled by its own maximum. The score says how much.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ..configuration_fakeface import LABELS
from ..faces import Square
from ..modeling_fakeface import FakeFaceForImageClassification
from ..utils.errors import OptionError
from .layers import features_at, layer_used, logits_from
from .methods import METHODS, STRATEGIES, Look, hires_cam

if TYPE_CHECKING:
    from ..results import Result

# Evidence this far below the strongest of either sign is what rounding leaves of a sum that cancels.
NOISE = 1e-6
EXACT = "exact-cam"
DEFAULT = "centred-cam"  # chosen by measurement: docs/maps.md
# Dark to light, evenly spaced anchors: lightness rises steadily, so they survive grey printing and colour blindness,
# and no step looks like skin, as those of inferno do. For `generated` violet over green to yellow, in the manner of
# viridis; for `real` blues: what speaks for one label shall not be taken for what speaks for the other.
ANCHORS = {
    "generated": ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37)),
    "real": ((8, 20, 70), (15, 55, 140), (35, 105, 215), (90, 175, 250), (205, 235, 255)),
}


@dataclass(frozen=True, eq=False)
class Explanation:
    """Where in a picture the evidence for a label lay.

    Attributes:
        result: what the detector said of the picture.
        picture: the picture, upright RGB.
        label: `"real"` or `"generated"`, the label that the map argues for.
        method: one of `METHODS`, or `"exact-cam"`.
        layer: the layer that is explained, one of `explain.layer_names(model)`.
        map: float32 array (height, width) of the whole picture, 0 to 1; zero outside the square that the model saw.
        crop: that square as the model saw it, upright, at the model's size.
        crop_map: float32 array (size, size), the map of the crop, 0 to 1.
        face: place of the explained face in `result.faces`, from 0; `None` where the centre was judged.
    """

    result: Result
    picture: Image.Image
    label: str
    method: str
    layer: str
    map: np.ndarray
    crop: Image.Image
    crop_map: np.ndarray
    face: int | None = None

    def overlay(self, opacity: float = 0.5) -> Image.Image:
        """The map in colours over the whole picture; see `overlay`."""
        return overlay(self.picture, self.map, opacity, self.label)

    def on_crop(self, opacity: float = 0.5) -> Image.Image:
        """The map in colours over the square that the model saw; see `overlay`."""
        return overlay(self.crop, self.crop_map, opacity, self.label)


def method_used(model: FakeFaceForImageClassification, method: str | None = None) -> str:
    """The method that `cam` uses: the asked one, else the default.

    For `logistic` that is always `"exact-cam"`: it needs no approximation.

    Raises:
        OptionError: there is no such method.
    """
    method = DEFAULT if method is None else method
    if model.config.architecture == "logistic" and method in (*METHODS, EXACT):
        return EXACT
    if method not in METHODS:
        only = f" ({EXACT} is for logistic only)" if method == EXACT else ""
        raise OptionError(f"unknown method {method!r}: choose one of {', '.join(METHODS)}{only}")
    return method


def cam(
    model: FakeFaceForImageClassification,
    pixel_values: Tensor,
    *,
    label: str = "generated",
    method: str | None = None,
    layer: str | None = None,
) -> tuple[Tensor, Tensor]:
    """Score pictures and map the evidence for a label.

    Args:
        model: any fakeface model; it is left as it was.
        pixel_values: float tensor (batch, 3, size, size) from the model's image processor, on the model's device.
        label: `"real"` or `"generated"`.
        method: one of `METHODS`, by default `"centred-cam"`. For `logistic` every one gives the exact map,
            `"exact-cam"`.
        layer: one of `explain.layer_names(model)`; by default the one that `evidence` says.

    Returns:
        Scores (batch,) and maps (batch, size, size), both float32 from 0 to 1. Each map shows the evidence for
        the label, divided by its maximum. One without any is zero everywhere: noise is not stretched to fill the range.

    Raises:
        OptionError: unknown label, method or layer.
        ValueError: pixels of another shape.
    """
    scores, found = evidence(model, pixel_values, label=label, method=method, layer=layer)
    return scores, maps_of(found, model.config.image_size)


def maps_of(found: Tensor, size: int) -> Tensor:
    """Maps (batch, size, size) of what `evidence` found, as `cam` returns them."""
    for_label = found.clamp(min=0)[:, None]
    maps = nn.functional.interpolate(for_label, (size, size), mode="bilinear", align_corners=False)[:, 0]
    peak = maps.amax((1, 2), keepdim=True)
    noise = NOISE * found.abs().amax((1, 2), keepdim=True)
    return torch.where(peak > noise, maps / peak, 0.0)


def evidence(
    model: FakeFaceForImageClassification,
    pixel_values: Tensor,
    *,
    label: str = "generated",
    method: str | None = None,
    layer: str | None = None,
) -> tuple[Tensor, Tensor]:
    """Score pictures and weigh each place of the explained feature map; what `cam` makes its maps from.

    Unless `layer` names another, that feature map is the trunk's last where there is a trunk, the largest before the
    head (10 x 10 at 160 px); the last convolution's for `cnn`; the pixels for `logistic`, where weight times pixel,
    summed over the colours, is the exact contribution of a place, and the contributions add up to the target less
    its bias.

    Returns:
        Scores (batch,) and evidence (batch, height, width) of the feature map, both float32. Evidence is signed: above
        zero for the label, below zero against it.

    Raises:
        ValueError: as `cam` does.
    """
    logits, found = weigh(model, pixel_values, label=label, method=method, layer=layer)
    return logits.softmax(1)[:, 1], found


def weigh(
    model: FakeFaceForImageClassification,
    pixel_values: Tensor,
    *,
    label: str = "generated",
    method: str | None = None,
    layer: str | None = None,
) -> tuple[Tensor, Tensor]:
    """As `evidence`, with the model's calibrated logits (batch, 2) in place of the scores."""
    seen = Seen(model, pixel_values, layer)
    return seen.logits, seen.evidence(label, method)


class Seen:
    """What a model made of pictures, whose evidence can still be asked for, for either label: one pass of the trunk.

    Attributes:
        logits: calibrated, (batch, 2).
        distance: how far the pictures are from those of the training, (batch,); `None` where the model does not tell,
            or `layer` is not its trunk.
    """

    def __init__(self, model: FakeFaceForImageClassification, pixel_values: Tensor, layer: str | None = None):
        """Raises OptionError for an unknown layer, and ValueError for pixels of another shape."""
        self._model, self._layer = model, layer_used(model, layer)
        size = model.config.image_size
        if tuple(pixel_values.shape[1:]) != (3, size, size):
            raise ValueError(
                f"pixel_values is {tuple(pixel_values.shape)}: this model takes (batch, 3, {size}, {size})"
            )
        with torch.inference_mode(False), _evaluating(model):
            with torch.no_grad():
                self._features = features_at(model, self._layer, pixel_values)
                self.distance = model.fakeface.distance(self._features) if self._layer == "trunk" else None
            with torch.enable_grad():
                self._features.requires_grad_()
                self._logits = logits_from(model, self._layer, self._features)
        self.logits = self._logits.detach()

    def evidence(self, label: str = "generated", method: str | None = None) -> Tensor:
        """Evidence of the feature map, as `explain.evidence` returns it; to be asked for once.

        Raises:
            OptionError: unknown label or method.
        """
        if label not in LABELS:
            raise OptionError(f"unknown label {label!r}: choose one of {', '.join(LABELS)}")
        method = method_used(self._model, method)
        # Gradient times feature is weight times pixel where all of the model is one linear layer.
        strategy = hires_cam if method == EXACT else STRATEGIES[method]
        # Softmax knows only the difference of the two logits. A map of a single logit would also show what
        # raises both, and the maps of the two labels would not be opposed.
        sign = 1 if label == "generated" else -1

        def margin(logits: Tensor) -> Tensor:
            return sign * (logits[:, 1] - logits[:, 0])

        def target_of(other: Tensor) -> Tensor:
            return margin(logits_from(self._model, self._layer, other))

        with torch.inference_mode(False), _evaluating(self._model), torch.enable_grad():
            return strategy(Look(self._features, margin(self._logits), target_of)).detach().float()


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode inside, each module's own mode again afterwards."""
    training = [module for module in model.modules() if module.training]
    if training:  # to set the mode of each module anew would take a hundredth of a prediction
        model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def place(
    map: Tensor | np.ndarray, picture_size: tuple[int, int], box: tuple[float, float, float, float]
) -> np.ndarray:
    """Put a map of the square that the model saw onto the whole picture.

    Args:
        map: (size, size), from 0 to 1.
        picture_size: width and height of the upright picture in pixels, as PIL's `size`.
        box: the square as (left, top, right, bottom) in pixels of the picture, which may reach beyond it.

    Returns:
        float32 array (height, width), zero outside the square.
    """
    array = np.asarray(map.cpu() if isinstance(map, Tensor) else map, dtype=np.float32)
    width, height = picture_size
    left, top, right, bottom = (round(edge) for edge in box)  # half a pixel is far below what a map resolves
    inside = (max(left, 0), max(top, 0), min(right, width), min(bottom, height))
    across, down = array.shape[1] / (right - left), array.shape[0] / (bottom - top)
    part = (
        (inside[0] - left) * across, (inside[1] - top) * down, (inside[2] - left) * across, (inside[3] - top) * down
    )  # fmt: skip
    size = (inside[2] - inside[0], inside[3] - inside[1])
    square = Image.fromarray(array).resize(size, Image.Resampling.BILINEAR, box=part)
    whole = np.zeros((height, width), np.float32)
    whole[inside[1] : inside[3], inside[0] : inside[2]] = np.asarray(square)
    return whole


def place_square(map: Tensor | np.ndarray, picture_size: tuple[int, int], square: Square) -> np.ndarray:
    """Put a map of a turned square that the model saw onto the whole picture.

    Args:
        map: (size, size), from 0 to 1.
        picture_size: width and height of the upright picture in pixels, as PIL's `size`.
        square: where it stands in the picture.

    Returns:
        float32 array (height, width), zero outside the square.
    """
    import cv2

    array = np.asarray(map.cpu() if isinstance(map, Tensor) else map, dtype=np.float32)
    matrix = square.matrix(len(array))
    whole = cv2.warpAffine(array, matrix, picture_size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    inside = cv2.warpAffine(np.ones_like(array), matrix, picture_size, flags=cv2.INTER_NEAREST)
    return whole * inside


def overlay(picture: Image.Image, map: np.ndarray, opacity: float = 0.5, label: str = "generated") -> Image.Image:
    """Lay a map in colours over a picture.

    Args:
        picture: RGB.
        map: (height, width) of the picture, from 0 to 1.
        opacity: of the colour where the map is 1; elsewhere in proportion, so that the rest of the picture stays
            readable. From 0 to 1.
        label: what the map argues for, `"real"` or `"generated"`; each has colours of its own.

    Returns:
        A new RGB picture of the same size.
    """
    levels = levels_of(map)
    return Image.composite(coloured(levels, label), picture, levels.point([round(opacity * i) for i in range(256)]))


def levels_of(map: np.ndarray) -> Image.Image:
    """A map (height, width), from 0 to 1, as a grey picture of 256 levels."""
    return Image.fromarray(np.rint(np.clip(map, 0, 1) * 255).astype(np.uint8))


def coloured(levels: Image.Image, label: str = "generated") -> Image.Image:
    """What `levels_of` gives, in the colours of `colour_table`, RGB."""
    colours = levels.copy()
    colours.putpalette(colour_table(label).tobytes())
    return colours.convert("RGB")


def colour_table(label: str = "generated") -> np.ndarray:
    """RGB of the values 0 to 1 of a map for a label in 256 steps: uint8 (256, 3), from dark to light."""
    anchors = np.array(ANCHORS[label])
    at = np.linspace(0, len(anchors) - 1, 256)
    channels = [np.interp(at, range(len(anchors)), anchors[:, channel]) for channel in range(3)]
    return np.rint(np.stack(channels, axis=1)).astype(np.uint8)


__all__ = [
    "METHODS",
    "Explanation",
    "Look",
    "Seen",
    "cam",
    "colour_table",
    "coloured",
    "evidence",
    "levels_of",
    "maps_of",
    "method_used",
    "overlay",
    "place",
    "place_square",
    "weigh",
]
