"""The loop: epochs of optimiser steps, with a checkpoint now and then and validation after each epoch."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast, gather_object, send_to_device
from timm.utils.model_ema import ModelEmaV3
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from tqdm.auto import tqdm

from ..recipe import Recipe
from . import TrainingError, TrainingStopped
from .batches import Batches
from .checkpoints import save_checkpoint
from .pictures import global_batch
from .progress import Progress
from .step_times import StepTimes
from .stopping import StopRequest
from .validation import channels_last


@dataclasses.dataclass
class Trainee:
    """What the loop works on; model and optimiser as accelerate prepared them."""

    model: nn.Module
    raw_model: nn.Module  # the same without accelerate's wrappers, to be averaged
    average: ModelEmaV3 | None
    optimizer: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.LRScheduler
    batches: Batches


class Loop:
    """Trains to the recipe's last epoch from where `progress` stands.

    Args:
        run: the run folder.
        recipe: of the run.
        accelerator: made the trainee ready.
        trainee: what is trained.
        progress: is kept up to date, and saved with every checkpoint.
        stop: tells when this process was asked to stop.
        validate: is called after each epoch with the model to judge, and the progress bar to write through; raises
            TrainingStopped, on every rank, when one was asked to stop.
    """

    def __init__(
        self,
        run: Path,
        recipe: Recipe,
        accelerator: Accelerator,
        trainee: Trainee,
        progress: Progress,
        stop: StopRequest,
        validate: Callable[[nn.Module, tqdm], None],
    ):
        self.run, self.recipe, self.accelerator, self.trainee = run, recipe, accelerator, trainee
        self.progress, self.stop, self.validate = progress, stop, validate
        self.times = StepTimes(accelerator.device, recipe.profile)

    def train(self) -> None:
        """Run all epochs that are left.

        Raises:
            TrainingError: loss or gradient is no number any more, or a checkpoint cannot be written.
            TrainingStopped: a rank was asked to stop; what was done is saved.
        """
        progress, trainee = self.progress, self.trainee
        steps = len(trainee.batches) // self.recipe.gradient_accumulation
        left = (self.recipe.epochs - progress.epoch) * steps - progress.batch // self.recipe.gradient_accumulation
        show = self.accelerator.is_main_process
        with tqdm(total=progress.step + left, initial=progress.step, desc="Training", disable=not show) as bar:
            for epoch in range(progress.epoch, self.recipe.epochs):
                self.run_epoch(epoch, bar)
                self.require_finite()
                if trainee.average:  # CPU ranks averaged BatchNorm statistics of their own pictures; rank 0's are kept
                    broadcast(list(trainee.average.module.buffers()))
                try:
                    self.validate(trainee.average.module if trainee.average else trainee.model, bar)
                except TrainingStopped as stopped:  # validation comes again
                    raise TrainingStopped(f"{stopped}; {self.save()} holds what is done") from None
                progress.epoch, progress.batch = epoch + 1, 0
                self.save()
        if self.recipe.profile and show and self.times.steps:
            print(self.times.table())
            self.times.write(self.run)

    def run_epoch(self, epoch: int, bar: tqdm) -> None:
        """What is left of one epoch."""
        progress, trainee, accelerator = self.progress, self.trainee, self.accelerator
        train_mode(trainee.model, self.recipe)
        rows: list[Tensor] = []
        losses: list[Tensor] = []
        times = self.times
        times.start()
        for batch in trainee.batches.of(epoch, progress.batch):
            times.lap("data")
            rows.append(batch["index"])
            batch = send_to_device(batch, accelerator.device, non_blocking=True)
            times.lap("device")
            with accelerator.accumulate(trainee.model):
                losses.append(self.backward(batch))
            progress.batch += 1
            if not accelerator.sync_gradients:
                continue
            asked, loss = self.step(losses, rows)
            times.lap("optimiser")
            rows, losses = [], []
            progress.history.append({"step": progress.step, "epoch": epoch, "loss": loss})
            accelerator.log({"loss": loss, "lr": trainee.scheduler.get_last_lr()[0]}, step=progress.step)
            bar.update()
            bar.set_postfix(epoch=epoch, loss=f"{loss:.3f}")
            times.lap("rest")
            times.end_step(global_batch(self.recipe, accelerator.num_processes))
            if asked:
                raise TrainingStopped(f"stopped after step {progress.step}; {self.save()} holds what is done")
            if progress.step % self.recipe.checkpoint_steps == 0 and progress.batch < len(trainee.batches):
                self.save()
                times.start()

    def backward(self, batch: Any) -> Tensor:
        """Forward and backward of one batch; its loss."""
        pixels, labels = batch["pixel_values"], batch["labels"]
        if paired := pixels.ndim == 5:
            pixels, labels = pixels.flatten(0, 1), labels.repeat_interleave(2)
        logits = self.trainee.model(pixel_values=channels_last(pixels)).logits
        loss = nn.functional.cross_entropy(logits, labels, label_smoothing=self.recipe.label_smoothing)
        if paired:
            loss = loss + self.recipe.consistency_weight * disagreement(logits)
        self.times.lap("forward")
        self.accelerator.backward(loss)
        self.times.lap("backward")
        return loss.detach()

    def step(self, losses: list[Tensor], rows: list[Tensor]) -> tuple[bool, float]:
        """Once gradients of all batches and ranks are there: a step of the optimiser, unless they are no numbers.

        Args:
            losses: of this rank's batches.
            rows: the indices of their pictures.

        Returns:
            Whether a rank was asked to stop, and the mean loss over all ranks.
        """
        trainee, accelerator = self.trainee, self.accelerator
        norm = accelerator.clip_grad_norm_(trainee.model.parameters(), self.recipe.clip_norm)
        loss = torch.stack(losses).mean().float()
        finite = loss.isfinite()
        if isinstance(norm, DTensor):  # FSDP's, in parts
            norm = norm.full_tensor()
        if norm is not None and accelerator.scaler is None:  # fp16's scaler skips a step that overflowed, and goes on
            finite = finite & norm.isfinite()
        asked = torch.tensor(float(self.stop.asked), device=loss.device)
        # All that ranks must agree on, in one message per step: a rank on its own would leave the others waiting.
        reduced: Any = accelerator.reduce(torch.stack([asked, (~finite).float(), loss]))
        together = reduced.tolist()
        if together[1]:
            raise TrainingError(self.broken(losses, rows))
        trainee.optimizer.step()
        trainee.optimizer.zero_grad()
        trainee.scheduler.step()
        self.progress.step += 1
        if trainee.average:
            trainee.average.update(trainee.raw_model, self.progress.step)
        return bool(together[0]), together[2] / accelerator.num_processes

    def broken(self, losses: list[Tensor], rows: list[Tensor]) -> str:
        """What to say when loss or gradient is no number: where, and with which pictures."""
        mine = [(float(loss), index.tolist()) for loss, index in zip(losses, rows, strict=True)]
        batches: list[tuple[float, list[int]]] = gather_object(mine)
        bad = [batch for batch in batches if not torch.tensor(batch[0]).isfinite()]
        what = f"the loss is {bad[0][0]}" if bad else "the gradient is infinite or no number"
        names = [self.trainee.batches.name(row) for _, batch in bad or batches for row in batch]
        return (
            f"{what} in step {self.progress.step + 1}, epoch {self.progress.epoch}; nothing of this step is saved. "
            f"Lower the learning rate, or look at the pictures of the batch: {', '.join(names)}"
        )

    def require_finite(self) -> None:
        """Raises TrainingError, on every rank, if a weight is infinite or no number: such a model is of no use."""
        models = [model for model in (self.trainee.model, self.trainee.average) if model is not None]
        tensors = [tensor for model in models for tensor in (*model.parameters(), *model.buffers())]
        parts = [tensor.to_local() if isinstance(tensor, DTensor) else tensor for tensor in tensors]
        finite = all(bool(part.isfinite().all()) for part in parts)
        broken: Any = self.accelerator.reduce(torch.tensor(float(not finite), device=self.accelerator.device))
        if broken.item():
            raise TrainingError(
                f"step {self.progress.step} has made weights infinite or no number, and they are not saved; go on from "
                "the last checkpoint with --resume and a lower learning rate"
            )

    def save(self) -> Path:
        self.require_finite()
        return save_checkpoint(self.run, self.accelerator, self.progress, self.recipe.keep_checkpoints)


def disagreement(logits: Tensor) -> Tensor:
    """How much the two showings of each picture differ: the mean of both Kullback-Leibler divergences, in nats.

    As in R-Drop (Liang et al., 2021), whose two showings differ by dropout; these differ by delivery too.

    Args:
        logits: (2 x pictures, 2), the showings of a picture one after the other.
    """
    clean, delivered = nn.functional.log_softmax(logits.float().unflatten(0, (-1, 2)), dim=-1).unbind(1)
    there = nn.functional.kl_div(clean, delivered, reduction="batchmean", log_target=True)
    back = nn.functional.kl_div(delivered, clean, reduction="batchmean", log_target=True)
    return (there + back) / 2


def train_mode(model: nn.Module, recipe: Recipe) -> None:
    """Have layers behave as in training, but BatchNorms where their statistics are frozen."""
    model.train()
    if recipe.batch_norm == "frozen":
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):  # the base of all its kinds, timm's too
                module.eval()


__all__ = ["Loop", "Trainee", "train_mode"]
