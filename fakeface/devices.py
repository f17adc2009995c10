"""Where to compute, and in which type."""

import os

import torch

from .cores import usable_cores


def pick_device(device: str | torch.device | None = None) -> torch.device:
    """The device asked for, or the best there is: CUDA, then Apple's MPS, then the CPU.

    Of several GPUs each rank of an `accelerate launch` gets its own.

    Raises:
        ValueError: there is no such device here.
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
        raise ValueError(refusal) from None
    if chosen.type not in available or (chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count()):
        raise ValueError(refusal)
    return chosen


def pick_dtype(dtype: str | torch.dtype | None) -> torch.dtype:
    """float32 for `None`; 16 bits on the CPU would be slow or inexact, and files may store 16 bits to be small."""
    kind = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype or torch.float32
    if not isinstance(kind, torch.dtype) or not kind.is_floating_point:
        raise ValueError(f"dtype is {dtype!r}: it takes float32, bfloat16 or float16")
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


__all__ = ["fastest_dtype", "hardware", "pick_device", "pick_dtype"]
