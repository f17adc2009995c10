"""Score every picture of a dataset in every view: clean, delivered, and each step of the sweep."""

import hashlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd
import torch
from datasets import Dataset, DatasetDict
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from ..data.columns import FACE_COLUMNS
from ..data.views import Pictures, View
from ..delivery.augment import Augmentation
from ..delivery.sweep import SWEEP
from ..detector.preparation import Preparer
from .cache import Key, ScoreCache
from .subjects import Subject

if TYPE_CHECKING:
    from accelerate import Accelerator

WHOLE = "all"  # the split of a dataset that is measured as a whole
MEASURED = ("validation", "test", "unseen", WHOLE)
VIEWS = ("clean", "delivered")
COLUMNS = ("sha256", "label", "source", "generator")


class _Part(NamedTuple):
    """A split in a view, and the key of each of its pictures."""

    split: str
    view: str
    dataset: Dataset
    keys: list[Key]


def score_splits(
    subject: Subject,
    splits: DatasetDict,
    *,
    how: Augmentation | None = None,
    seed: int = 0,
    batch_size: int = 32,
    workers: int = 0,
    sweep: bool = False,
    steps: Sequence[str] = (),
    cache: ScoreCache | None = None,
    accelerator: "Accelerator | None" = None,
    cut: Preparer | None = None,
) -> pd.DataFrame:
    """Score every measured picture in every view.

    Args:
        subject: the model under test, at the precision its users get.
        splits: from `fakeface.evaluation.inputs`.
        how, seed: of the delivered view; `seed` also of the sweep.
        batch_size: pictures to a forward pass.
        workers: processes that decode.
        sweep: also every step of the delivery sweep, of all pictures but those of validation.
        steps: different names of `SWEEP`: also these, of all pictures; with `sweep`, of those of validation.
        cache: scores that need no computing again; new ones are added.
        accelerator: of several ranks, which then share the work; the cache must be in a folder that all of them see.
        cut: as of `View`: scores are those of the faces in the pictures.

    Returns:
        A row for each picture and view: `split, view`, the columns of the data but the picture, and `score`.
    """
    cache = ScoreCache() if cache is None else cache
    parts = parts_of(splits, how, seed, sweep, steps)
    rank, ranks = (accelerator.process_index, accelerator.num_processes) if accelerator else (0, 1)
    options: dict[str, Any] = {"how": how, "seed": seed, "batch_size": batch_size, "workers": workers, "cut": cut}
    fill(subject, parts, cache, **options, rank=rank, ranks=ranks)
    if accelerator and ranks > 1:
        accelerator.wait_for_everyone()
        cache.load()
    return collect(parts, cache)


def fill(
    subject: Subject,
    parts: Sequence[_Part],
    cache: ScoreCache,
    *,
    how: Augmentation | None,
    seed: int,
    batch_size: int,
    workers: int,
    cut: Preparer | None = None,
    rank: int = 0,
    ranks: int = 1,
) -> None:
    """Add to the cache what it lacks.

    A batch holds the same pictures whatever is known already and on any number of ranks, since the last digits of a
    score depend on the batch. Every rank takes every n-th.
    """
    work = []
    for part in parts:
        batches = [range(at, min(at + batch_size, len(part.keys))) for at in range(0, len(part.keys), batch_size)]
        work.append([rows for rows in batches[rank::ranks] if any(part.keys[i] not in cache for i in rows)])
    bar = tqdm(total=sum(map(len, work)), desc="Scoring", unit="batch", disable=rank > 0)
    for part, todo in zip(parts, work, strict=True):
        bar.set_postfix_str(f"{part.split}, {part.view}")
        pictures = Pictures(part.dataset, View(subject.processor, part.view, how or Augmentation(), seed, cut=cut))
        loader = DataLoader(pictures, batch_sampler=todo, num_workers=workers if todo else 0, collate_fn=_inputs)  # type: ignore[arg-type]
        for rows, inputs in zip(todo, loader, strict=True):
            cache.add([part.keys[i] for i in rows], subject.score(inputs).tolist())
            bar.update()
    bar.close()


def collect(parts: Sequence[_Part], cache: ScoreCache) -> pd.DataFrame:
    """The table of `score_splits`, from a cache that lacks nothing."""
    tables = []
    for part in parts:
        told = part.dataset.select_columns(_told(part.dataset)).to_pandas()
        scores = [cache[key] for key in part.keys]
        tables.append(pd.DataFrame(told).assign(split=part.split, view=part.view, score=scores))
    table = pd.concat(tables, ignore_index=True)
    first = ["split", "view", *COLUMNS]
    return table.reindex(columns=[*first, *(name for name in table.columns if name not in (*first, "score")), "score"])


def _told(dataset: Dataset) -> list[str]:
    """Columns that go into the table of scores."""
    return [name for name in dataset.column_names if name not in ("image", *FACE_COLUMNS)]


def parts_of(
    splits: DatasetDict,
    how: Augmentation | None = None,
    seed: int = 0,
    sweep: bool = False,
    steps: Sequence[str] = (),
) -> list[_Part]:
    """Every split in every view it is scored in; arguments as of `score_splits`."""
    return list(_parts(splits, how or Augmentation(), seed, sweep, steps))


def _parts(splits: DatasetDict, how: Augmentation, seed: int, sweep: bool, steps: Sequence[str]) -> Iterator[_Part]:
    settings = hashlib.sha256(repr((how, seed)).encode()).hexdigest()[:16]
    for split in (name for name in MEASURED if name in splits):
        part = splits[split]
        hashes = part["sha256"][:]
        yield _Part(split, "clean", part, [Key(sha256, "clean") for sha256 in hashes])
        # A delivery is drawn for a place in the split.
        delivered = [Key(sha256, f"delivered {settings} {i}") for i, sha256 in enumerate(hashes)]
        yield _Part(split, "delivered", part, delivered)
        for view in SWEEP if sweep and split != "validation" else steps:
            yield _Part(split, view, part, [Key(sha256, f"{view}, seed {seed}") for sha256 in hashes])


def _inputs(items: list[dict[str, Any]]) -> list[torch.Tensor]:
    return [item["pixel_values"] for item in items]
