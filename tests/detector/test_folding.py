"""Preparing for speed changes how a score is computed, not the score."""

import copy

import pytest
import torch
from tiny import SIZE, WIDTHS, tiny_model
from torch import nn

from fakeface.detector.runtime import fold_norms, multiply_out, prepare
from fakeface.modeling_fakeface import Int8Linear


def pixels(n: int = 5) -> torch.Tensor:
    return torch.randn(n, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def lived_in(architecture: str) -> nn.Module:
    """A tiny model whose BatchNorms have statistics and weights as after training, so that leaving one out shows."""
    model, dice = tiny_model(architecture), torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            for tensor in module.state_dict(keep_vars=True).values():
                if not tensor.is_floating_point():
                    continue  # the counter
                tensor.copy_(torch.rand(tensor.shape, generator=dice) + 0.5)
    return model


@pytest.mark.parametrize(
    ("architecture", "norms"), [("logistic", 0), ("cnn", 0), ("resnet50-cnn", 11), ("vit-b16-cnn", 0)]
)
@torch.inference_mode()
def test_folding_keeps_the_logits(architecture, norms):
    model = lived_in(architecture)
    expected = model(pixel_values=pixels()).logits
    assert fold_norms(model) == norms  # pyright: ignore[reportArgumentType]
    assert model(pixel_values=pixels()).logits.numpy() == pytest.approx(expected.numpy(), rel=1e-4, abs=1e-4)
    left = [name for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)]
    assert all(".blocks." in name or name.endswith("trunk.norm") for name in left)  # of the head, or in front of it


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
        assert not isinstance(module, Int8Linear)
        if isinstance(module, nn.Conv2d) and module.kernel_size != (1, 1):
            assert module.weight.is_contiguous(memory_format=torch.channels_last)


@torch.inference_mode()
def test_multiplying_out_keeps_the_logits_to_the_bit():
    model = lived_in("vit-b16-cnn")
    expected = model(pixel_values=pixels()).logits
    before = [module for module in model.modules() if isinstance(module, Int8Linear)]
    assert len(before) == 4
    multiply_out(model)  # pyright: ignore[reportArgumentType]
    assert [module for module in model.modules() if isinstance(module, Int8Linear)] == []
    assert torch.equal(model(pixel_values=pixels()).logits, expected)
