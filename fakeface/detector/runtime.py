"""Where a model computes, in which type, made ready for speed; and the pass that scores pictures."""

import os
from collections.abc import Iterable
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ..modeling_fakeface import FakeFaceForImageClassification, Int8Linear
from ..utils.errors import OptionError
from ..utils.processes import usable_cores


def pick_device(device: str | torch.device | None = None) -> torch.device:
    """The device asked for, or the best there is: CUDA, then Apple's MPS, then the CPU.

    Of several GPUs each rank of an `accelerate launch` gets its own.

    Raises:
        OptionError: there is no such device here.
    """
    there = [("cuda", torch.cuda.is_available()), ("mps", torch.backends.mps.is_available()), ("cpu", True)]
    available = [kind for kind, is_there in there if is_there]
    if device is None:
        rank = os.environ.get("LOCAL_RANK") if available[0] == "cuda" else None
        return torch.device(available[0]) if rank is None else torch.device("cuda", int(rank))
    refusal = f"no device {str(device)!r} here: use {' or '.join(available)}"
    try:
        chosen = torch.device(device)
    except RuntimeError:  # not a device's name at all
        raise OptionError(refusal) from None
    if chosen.type not in available or (chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count()):
        raise OptionError(refusal)
    return chosen


def pick_dtype(dtype: str | torch.dtype | None) -> torch.dtype:
    """float32 for `None`; 16 bits on the CPU would be slow or inexact, and files may store 16 bits to be small."""
    kind = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype or torch.float32
    if not isinstance(kind, torch.dtype) or not kind.is_floating_point:
        raise OptionError(f"dtype is {dtype!r}: it takes float32, bfloat16 or float16")
    return kind


def fastest_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the device multiplies it itself, else float32.

    The processor is asked for what it can do, not timed: a run that is taken up again must get the same answer. AVX-512
    without BF16 takes bfloat16 too, but turns it into float32 first, which costs more than it saves.
    """
    if device.type == "cuda":
        native = torch.cuda.get_device_capability(device)[0] >= 8  # Ampere
    elif device.type == "cpu":
        able = getattr(torch.cpu, "get_capabilities", dict)()  # torch 2.11 may not have it
        native = any(able.get(name) for name in ("avx512_bf16", "amx_bf16", "sve_bf16"))
    else:
        native = False
    return torch.bfloat16 if native else torch.float32


def hardware(device: torch.device) -> str:
    """What a rank computes on, in words: the name of a GPU, or how many cores its process may use."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cores = usable_cores()
    return f"{cores} CPU core{'s' * (cores > 1)}" if device.type == "cpu" else device.type


NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def fold_norms(model: FakeFaceForImageClassification) -> int:
    """Fold the trunk's BatchNorms into the convolutions before them (Jacob et al., 2018), in place.

    Exact but for rounding, in evaluation mode only; fold before the weights are made narrower. The head's BatchNorms
    follow a ReLU, and zero padding keeps them from being folded into the convolutions behind them.

    Returns:
        How many were folded.
    """
    folded = 0
    for parent in model.modules():
        before: tuple[str, nn.Module] | None = None
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d) and before and isinstance(before[1], nn.Conv2d):
                setattr(parent, before[0], fuse_conv_bn_eval(before[1], child))
                setattr(parent, name, nn.Identity())
                folded += 1
            before = name, child
    return folded


def multiply_out(model: nn.Module) -> None:
    """Turn layers that keep their matrix in 8 bits into ordinary ones, in place: four times the memory, less work."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Int8Linear):
                setattr(parent, name, child.to_linear())


def narrow(model: FakeFaceForImageClassification, dtype: torch.dtype) -> None:
    """Convert all weights but those of BatchNorm, in place, as loading with that type does."""
    for module in model.modules():
        if not isinstance(module, NORMS):
            for parameter in module.parameters(recurse=False):
                parameter.data = parameter.data.to(dtype)


def prepare(model: FakeFaceForImageClassification, dtype: torch.dtype) -> FakeFaceForImageClassification:
    """Multiply out, fold, convert, and put channels last in memory: what `dtype="auto"` of the Detector means.

    Args:
        model: in float32 and evaluation mode; changed in place.
        dtype: to compute in, as `fastest_dtype` names it.
    """
    multiply_out(model.eval())
    fold_norms(model)
    narrow(model, dtype)
    model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    return model


@torch.inference_mode()
def logits_of(model: Any, pixel_values: Tensor) -> Tensor:
    """Logits, float32 (batch, labels) on the CPU, of `pixel_values` (batch, 3, size, size) on any device.

    Args:
        model: in evaluation mode: ours, whose logits are calibrated, an `OnnxModel`, or a classifier of transformers.
    """
    return model(pixel_values=pixel_values.to(model.device)).logits.float().cpu()


def scores_of(model: Any, inputs: Iterable[np.ndarray], batch_size: int = 32) -> np.ndarray:
    """Calibrated probabilities of `generated`, float32 (n,).

    Args:
        model: as for `logits_of`.
        inputs: pictures as the image processor's `to_array` makes them, (3, size, size) each. They are taken as they
            are needed, so that no more than a batch of them is in memory.
        batch_size: pictures to a forward pass.
    """
    rest, scores = iter(inputs), [torch.empty(0)]
    while batch := list(islice(rest, batch_size)):
        scores.append(logits_of(model, torch.from_numpy(np.stack(batch))).softmax(-1)[:, 1])
    return torch.cat(scores).numpy()


__all__ = [
    "fastest_dtype",
    "fold_norms",
    "hardware",
    "logits_of",
    "multiply_out",
    "narrow",
    "pick_device",
    "pick_dtype",
    "prepare",
    "scores_of",
]
