"""Losses, gradients and weights that are infinite or no number: found before they are saved, and told with a cure."""

from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from . import TrainingError
from .batches import Batches
from .checkpoints import Progress


def broken_step(progress: Progress, batches: Batches, losses: list[Tensor], rows: list[Tensor]) -> str:
    """What to say of a step whose loss or gradient is not a number: where it is, and with which pictures.

    Args:
        progress: tells the step.
        batches: know the pictures' names.
        losses: of this rank's batches.
        rows: the indices of their pictures.
    """
    mine = [(float(loss), index.tolist()) for loss, index in zip(losses, rows, strict=True)]
    told: list[tuple[float, list[int]]] = gather_object(mine)
    bad = [batch for batch in told if not torch.tensor(batch[0]).isfinite()]
    what = f"the loss is {bad[0][0]}" if bad else "the gradient is infinite or no number"
    names = [batches.name(row) for _, batch in bad or told for row in batch]
    return (
        f"{what} in step {progress.step + 1}, epoch {progress.epoch}; nothing of this step is saved. "
        f"Lower the learning rate, or look at the pictures of the batch: {', '.join(names)}"
    )


def refuse_broken(accelerator: Accelerator, step: int, *models: nn.Module | None) -> None:
    """Raises TrainingError, on every rank, if a weight is infinite or no number: such a model is of no use."""
    tensors = [tensor for model in models if model is not None for tensor in (*model.parameters(), *model.buffers())]
    parts = [tensor.to_local() if isinstance(tensor, DTensor) else tensor for tensor in tensors]
    finite = all(bool(part.isfinite().all()) for part in parts)
    broken: Any = accelerator.reduce(torch.tensor(float(not finite), device=accelerator.device))
    if broken.item():
        raise TrainingError(
            f"step {step} has made weights infinite or no number, and they are not saved; go on from "
            "the last checkpoint with --resume and a lower learning rate"
        )


__all__ = ["broken_step", "refuse_broken"]
