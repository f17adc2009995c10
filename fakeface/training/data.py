"""The pictures of a run: splits, matched copies, and the loaders of training and validation."""

import json
import shutil
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from accelerate import Accelerator
from datasets import Dataset, DatasetDict, concatenate_datasets
from torch.utils.data import DataLoader

from ..data.equalise import History
from ..data.faces import only_faces, with_faces
from ..data.loading import DataError, fingerprint, open_dataset, prepare_splits, take_evenly, training_only
from ..data.matching import match_dataset, write_matched
from ..data.streaming import Stream, open_stream
from ..data.views import BalancedSampler, Pictures, View
from ..detector.preparation import Preparer
from ..faces import FaceFinder
from ..image_processing_fakeface import FakeFaceImageProcessor
from ..recipe import Recipe, RecipeError, named_pictures
from .batches import Batches, DrawnBatches, StreamedBatches
from .stopping import outlive_first_sigterm

FACES = "faces.parquet"  # in the run folder: the faces that were found


def load_splits(run: Path, recipe: Recipe, accelerator: Accelerator) -> tuple[Dataset | Stream, DatasetDict, list[str]]:
    """Open and split the data; the main process first, so that the others find its cache.

    Where the recipe cuts faces, all splits have them (see `with_faces`), and those to train and to choose by no others.

    Returns:
        The training pictures; all splits that are at hand; and the messages of the refused pictures.

    Raises:
        DataError: the data cannot be used, or a split lacks pictures or a label.
        RecipeError: the file that `leave_out` names cannot be read, or holds something else than sha256.
    """
    workers = max(1, recipe.workers)
    with accelerator.main_process_first():
        if recipe.streaming:
            training, splits, refused = open_stream(recipe.data[0], run / "held-out", workers, recipe.labels)
        else:
            dataset = take_evenly(open_dataset(recipe.data, labels=recipe.labels), recipe.limit)
            splits, refused = prepare_splits(dataset, **recipe.split_options())
            training = splits.pop("train")
            if recipe.train_only:
                extra, more = training_only(
                    open_dataset(recipe.train_only, labels=recipe.labels), training, splits, workers
                )
                training, refused = concatenate_datasets([training, extra]), [*refused, *more]
            if recipe.leave_out:
                named = named_pictures(recipe.leave_out)
                kept = [i for i, sha256 in enumerate(training["sha256"]) if sha256 not in named]
                gone = len(training) - len(kept)
                accelerator.print(f"left out of training: {gone} of the {len(named)} pictures in {recipe.leave_out}")
                training = training.select(kept)
            if recipe.source_cap:
                training = training.select(capped(training["sha256"], origins(training), recipe.source_cap))
            if recipe.face_cut == "landmarks":
                training = only_faces(with_faces(training, workers, run / FACES))
                splits = DatasetDict({name: with_faces(part, workers, run / FACES) for name, part in splits.items()})
                if "validation" in splits:
                    splits["validation"] = only_faces(splits["validation"])
            if recipe.matched:
                training = concatenate_datasets([training, matched_pictures(run, recipe, training)])
            two_labels("train", training)
    if "validation" not in splits:
        raise DataError("no validation pictures: the best epoch is chosen on them; raise split_fractions")
    two_labels("validation", splits["validation"])
    for message in refused[:20]:
        accelerator.print(f"refused: {message}")
    size = f"stream of {training.rows.num_shards} shards" if isinstance(training, Stream) else len(training)
    others = "".join(f"{name} {len(part)}, " for name, part in splits.items())
    accelerator.print(f"train {size}, {others}refused {len(refused)}")
    if isinstance(training, Dataset):
        splits["train"] = training
    return training, splits, refused


def take_faces(run: Path, other: Path) -> None:
    """Have another run folder begin with the faces that were found in a run, so that they are not searched again."""
    if (run / FACES).is_file() and not (other / FACES).exists():
        other.mkdir(parents=True, exist_ok=True)
        shutil.copy(run / FACES, other / FACES)


def capped(hashes: Sequence[str], sources: Sequence[str], most: int) -> list[int]:
    """Places of at most so many pictures of each source, in order: those whose sha256 is smallest, a draw by lot."""
    kept: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
    for place, (sha256, source) in enumerate(zip(hashes, sources, strict=True)):
        kept[source].append((sha256, place))
    return sorted(place for rows in kept.values() for _, place in sorted(rows)[:most])


def face_cutter(recipe: Recipe, processor: FakeFaceImageProcessor) -> Preparer | None:
    """Cuts faces as the finished model will; `None` where the pictures are face crops."""
    if recipe.face_cut == "none":
        return None
    finder = FaceFinder.from_pretrained()
    return Preparer(
        processor.size, recipe.crop_fraction, recipe.face_margin, finder=finder, face_cut=recipe.face_cut
    )  # fmt: skip


def two_labels(name: str, part: Dataset) -> None:
    """Raises DataError where a split has pictures of one label only."""
    if len(set(part["label"])) < 2:
        raise DataError(f"the {name} split has pictures of one label only; both are needed")


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


def origins(part: Dataset) -> list[str]:
    """The source of each picture; of a reconstruction, which carries the source of its photograph, the generator.

    Else a few reconstructions of several sources would be drawn as often as whole sources of generated pictures.
    """
    columns = list(zip(part["label"], part["source"], part["generator"], strict=True))
    photographed = {source for label, source, _ in columns if label == 0}
    return [generator if label and source in photographed else source for label, source, generator in columns]


def training_batches(
    recipe: Recipe, part: Dataset | Stream, processor: FakeFaceImageProcessor, accelerator: Accelerator
) -> Batches:
    """Training pictures, freshly augmented in each epoch, in batches of this rank.

    Raises:
        RecipeError: an epoch has not the pictures of one step, or its length is not known.
    """
    samples, together = recipe.samples_per_epoch or len(part), global_batch(recipe, accelerator.num_processes)
    if not samples:
        raise RecipeError("the stream does not say how many pictures it has: set samples_per_epoch")
    if samples < together:
        raise RecipeError(
            f"{samples} draws in an epoch do not fill one step of {together} pictures (batch_size {recipe.batch_size} "
            f"x gradient_accumulation {recipe.gradient_accumulation} x {accelerator.num_processes} ranks); "
            "lower one, or raise samples_per_epoch"
        )
    steps = samples // together
    accelerator.print(
        f"{accelerator.num_processes} ranks x batch_size {recipe.batch_size} x gradient_accumulation "
        f"{recipe.gradient_accumulation} = {together} pictures a step, {steps} steps an epoch"
    )
    small = FakeFaceImageProcessor(size=recipe.small_size, crop_fraction=recipe.crop_fraction)
    how = recipe.augmentation_settings()
    name = "paired" if recipe.consistency_weight else "augmented"
    view = View(processor, name, how, recipe.seed, small, recipe.small_epochs, cut=face_cutter(recipe, processor))
    if isinstance(part, Stream):
        return StreamedBatches(part.rows, view, recipe, accelerator, steps * recipe.gradient_accumulation)
    pictures = Pictures(part, view)
    sampler = BalancedSampler(part["label"], origins(part), samples, recipe.source_balance, recipe.seed, together)
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
    return DrawnBatches(loader, sampler, pictures, accelerator)


def validation_loader(recipe: Recipe, part: Any, processor: FakeFaceImageProcessor, view: str) -> DataLoader:
    """Every picture of a part once, in a view of `fakeface.data.views.Pictures`."""
    cut = face_cutter(recipe, processor)
    pictures = Pictures(part, View(processor, view, recipe.augmentation_settings(), recipe.seed, cut=cut))
    return DataLoader(
        pictures,
        batch_size=2 * recipe.batch_size,
        num_workers=recipe.workers,
        worker_init_fn=outlive_first_sigterm,
    )


__all__ = [
    "FACES",
    "face_cutter",
    "global_batch",
    "load_splits",
    "matched_pictures",
    "origins",
    "take_faces",
    "training_batches",
    "validation_loader",
]
