"""What a model responds to: pictures that maximise a class, a layer or a channel; its first filters; its feature maps.

    >>> from fakeface import Detector
    >>> from fakeface.visualise import maximise
    >>> detector = Detector.from_pretrained(faces=False)                                        # doctest: +SKIP
    >>> maximise(detector.model, detector.processor, label="generated").save("generated.png")   # doctest: +SKIP

A maximised picture shows what raises a number without bound, not what pictures of that label look like.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ..configuration_fakeface import LABELS
from ..explain.layers import features_at, layer_used
from ..image_processing_fakeface import FakeFaceImageProcessor
from ..modeling_fakeface import FakeFaceForImageClassification
from ..utils.errors import OptionError

STEPS = 192
RATE = 0.05  # of Adam, as in Olah et al.
# How far each step turns, zooms and shifts what the model sees, in degrees, in shares, in shares of the side. What
# only works at one exact place, as adversarial noise does, does not survive it.
TURN, ZOOM, SHIFT = 8.0, 0.1, 0.06
# Square root of the covariance of ImageNet's colours, scaled to a largest column norm of 1 (lucid, Apache 2.0): steps
# along its columns change brightness most, as natural pictures do.
COLOURS = ((0.56, 0.19, 0.04), (0.58, 0.00, -0.11), (0.58, -0.19, 0.06))


def maximise(
    model: FakeFaceForImageClassification,
    processor: FakeFaceImageProcessor,
    *,
    label: str | None = None,
    layer: str | None = None,
    channel: int | None = None,
    steps: int = STEPS,
    seed: int = 0,
) -> Image.Image:
    """A picture that maximises a label, a channel of a layer, or a whole layer (Olah et al., Distill, 2017).

    The picture is optimised as a spectrum, every frequency weighing alike, with decorrelated colours, and each step
    sees it turned, zoomed and shifted a little.

    Args:
        model: in evaluation mode.
        processor: of the model, for its normalisation.
        label: maximise the calibrated margin of this label over the other; then without `layer` and `channel`.
        layer: one of `explain.layer_names(model)`, by default the one that maps explain.
        channel: of the layer, whose mean is maximised; without it the mean square of the whole layer.
        steps: of gradient ascent.
        seed: of the start and of the turns. The same seed gives the same picture.

    Returns:
        RGB, of the model's size.

    Raises:
        OptionError: there is no such label, layer or channel, or label and layer are both given.
    """
    if label is not None and (layer is not None or channel is not None):
        raise OptionError("maximise takes a label, or a layer and a channel, not both")
    if label is not None and label not in LABELS:
        raise OptionError(f"unknown label {label!r}: choose one of {', '.join(LABELS)}")
    size, device = int(model.config.image_size), model.device
    named = layer_used(model, layer)

    def objective(pixel_values: Tensor) -> Tensor:
        if label is not None:
            logits = model(pixel_values).logits
            return (logits[:, 1] - logits[:, 0]).sum() * (1 if label == "generated" else -1)
        features = features_at(model, named, pixel_values).float()
        if channel is None:
            return features.square().mean()
        if not 0 <= channel < features.shape[1]:
            raise OptionError(f"channel is {channel}: {named} has {features.shape[1]}, counted from 0")
        return features[:, channel].mean()

    rng = torch.Generator().manual_seed(seed)
    mean, std = (torch.tensor(numbers, device=device)[:, None, None] for numbers in _normalisation(processor))
    with torch.inference_mode(False), torch.enable_grad():
        spectrum = (0.01 * torch.randn(3, size, size // 2 + 1, 2, generator=rng)).to(device).requires_grad_()
        ascent = torch.optim.Adam([spectrum], lr=RATE)
        for _ in range(steps):
            seen = turned((_painted(spectrum, size)[None] - mean) / std, rng)
            (spectrum.grad,) = torch.autograd.grad(-objective(seen), [spectrum])
            ascent.step()
        painted = _painted(spectrum.detach(), size)
    return Image.fromarray(np.rint(painted.permute(1, 2, 0).cpu().numpy() * 255).astype(np.uint8))


def turned(pixel_values: Tensor, rng: torch.Generator) -> Tensor:
    """Pictures (batch, 3, size, size), turned, zoomed and shifted at random, all alike; beyond the edge, mirrored."""
    angle, zoom, right, down = (2 * torch.rand(4, generator=rng) - 1).tolist()
    angle, scale = math.radians(TURN * angle), 1 + ZOOM * zoom
    cosine, sine = math.cos(angle) / scale, math.sin(angle) / scale
    way = torch.tensor([[cosine, -sine, 2 * SHIFT * right], [sine, cosine, 2 * SHIFT * down]])
    way = way.to(pixel_values).expand(len(pixel_values), 2, 3)
    grid = nn.functional.affine_grid(way, list(pixel_values.shape), align_corners=False)
    return nn.functional.grid_sample(pixel_values, grid, padding_mode="reflection", align_corners=False)


def _painted(spectrum: Tensor, size: int) -> Tensor:
    """RGB (3, size, size), 0 to 1, of a spectrum (3, size, size // 2 + 1, 2) that is flat for natural pictures."""
    frequency = torch.hypot(torch.fft.fftfreq(size)[:, None], torch.fft.rfftfreq(size)[None]).to(spectrum.device)
    weights = size / frequency.clamp(min=1 / size)
    channels = torch.fft.irfft2(torch.view_as_complex(spectrum) * weights, s=(size, size)) / 4
    mixed = torch.einsum("rc,chw->rhw", torch.tensor(COLOURS, device=spectrum.device), channels)
    return mixed.sigmoid()


def first_filters(model: FakeFaceForImageClassification) -> np.ndarray:
    """The kernels that look at the pixels, each scaled by its own largest weight: float (n, height, width, 3), 0 to 1.

    Grey is zero. `logistic` has one, its weight for `generated` less that for `real`.
    """
    if model.config.architecture == "logistic":
        size = model.config.image_size
        weight = model.get_parameter("classifier.out.weight").detach().float()
        kernels = (weight[1] - weight[0]).reshape(1, 3, size, size)
    else:
        first = next(module for module in model.modules() if isinstance(module, nn.Conv2d))
        kernels = first.weight.detach().float()
    largest = kernels.abs().amax((1, 2, 3), keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)
    return (kernels / largest / 2 + 0.5).permute(0, 2, 3, 1).cpu().numpy()


def feature_maps(
    model: FakeFaceForImageClassification, pixel_values: Tensor, layer: str | None = None, count: int = 16
) -> list[tuple[int, np.ndarray]]:
    """The channels of a layer that a picture excites most: their numbers, and maps (height, width), from 0 to 1.

    Args:
        model: in evaluation mode.
        pixel_values: one picture, (1, 3, size, size).
        layer: as for `maximise`.
        count: of channels, at most; those with the largest standard deviation over the picture come first.

    Raises:
        OptionError: there is no such layer.
    """
    with torch.inference_mode():
        features = features_at(model, layer_used(model, layer), pixel_values)[0].float()
    strength = features.std((1, 2), correction=0)
    found = []
    for channel in strength.argsort(descending=True, stable=True)[:count].tolist():
        low, high = features[channel].aminmax()
        scaled = (features[channel] - low) / (high - low) if high > low else torch.zeros_like(features[channel])
        found.append((channel, scaled.cpu().numpy()))
    return found


def _normalisation(processor: FakeFaceImageProcessor) -> tuple[list[float], list[float]]:
    return list(processor.image_mean), list(processor.image_std)


__all__ = ["feature_maps", "first_filters", "maximise", "turned"]
