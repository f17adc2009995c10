"""Preparing for speed changes how a score is computed, not the score."""

import copy

import pytest
import torch
from tiny import SIZE, WIDTHS, tiny_model
from torch import nn

from fakeface.inference import fold_norms, prepare


def pixels(n: int = 5) -> torch.Tensor:
    return torch.randn(n, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def lived_in(architecture: str) -> nn.Module:
    """A tiny model whose BatchNorms have statistics and weights as after training, so that leaving one out shows."""
    model, dice = tiny_model(architecture), torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            for tensor in (module.weight, module.bias, module.running_mean, module.running_var):
                assert tensor is not None
                tensor.copy_(torch.rand(tensor.shape, generator=dice) + 0.5)
    return model


@pytest.mark.parametrize(("architecture", "norms"), [("logistic", 0), ("cnn", 0), ("resnet50-cnn", 11)])
@torch.inference_mode()
def test_folding_keeps_the_logits(architecture, norms):
    model = lived_in(architecture)
    expected = model(pixel_values=pixels()).logits
    assert fold_norms(model) == norms  # pyright: ignore[reportArgumentType]
    assert model(pixel_values=pixels()).logits.numpy() == pytest.approx(expected.numpy(), rel=1e-4, abs=1e-4)
    left = [name for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)]
    assert all(".blocks." in name for name in left)  # those of the head


@pytest.mark.parametrize("architecture", WIDTHS)
@torch.inference_mode()
def test_a_prepared_model_scores_about_the_same_in_16_bits(architecture):
    model = lived_in(architecture)
    expected = model(pixel_values=pixels()).logits.softmax(-1)[:, 1]
    ready = prepare(copy.deepcopy(model), torch.bfloat16)  # pyright: ignore[reportArgumentType]
    found = ready(pixel_values=pixels()).logits.softmax(-1)[:, 1]
    assert found.numpy() == pytest.approx(expected.numpy(), abs=0.03)
    kinds = {
        isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d): parameter.dtype
        for module in ready.modules()
        for parameter in module.parameters(recurse=False)
    }
    assert kinds[False] == torch.bfloat16
    assert kinds.get(True, torch.float32) == torch.float32
    for module in ready.modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size != (1, 1):
            assert module.weight.is_contiguous(memory_format=torch.channels_last)
