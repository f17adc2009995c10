"""The layers of a model that a map may explain, by name, and the two halves of the model on either side of one.

`pixels` is the picture itself (`logistic` has no other layer), `stage1`, `stage2`, … what is behind so many stages of
`resnet50-cnn`'s trunk, `trunk` the feature map of either trunk, which the head takes, `block1`, `block2`, … what is
behind so many of the model's own blocks. Deeper layers are coarser and cost less.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn

from ..modeling_fakeface import FakeFaceForImageClassification
from ..utils.errors import OptionError


def layer_names(model: FakeFaceForImageClassification) -> tuple[str, ...]:
    """The layers that maps may explain, from the picture on: `("stage1", …, "trunk", "block1", …)`."""
    blocks = tuple(f"block{number}" for number in range(1, len(model.fakeface.blocks) + 1))
    if model.config.architecture == "resnet50-cnn":
        return (*(f"stage{number}" for number in range(1, model.config.trunk_stages)), "trunk", *blocks)
    if model.config.architecture == "vit-b16-cnn":
        return ("trunk", *blocks)
    return blocks or ("pixels",)


def layer_used(model: FakeFaceForImageClassification, layer: str | None) -> str:
    """The asked layer, or the model's default: the trunk, the last convolution of `cnn`, or the pixels of `logistic`.

    Raises:
        OptionError: the model has no such layer.
    """
    names = layer_names(model)
    if layer is None:
        if "trunk" in names:
            return "trunk"
        return names[max(len(names) - 2, 0)]  # the last block of cnn is a pooling
    if layer not in names:
        raise OptionError(f"unknown layer {layer!r}: this model has {', '.join(names)}")
    return layer


def features_at(model: FakeFaceForImageClassification, layer: str, pixel_values: Tensor) -> Tensor:
    """The feature map of a layer of `layer_names`: (batch, channels, height, width), a tensor of its own."""
    if layer == "pixels":
        return pixel_values.clone()
    below, _ = _halves(model, layer)
    hidden = pixel_values.to(model.dtype)
    for module in below:
        hidden = module(hidden)
    return hidden


def logits_from(model: FakeFaceForImageClassification, layer: str, features: Tensor) -> Tensor:
    """The model's calibrated logits (batch, 2) from the feature map of that layer on."""
    _, above = _halves(model, layer)
    for module in above:
        features = module(features)
    return model.classify(features)


def _halves(model: FakeFaceForImageClassification, layer: str) -> tuple[list[nn.Module], list[nn.Module]]:
    """The modules up to a layer, and those from there to the feature map of the whole."""
    modules = dict(_named_modules(model))
    names = list(modules)
    cut = names.index(layer) + 1 if layer in modules else 0
    return [modules[name] for name in names[:cut]], [modules[name] for name in names[cut:]]


def _named_modules(model: FakeFaceForImageClassification) -> Iterator[tuple[str, nn.Module]]:
    """What a picture goes through, in order; modules that end at a layer have its name."""
    base = model.fakeface
    if model.config.architecture == "resnet50-cnn":
        stages = model.config.trunk_stages
        for name, module in base.trunk.named_children():  # timm's stem, then layer1, layer2, …
            stage = name.replace("layer", "stage")
            yield ("trunk" if stage == f"stage{stages}" else stage), module
    elif model.config.architecture == "vit-b16-cnn":
        yield "trunk", base.trunk
    for number, block in enumerate(base.blocks, start=1):
        yield f"block{number}", block


__all__ = ["features_at", "layer_names", "layer_used", "logits_from"]
