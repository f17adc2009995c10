"""Train a fakeface model.

    accelerate launch train.py configs/resnet50-cnn.yaml --data "../shared/faces/pool-*.parquet"
    accelerate launch train.py configs/cnn.yaml --data my/pictures        # real/… and generated/… inside
    accelerate launch train.py configs/cnn.yaml --data someone/dataset    # a Hub dataset
    accelerate launch train.py configs/cnn.yaml --data … --resume         # go on after a stop

Any recipe key can be given on the command line. The run folder (`--output`) receives the recipe as used, versions and
data fingerprints (`run.json`), curves (`curves.csv`, TensorBoard), checkpoints, the calibrated model folder (`model/`),
the scores of every held-out picture (`scores.csv`) and what they amount to (`evaluation.json`, `evaluation.md`).
"""

import csv
import dataclasses
import importlib.metadata
import json
import math
import os
import platform
import re
import shlex
import shutil
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator, DataLoaderConfiguration
from accelerate.utils import InitProcessGroupKwargs, broadcast, set_seed
from datasets import Dataset, DatasetDict, concatenate_datasets
from huggingface_hub.errors import StrictDataclassError
from scipy.special import expit
from timm.utils.model_ema import ModelEmaV3
from torch import nn
from torch.utils.data import DataLoader
from tqdm.auto import tqdm
from transformers import get_cosine_schedule_with_warmup

from fakeface.calibration import fit
from fakeface.configuration_fakeface import FakeFaceConfig
from fakeface.data.equalise import History
from fakeface.data.loading import DataError, fingerprint, open_dataset, prepare_splits
from fakeface.data.matching import match_dataset, write_matched
from fakeface.data.pictures import BalancedSampler, Pictures
from fakeface.evaluation import VIEWS, evaluate_folder, markdown, write_report
from fakeface.hub import save_model_folder
from fakeface.image_processing_fakeface import FakeFaceImageProcessor
from fakeface.metrics import RocAuc
from fakeface.modeling_fakeface import FakeFaceForImageClassification
from fakeface.recipe import TRAINING_RECORD, Recipe, RecipeError, parse_recipe
from fakeface.trunk import TrunkError, load_trunk

PACKAGES = ("fakeface", "torch", "timm", "transformers", "datasets", "accelerate", "evaluate", "pillow", "numpy")


TRUNK_LAYER = re.compile(r"\btrunk\.(?:layer(\d))?")


class TrainingError(RuntimeError):
    """Training cannot go on; the message says where it stopped."""


@dataclasses.dataclass
class Progress:
    """Where a run stands; saved with every checkpoint."""

    epoch: int = 0
    batch: int = 0  # batches of this epoch that are done
    step: int = 0  # optimiser steps
    best: float = -math.inf
    history: list[dict[str, Any]] = dataclasses.field(default_factory=list)

    def state_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)


def main() -> None:
    try:
        recipe = parse_recipe(description=__doc__)
        train(recipe)
    except (RecipeError, DataError, TrunkError, TrainingError) as error:
        sys.exit(f"train.py: {error}")
    except StrictDataclassError as error:  # from FakeFaceConfig; the cause has the words
        sys.exit(f"train.py: {error.__cause__ or error}")


def train(recipe: Recipe) -> None:
    run = Path(recipe.output)
    accelerator = Accelerator(
        mixed_precision=recipe.mixed_precision or None,
        gradient_accumulation_steps=recipe.gradient_accumulation,
        log_with="tensorboard",
        project_dir=run,
        dataloader_config=DataLoaderConfiguration(non_blocking=True),
        # The others wait while rank 0 checks and matches the pictures, longer than the usual 10 or 30 minutes.
        kwargs_handlers=[InitProcessGroupKwargs(timeout=timedelta(days=1))],
    )
    if (run / "run.json").exists() and not recipe.resume:
        raise RecipeError(f"output {run} already holds a run: add --resume to go on with it, or name another folder")
    set_seed(recipe.seed)
    if accelerator.device.type == "cpu":
        # `accelerate launch` leaves each rank one thread, whatever the machine has.
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        torch.set_num_threads(recipe.threads or max(1, cores // accelerator.num_processes))
    splits, refused = load_splits(run, recipe, accelerator)
    processor = FakeFaceImageProcessor(size=recipe.image_size, crop_fraction=recipe.crop_fraction)
    raw_model = build_model(recipe, accelerator)
    sampler, train_loader, optimizer, scheduler = build_training(recipe, raw_model, splits, processor, accelerator)
    eval_loaders = {
        view: accelerator.prepare(eval_loader(recipe, splits["validation"], processor, view)) for view in VIEWS
    }
    average = weight_average(recipe, raw_model, accelerator)
    model, optimizer, train_loader = accelerator.prepare(
        torch.compile(raw_model) if recipe.compile else raw_model, optimizer, train_loader
    )
    if accelerator.is_main_process:
        describe_run(run, recipe, splits, refused, accelerator)
    accelerator.init_trackers("tensorboard")
    progress = Progress()
    accelerator.register_for_checkpointing(progress, scheduler)
    if recipe.resume and (newest := newest_checkpoint(run)):
        accelerator.load_state(str(newest))
        accelerator.print(f"going on from {newest}: epoch {progress.epoch}, step {progress.step}")

    steps = math.ceil(len(train_loader) / recipe.gradient_accumulation) * recipe.epochs
    bar = tqdm(total=steps, initial=progress.step, desc="Training", disable=not accelerator.is_main_process)
    for epoch in range(progress.epoch, recipe.epochs):
        loader: Any = train_loader
        if progress.batch:
            loader = accelerator.skip_first_batches(train_loader, progress.batch)
        # A loader of accelerate's counts its own rounds, from 0 in a resumed run, and tells the sampler; so tell both.
        loader.set_epoch(epoch)
        sampler.set_epoch(epoch)
        model.train()
        for batch in loader:
            with accelerator.accumulate(model):
                loss = optimise(recipe, accelerator, model, optimizer, batch)
            progress.batch += 1
            if accelerator.sync_gradients:
                scheduler.step()
                progress.step += 1
                if average:
                    average.update(raw_model, progress.step)
                progress.history.append({"step": progress.step, "epoch": epoch, "loss": loss})
                accelerator.log({"loss": loss, "lr": scheduler.get_last_lr()[0]}, step=progress.step)
                bar.update()
                bar.set_postfix(epoch=epoch, loss=f"{loss:.3f}")
                if progress.step % recipe.checkpoint_steps == 0 and progress.batch < len(train_loader):
                    save_checkpoint(run, accelerator, progress, recipe.keep_checkpoints)
        judged = average.module if average else model
        if average:  # each CPU rank averaged BatchNorm statistics of its own pictures; rank 0's are kept
            broadcast(list(average.module.buffers()))
        validate(run, recipe, accelerator, judged, processor, eval_loaders, progress, bar)
        progress.epoch, progress.batch = epoch + 1, 0
        save_checkpoint(run, accelerator, progress, recipe.keep_checkpoints)
    bar.close()
    finish(run, recipe, accelerator, processor, splits, eval_loaders)
    accelerator.end_training()


def optimise(
    recipe: Recipe, accelerator: Accelerator, model: nn.Module, optimizer: torch.optim.Optimizer, batch: Any
) -> float:
    """Forward, backward and, once enough gradients are accumulated, a step; returns the loss of the batch."""
    logits = model(pixel_values=channels_last(batch["pixel_values"])).logits
    loss = nn.functional.cross_entropy(logits, batch["labels"], label_smoothing=recipe.label_smoothing)
    if not math.isfinite(value := loss.item()):
        raise TrainingError(f"the loss is {value}, training rows {batch['index'].tolist()}; lower the learning rate")
    accelerator.backward(loss)
    if accelerator.sync_gradients:
        accelerator.clip_grad_norm_(model.parameters(), recipe.clip_norm)
    optimizer.step()
    optimizer.zero_grad()
    return value


def load_splits(run: Path, recipe: Recipe, accelerator: Accelerator) -> tuple[DatasetDict, list[str]]:
    """Open and split the data; the main process first, so that the others find its cache."""
    with accelerator.main_process_first():
        dataset = open_dataset(recipe.data)
        if recipe.limit and recipe.limit < len(dataset):
            dataset = dataset.select(np.linspace(0, len(dataset) - 1, recipe.limit).astype(int))
        splits, refused = prepare_splits(dataset, **recipe.split_options())
        if recipe.matched and "train" in splits:
            splits["train"] = concatenate_datasets([splits["train"], matched_pictures(run, recipe, splits["train"])])
    if "validation" not in splits:
        raise DataError("no validation pictures: the best epoch is chosen on them; raise split_fractions")
    for split in ("train", "validation"):
        if len(set(splits[split]["label"])) < 2:
            raise DataError(f"the {split} split has pictures of one label only; both are needed")
    for message in refused[:20]:
        accelerator.print(f"refused: {message}")
    accelerator.print(", ".join(f"{name} {len(part)}" for name, part in splits.items()), f"refused {len(refused)}")
    return splits, refused


def matched_pictures(run: Path, recipe: Recipe, part: Dataset) -> Dataset:
    """The training pictures, the labels brought together in size, sharpness, light and colour; made once a run."""
    folder, record = run / "matched", run / "matched" / "made-of.json"
    options: dict[str, Any] = {"crop_fraction": recipe.crop_fraction, "seed": recipe.seed}
    made_of = json.dumps({"pictures": fingerprint(part), **options})
    # Written last; and copies that another split left here would bring held-out pictures into training.
    if not record.exists() or record.read_text() != made_of:
        shutil.rmtree(folder, ignore_errors=True)
        write_matched(match_dataset(part, workers=recipe.workers, **options), folder, History(), recipe.seed)
        record.write_text(made_of)
    matched = Dataset.from_parquet([str(file) for file in sorted(folder.glob("*.parquet"))])
    return matched.select_columns(part.column_names).cast(part.features)  # type: ignore[union-attr]


def describe_run(run: Path, recipe: Recipe, splits: DatasetDict, refused: list[str], accelerator: Accelerator) -> None:
    """Write what the run depends on; a resumed run must stand on the same data."""
    run.mkdir(parents=True, exist_ok=True)
    data = {name: {"pictures": len(part), "fingerprint": fingerprint(part)} for name, part in splits.items()}
    file = run / "run.json"
    if file.exists():
        record = json.loads(file.read_text())
        if (before := record["data"]) != data:
            changed = sorted(name for name in before.keys() | data.keys() if before.get(name) != data.get(name))
            raise DataError(f"{run}: its run was started on other data; what differs is {', '.join(changed)}")
        if (was := record["recipe"].get("ema", 0.0)) != recipe.ema:  # its checkpoints hold one model, or two
            raise RecipeError(f"{run}: its run was started with ema {was}, not {recipe.ema}; resume with that")
    file.write_text(
        json.dumps(
            {
                "command": shlex.join(sys.argv),
                "recipe": dataclasses.asdict(recipe),
                "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
                "python": platform.python_version(),
                "processes": accelerator.num_processes,
                "device": str(accelerator.device),
                "mixed_precision": accelerator.mixed_precision,
                "data": data,
                "refused": refused,
            },
            indent=2,
        )
        + "\n"
    )


def build_model(recipe: Recipe, accelerator: Accelerator) -> FakeFaceForImageClassification:
    config = FakeFaceConfig(
        architecture=recipe.architecture,
        image_size=recipe.image_size,
        trunk_stages=recipe.trunk_stages,
        dropout=recipe.dropout,
    )
    model = FakeFaceForImageClassification(config)
    if recipe.architecture == "resnet50-cnn" and recipe.trunk_weights != "none":
        accelerator.print(load_trunk(model, recipe.trunk_weights))
    if accelerator.num_processes > 1 and accelerator.device.type == "cuda":
        # Statistics of all ranks' pictures, so that two ranks of 16 train as one of 32; CPUs have no such layer.
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def weight_average(recipe: Recipe, model: nn.Module, accelerator: Accelerator) -> ModelEmaV3 | None:
    """The exponential moving average of the weights that is validated and kept, where the recipe asks for one.

    It is made before accelerate wraps the model's forward, which a copy would call. Prepared like the model, it stands
    in every checkpoint.
    """
    if not recipe.ema:
        return None
    average = ModelEmaV3(model, decay=recipe.ema, use_warmup=True)
    average.module = accelerator.prepare_model(average.module, evaluation_mode=True)
    return average


def build_training(
    recipe: Recipe,
    model: FakeFaceForImageClassification,
    splits: DatasetDict,
    processor: FakeFaceImageProcessor,
    accelerator: Accelerator,
) -> tuple[BalancedSampler, DataLoader, torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    part = splits["train"]
    sampler = BalancedSampler(
        part["label"], part["source"], recipe.samples_per_epoch or len(part), recipe.source_balance, recipe.seed
    )
    loader = DataLoader(
        Pictures(part, processor, "augmented", recipe.augmentation_settings(), recipe.seed),
        batch_size=recipe.batch_size,
        sampler=sampler,
        num_workers=recipe.workers,
        persistent_workers=recipe.workers > 0,
        drop_last=True,  # a last batch of one would break BatchNorm
        generator=torch.Generator().manual_seed(recipe.seed),  # apart from the global one, for a bit-identical resume
        pin_memory=accelerator.device.type == "cuda",
    )
    steps_per_epoch = math.ceil(
        sampler.samples // (recipe.batch_size * accelerator.num_processes) / recipe.gradient_accumulation
    )
    if not steps_per_epoch:
        raise RecipeError(f"{len(part)} training pictures do not fill one batch of {recipe.batch_size} on every rank")
    optimizer = torch.optim.AdamW(parameter_groups(model, recipe), weight_decay=recipe.weight_decay, fused=True)
    steps = steps_per_epoch * recipe.epochs
    scheduler = get_cosine_schedule_with_warmup(optimizer, round(recipe.warmup * steps), steps)
    return sampler, loader, optimizer, scheduler


def parameter_groups(model: FakeFaceForImageClassification, recipe: Recipe) -> list[dict[str, Any]]:
    """Trunk stages and head with their learning rates; biases and BatchNorm without weight decay (He et al., 2019)."""
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        rate = recipe.learning_rate
        if layer := TRUNK_LAYER.search(name):  # the stem has no number and counts as stage 0
            rate = recipe.trunk_learning_rate * recipe.trunk_decay ** (recipe.trunk_stages - int(layer[1] or 0))
        groups.setdefault((rate, parameter.ndim > 1), []).append(parameter)
    return [
        {"params": parameters, "lr": rate, **({} if decays else {"weight_decay": 0.0})}
        for (rate, decays), parameters in groups.items()
    ]


def channels_last(pixel_values: torch.Tensor) -> torch.Tensor:
    return pixel_values.contiguous(memory_format=torch.channels_last)


def eval_loader(recipe: Recipe, part: Any, processor: FakeFaceImageProcessor, view: str) -> DataLoader:
    pictures = Pictures(part, processor, view, recipe.augmentation_settings(), recipe.seed)
    return DataLoader(pictures, batch_size=2 * recipe.batch_size, num_workers=recipe.workers)


@torch.no_grad()
def margins(accelerator: Accelerator, model: nn.Module, loader: DataLoader) -> tuple[np.ndarray, np.ndarray]:
    """The `generated` minus the `real` logit, and the label, of every picture of the loader, on every rank."""
    model.eval()
    found, labels = [], []
    for batch in loader:
        logits = model(pixel_values=channels_last(batch["pixel_values"])).logits
        both = accelerator.gather_for_metrics((logits[:, 1] - logits[:, 0], batch["labels"]))
        found.append(both[0].float().cpu().numpy())
        labels.append(both[1].cpu().numpy())
    return np.concatenate(found).astype(np.float64), np.concatenate(labels)


def auc(found: tuple[np.ndarray, np.ndarray]) -> float:
    """ROC AUC of `margins`; the metric keeps a file of its own for each process."""
    metric = RocAuc(experiment_id=str(os.getpid()))
    return (metric.compute(predictions=expit(found[0]), references=found[1], resamples=0) or {})["auc"]


def validate(
    run: Path,
    recipe: Recipe,
    accelerator: Accelerator,
    model: nn.Module,
    processor: FakeFaceImageProcessor,
    loaders: dict[str, DataLoader],
    progress: Progress,
    bar: tqdm,
) -> None:
    """Measure the epoch on validation pictures, clean and delivered; keep the model folder if it is the best so far."""
    entry = {
        "step": progress.step,
        "epoch": progress.epoch,
        "auc": auc(margins(accelerator, model, loaders["clean"])),
        "auc_delivered": auc(margins(accelerator, model, loaders["delivered"])),
    }
    progress.history.append(entry)
    accelerator.log({f"validation/{k}": v for k, v in entry.items() if k.startswith("auc")}, step=progress.step)
    if accelerator.is_main_process:
        bar.write(f"epoch {entry['epoch']}: validation AUC {entry['auc']:.4f}, delivered {entry['auc_delivered']:.4f}")
        write_curves(run, progress.history)
        if entry[recipe.select_on] > progress.best:
            save_model_folder(run / "best", unwrap(accelerator, model), processor)
    progress.best = max(progress.best, entry[recipe.select_on])
    accelerator.wait_for_everyone()


def unwrap(accelerator: Accelerator, model: nn.Module) -> FakeFaceForImageClassification:
    # The wrapper stays: without it the model would go on training in 32 bits after the first save.
    return accelerator.unwrap_model(model, keep_torch_compile=False)  # type: ignore[return-value]


def write_curves(run: Path, history: list[dict[str, Any]]) -> None:
    with (run / "curves.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["step", "epoch", "loss", "auc", "auc_delivered"])
        writer.writeheader()
        writer.writerows(history)


def newest_checkpoint(run: Path) -> Path | None:
    found = sorted((run / "checkpoints").glob("step-*"), key=lambda path: int(path.name.split("-")[1]))
    return found[-1] if found else None


def save_checkpoint(run: Path, accelerator: Accelerator, progress: Progress, keep: int) -> None:
    """Write a checkpoint beside its final name, then rename it: a kill in between leaves the last one whole."""
    folder = run / "checkpoints" / f"step-{progress.step}"
    writing = folder.with_name(f".writing-{folder.name}")
    if accelerator.is_main_process:
        shutil.rmtree(writing, ignore_errors=True)
    accelerator.wait_for_everyone()
    accelerator.save_state(str(writing))
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        shutil.rmtree(folder, ignore_errors=True)
        writing.rename(folder)
        for old in sorted(folder.parent.glob("step-*"), key=lambda path: int(path.name.split("-")[1]))[:-keep]:
            shutil.rmtree(old)
    accelerator.wait_for_everyone()


def finish(
    run: Path,
    recipe: Recipe,
    accelerator: Accelerator,
    processor: FakeFaceImageProcessor,
    splits: DatasetDict,
    loaders: dict[str, DataLoader],
) -> None:
    """Calibrate the best model on validation pictures, write the model folder, and measure it as its users will."""
    model = FakeFaceForImageClassification.from_pretrained(run / "best")
    prepared = accelerator.prepare_model(model, evaluation_mode=True)
    found = [margins(accelerator, prepared, loader) for loader in loaders.values()]
    if accelerator.is_main_process:
        try:
            both = (np.concatenate(parts) for parts in zip(*found, strict=True))
            calibration = fit(*both, target_fpr=recipe.target_fpr)
            calibration.store(model.config)
        except ValueError as error:
            accelerator.print(f"the model stays uncalibrated: {error}")
        folder = save_model_folder(run / "model", unwrap(accelerator, prepared), processor, half=recipe.half)
        shutil.copy(run / "run.json", folder / TRAINING_RECORD)
        options = {"how": recipe.augmentation_settings(), "seed": recipe.seed, "workers": recipe.workers}
        scores, report = evaluate_folder(folder, splits, shlex.join(sys.argv), **options)
        write_report(run, scores, report)
        accelerator.print(markdown(report), f"model folder: {folder}", sep="\n")
    accelerator.wait_for_everyone()


if __name__ == "__main__":
    main()
