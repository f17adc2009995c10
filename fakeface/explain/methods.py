"""The methods of class activation maps: what each makes of one `Look`, as signed evidence for each place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

# Ablated feature maps per pass of the head: 64 of resnet50-cnn at 160 px are 26 MB.
ABLATIONS_PER_PASS = 64


@dataclass(frozen=True, eq=False)
class Look:
    """One look of a model at a batch of pictures, opened at the feature map that is explained.

    Attributes:
        features: the feature map (batch, channels, height, width), a leaf of the autograd graph.
        target: what the maps explain, (batch,), computed from `features`.
        target_of: the head: the targets of any other feature maps.
    """

    features: Tensor
    target: Tensor
    target_of: Callable[[Tensor], Tensor]

    def gradient(self) -> Tensor:
        """Gradient of each picture's target to its own feature map, same shape."""
        return torch.autograd.grad(self.target.sum(), self.features)[0]


def grad_cam(look: Look) -> Tensor:
    """Channels weighted by their mean gradient (Selvaraju et al., ICCV 2017, eq. 1 and 2)."""
    weights = look.gradient().mean((2, 3), keepdim=True)
    return (weights * look.features).sum(1)


def hires_cam(look: Look) -> Tensor:
    """Gradient times feature, place by place (Draelos and Carin, 2020); exact where the head is one linear layer."""
    return (look.gradient() * look.features).sum(1)


def centred_cam(look: Look) -> Tensor:
    """Like HiResCAM, with each channel's mean over the picture taken off its features.

    Gradient times (feature less a baseline) is what a step from the baseline to the feature changes to first order
    (Sundararajan et al., ICML 2017, with one step); here the baseline is the picture's own average, so that what is
    the same all over a picture is not evidence for any place of it. docs/maps.md has what that gains.
    """
    centred = look.features - look.features.mean((2, 3), keepdim=True)
    return (look.gradient() * centred).sum(1)


def layer_cam(look: Look) -> Tensor:
    """Like HiResCAM, with only the gradients above zero (Jiang et al., IEEE TIP 2021, eq. 7)."""
    return (look.gradient().clamp(min=0) * look.features).sum(1)


@torch.no_grad()
def ablation_cam(look: Look) -> Tensor:
    """Channels weighted by how much the target drops without them (Desai and Ramaswamy, WACV 2020), no gradient used.

    Of the gradient-free methods it is the one that asks the head alone, hence needs the trunk only once (Score-CAM
    needs it once per channel), and still answers per label (Eigen-CAM shows the same map for both). It costs one
    pass of the head per live channel: with the shipped model on a CPU about a hundred predictions, where the others
    add a third of one. The paper divides a drop by the target; that would turn the map over where the target is below
    zero and otherwise scales the map as a whole, so it is left out here.
    """
    weights = look.target.new_zeros(look.features.shape[:2])
    live = look.features.flatten(2).any(2)  # to ablate a channel that is zero everywhere changes nothing
    for pictures, channels in (pairs.unbind(1) for pairs in live.nonzero().split(ABLATIONS_PER_PASS)):
        ablated = look.features[pictures]
        ablated[torch.arange(len(pictures), device=ablated.device), channels] = 0
        weights[pictures, channels] = look.target[pictures] - look.target_of(ablated)
    return (weights[:, :, None, None] * look.features).sum(1)


STRATEGIES: dict[str, Callable[[Look], Tensor]] = {
    "grad-cam": grad_cam,
    "hires-cam": hires_cam,
    "centred-cam": centred_cam,
    "layer-cam": layer_cam,
    "ablation-cam": ablation_cam,
}
METHODS = tuple(STRATEGIES)

__all__ = ["METHODS", "STRATEGIES", "Look", "hires_cam"]
