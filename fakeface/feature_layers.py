"""The layers of a model that a map may explain, by name, and the two halves of the model on either side of one.

`pixels` is the picture itself (`logistic` has no other layer), `trunk` the trunk's last feature map (`resnet50-cnn`),
`block1`, `block2`, … what is behind so many of the model's own blocks. Deeper layers are coarser and cost less.
"""

from __future__ import annotations

from torch import Tensor

from .modeling_fakeface import FakeFaceForImageClassification


def layer_names(model: FakeFaceForImageClassification) -> tuple[str, ...]:
    """The layers that maps may explain, from the picture on: `("trunk", "block1", …)` for `resnet50-cnn`."""
    blocks = tuple(f"block{number}" for number in range(1, len(model.fakeface.blocks) + 1))
    first = {"logistic": ("pixels",), "cnn": (), "resnet50-cnn": ("trunk",)}[model.config.architecture]
    return first + blocks


def layer_used(model: FakeFaceForImageClassification, layer: str | None) -> str:
    """The asked layer, or the model's default: the trunk, the last convolution of `cnn`, or the pixels of `logistic`.

    Raises:
        ValueError: the model has no such layer.
    """
    names = layer_names(model)
    if layer is None:  # the last block of cnn is a pooling, hence the one before
        return names[-2] if model.config.architecture == "cnn" else names[0]
    if layer not in names:
        raise ValueError(f"unknown layer {layer!r}: this model has {', '.join(names)}")
    return layer


def features_at(model: FakeFaceForImageClassification, layer: str, pixel_values: Tensor) -> Tensor:
    """The feature map of a layer of `layer_names`: (batch, channels, height, width), a tensor of its own."""
    if layer == "pixels":
        return pixel_values.clone()
    base, hidden = model.fakeface, pixel_values.to(model.dtype)
    if model.config.architecture == "resnet50-cnn":
        hidden = base.trunk(hidden)[-1]
    return base.blocks[: _blocks_below(layer)](hidden)


def logits_from(model: FakeFaceForImageClassification, layer: str, features: Tensor) -> Tensor:
    """The model's calibrated logits (batch, 2) from the feature map of that layer on."""
    return model.classify(model.fakeface.blocks[_blocks_below(layer) :](features))


def _blocks_below(layer: str) -> int:
    return int(layer.removeprefix("block")) if layer.startswith("block") else 0


__all__ = ["features_at", "layer_names", "layer_used", "logits_from"]
