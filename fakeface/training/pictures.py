"""The pictures of a run: splits, matched copies, and the loaders of training and validation."""

import json
import shutil
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from accelerate import Accelerator
from datasets import Dataset, DatasetDict, concatenate_datasets
from torch.utils.data import DataLoader

from ..data.equalise import History
from ..data.loading import DataError, fingerprint, open_dataset, prepare_splits
from ..data.matching import match_dataset, write_matched
from ..data.pictures import BalancedSampler, Pictures
from ..image_processing_fakeface import FakeFaceImageProcessor
from ..recipe import Recipe, RecipeError
from .stopping import outlive_first_sigterm


def load_splits(run: Path, recipe: Recipe, accelerator: Accelerator) -> tuple[DatasetDict, list[str]]:
    """Open and split the data; the main process first, so that the others find its cache.

    Returns:
        The splits and the messages of the refused pictures.

    Raises:
        DataError: the data cannot be used, or a split lacks pictures or a label.
    """
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
    matched = cast(Dataset, Dataset.from_parquet([str(file) for file in sorted(folder.glob("*.parquet"))]))
    return matched.select_columns(part.column_names).cast(part.features)


def global_batch(recipe: Recipe, ranks: int) -> int:
    """Pictures of one optimiser step, over all ranks and steps of accumulation."""
    return recipe.batch_size * recipe.gradient_accumulation * ranks


def training_loader(
    recipe: Recipe, part: Dataset, processor: FakeFaceImageProcessor, accelerator: Accelerator
) -> tuple[Pictures, BalancedSampler, DataLoader]:
    """Draws of training pictures, freshly augmented in each epoch; batches of one rank.

    Raises:
        RecipeError: an epoch has not the pictures of one step.
    """
    samples, together = recipe.samples_per_epoch or len(part), global_batch(recipe, accelerator.num_processes)
    if samples < together:
        raise RecipeError(
            f"{samples} draws in an epoch do not fill one step of {together} pictures (batch_size {recipe.batch_size} "
            f"x gradient_accumulation {recipe.gradient_accumulation} x {accelerator.num_processes} ranks); "
            "lower one, or raise samples_per_epoch"
        )
    accelerator.print(
        f"{accelerator.num_processes} ranks x batch_size {recipe.batch_size} x gradient_accumulation "
        f"{recipe.gradient_accumulation} = {together} pictures a step, {samples // together} steps an epoch"
    )
    sampler = BalancedSampler(part["label"], part["source"], samples, recipe.source_balance, recipe.seed, together)
    pictures = Pictures(part, processor, "augmented", recipe.augmentation_settings(), recipe.seed)
    loader = DataLoader(
        pictures,
        batch_size=recipe.batch_size,
        sampler=sampler,
        num_workers=recipe.workers,
        worker_init_fn=outlive_first_sigterm,
        persistent_workers=recipe.workers > 0,
        drop_last=True,  # a last batch of one would break BatchNorm
        generator=torch.Generator().manual_seed(recipe.seed),  # apart from the global one, for a bit-identical resume
        pin_memory=accelerator.device.type == "cuda",
    )
    return pictures, sampler, loader


def validation_loader(recipe: Recipe, part: Any, processor: FakeFaceImageProcessor, view: str) -> DataLoader:
    """Every picture of a part once, in a view of `fakeface.data.pictures.Pictures`."""
    pictures = Pictures(part, processor, view, recipe.augmentation_settings(), recipe.seed)
    return DataLoader(
        pictures,
        batch_size=2 * recipe.batch_size,
        num_workers=recipe.workers,
        worker_init_fn=outlive_first_sigterm,
    )


__all__ = ["global_batch", "load_splits", "matched_pictures", "training_loader", "validation_loader"]
