"""A dataset too large to download: its training pictures as a stream, its other splits at hand."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from datasets import (
    ClassLabel,
    Dataset,
    DatasetDict,
    Features,
    Image,
    IterableDataset,
    IterableDatasetDict,
    load_dataset,
)
from huggingface_hub import HfApi

from ..configuration_fakeface import LABELS
from ..utils.label_names import LabelsError, stated_order
from .columns import label_of, label_table, normalise
from .loading import DataError, checked, own_pictures

TRAIN, VALIDATION = "train", "validation"


@dataclass(frozen=True)
class Stream:
    """Training pictures that are read as they are needed.

    Attributes:
        rows: `image`, undecoded, and `label`.
        identity: what they are of: the commit of a Hub dataset, or a sha256 of a folder's file names and sizes.
    """

    rows: IterableDataset
    identity: str

    def __len__(self) -> int:
        """How many rows there are, as the publisher states it; 0 where he does not."""
        stated = (self.rows.info.splits or {}).get(str(self.rows.split))
        return (stated.num_examples or 0) if stated else 0


def open_stream(
    data: str, folder: Path, workers: int = 1, labels: Sequence[str] = ()
) -> tuple[Stream, DatasetDict, list[str]]:
    """Open a dataset that names its own splits, without fetching its training pictures.

    Args:
        data: a Hub dataset, or a folder laid out as one, in parquet files with the pictures inside: those of
            `fakeface data build` and `fakeface data push` are.
        folder: where the pictures of the other splits are kept.
        workers: processes that decode those.
        labels: as for `fakeface.data.loading.open_dataset`.

    Returns:
        The training pictures, undecoded; the other splits, with `phash` and `sha256` columns; and the messages of
        their refused pictures.

    Raises:
        DataError: the data cannot be opened, lacks one of the two splits, or columns are not as they must be.
    """
    try:
        stated = stated_order(labels)
    except LabelsError as error:
        raise DataError(str(error)) from None
    try:
        identity = identity_of(data)
        loaded = load_dataset(data, revision=None if Path(data).is_dir() else identity, streaming=True)
    except Exception as error:  # as for datasets that are not streamed
        raise DataError(f"{data}: neither a folder laid out as a dataset nor a Hub dataset ({error})") from error
    splits = [str(name) for name in loaded] if isinstance(loaded, IterableDatasetDict) else []
    if not {TRAIN, VALIDATION} <= set(splits):
        raise DataError(
            f"{data}: a stream comes with its splits, {TRAIN} and {VALIDATION}, and is not split here; found "
            f"{', '.join(splits) or 'none'}"
        )
    held_out, refused = DatasetDict(), []
    for name, rows in loaded.items():
        if name != TRAIN:
            part = own_pictures(normalise(at_hand(rows, folder / str(name)), data, False, (), stated))
            held_out[str(name)], messages = checked(part, workers)
            refused += messages
    return Stream(undecoded(loaded[TRAIN], data, stated), identity), held_out, refused


def undecoded(rows: IterableDataset, data: str, stated: Sequence[str] = ()) -> IterableDataset:
    """A stream's `image`, as bytes, and `label`, as ours. Raises DataError where a column is missing or untold."""
    table = label_table(rows.features or {}, data, stated)
    rows = rows.select_columns(["image", "label"]).cast_column("image", Image(decode=False))
    if table == list(range(len(LABELS))):
        return rows
    features = Features({"image": Image(decode=False), "label": ClassLabel(names=list(LABELS))})
    return rows.map(partial(_with_our_label, table=table, data=data, stated=tuple(stated)), features=features)


def _with_our_label(
    row: dict[str, Any], table: Sequence[int] | None, data: str, stated: Sequence[str]
) -> dict[str, Any]:
    return {"label": label_of(row["label"], table, data, stated)}


def at_hand(rows: IterableDataset, folder: Path) -> Dataset:
    """All rows of a stream, in a file of the folder."""
    found = rows.cast_column("image", Image(decode=False)) if "image" in (rows.features or {}) else rows
    dataset = Dataset.from_generator(_rows, gen_kwargs={"rows": found}, features=found.features, cache_dir=str(folder))
    assert isinstance(dataset, Dataset)
    return dataset


def _rows(rows: IterableDataset) -> Iterator[dict[str, Any]]:
    yield from rows


def identity_of(data: str) -> str:
    """See `Stream.identity`."""
    folder = Path(data)
    if not folder.is_dir():
        return HfApi().dataset_info(data).sha or ""
    files = sorted((file.relative_to(folder).as_posix(), file.stat().st_size) for file in folder.rglob("*.parquet"))
    return hashlib.sha256(json.dumps(files).encode()).hexdigest()
