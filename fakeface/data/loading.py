"""Open a labelled set of face pictures: parquet files, an image folder or a Hub dataset."""

import glob
import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
from datasets import ClassLabel, Dataset, DatasetDict, Image, Value, concatenate_datasets, load_dataset
from datasets import config as datasets_config
from huggingface_hub.constants import HF_HUB_CACHE

from ..configuration_fakeface import LABELS
from ..images import PictureError, list_pictures, load_picture
from .splits import assign_splits, near_duplicate_groups, phash, unknown_names

# `split_hint` values of datasets that name their own held-out sources.
UNSEEN_HINTS = {"unseen", "unseen-source"}
PHASH = re.compile("[0-9a-f]{16}")
# What a dataset may say of its pictures' files as they were found, and which pictures belong together.
NATIVE = {
    "native_width": "int64",
    "native_height": "int64",
    "native_format": "string",
    "native_jpeg_quality": "int64",
    "native_subsampling": "string",
    "native_has_metadata": "bool",
}
TOGETHER = {"group": "int64", "pair": "int64"}


class DataError(ValueError):
    """The data cannot be used; the message names it and the cure."""


def open_dataset(data: str | list[str], *, records: bool = False, columns: Sequence[str] = ()) -> Dataset:
    """Open a dataset with the columns `image` (undecoded), `label`, `source` and `generator`.

    Args:
        data: one or several of: a parquet file or glob; a folder of parquet files; a folder with `real/` and
            `generated/` inside, where a deeper folder names the source (`generated/stylegan2/a.jpg`); a Hub dataset.
        records: keep the columns of `NATIVE` and `TOGETHER` too, where they are there.
        columns: keep these too.

    Raises:
        DataError: nothing is there, or a column or label is not as it must be.
    """
    parts = [_open_one(part, records, columns) for part in ([data] if isinstance(data, str) else data)]
    if not parts:
        raise DataError("no data given: name parquet files, an image folder or a Hub dataset")
    return concatenate_datasets(parts)


def _open_one(data: str, records: bool, columns: Sequence[str]) -> Dataset:
    path = Path(data).expanduser()
    if path.is_dir():
        # Beside its `data/`, a dataset that `fakeface data build` made has a parquet file of rejects.
        built = path / "build.json"
        files = sorted(str(file) for file in (path / "data" if built.is_file() else path).rglob("*.parquet"))
        if not files:
            return normalise(_image_folder(path), data, records, columns)
        dataset = _parquet(files, data)
    elif files := [str(path)] if path.is_file() else sorted(glob.glob(str(path), recursive=True)):
        if not all(file.endswith(".parquet") for file in files):
            raise DataError(f"{data}: give parquet files, a folder, or the name of a Hub dataset")
        dataset = _parquet(files, data)
    elif data.count("/") <= 1 and not data.startswith((".", "~", "/")) and "*" not in data:
        dataset = _hub_dataset(data)
    else:
        raise DataError(f"{data}: no such file or folder")
    return own_pictures(normalise(dataset, data, records, columns))


def own_pictures(dataset: Dataset) -> Dataset:
    """Without the paths of rows that hold no bytes: a stranger's table could name any file of this machine.

    What `datasets` fetched itself, the pictures of a Hub dataset made of files, lies in its cache and stays.
    """
    column = dataset.data.column("image")
    if not pc.struct_field(column, "bytes").null_count:  # pyright: ignore[reportAttributeAccessIssue]
        return dataset
    caches = [Path(place).resolve() for place in (datasets_config.HF_DATASETS_CACHE, HF_HUB_CACHE)]

    def own(image: dict[str, Any] | None) -> dict[str, Any] | None:
        path = image["path"] if image and image["bytes"] is None else None
        if path is None or any(Path(path).resolve().is_relative_to(cache) for cache in caches):
            return image
        return {"bytes": None, "path": None}

    return dataset.map(
        lambda batch: {"image": [own(image) for image in batch["image"]]}, batched=True, features=dataset.features
    )


def _parquet(files: list[str], data: str) -> Dataset:
    try:
        # Names go through `glob` once more inside; escaped, they are taken as they are.
        return load_dataset("parquet", data_files=[glob.escape(file) for file in files], split="train")
    except Exception as error:  # Arrow's and datasets' own types, for broken files and for columns that differ
        raise DataError(f"{data}: not readable as parquet ({error})") from error


def _hub_dataset(name: str) -> Dataset:
    try:
        loaded = load_dataset(name)
    except Exception as error:  # the client raises a dozen unrelated types: offline, gated, missing, malformed
        raise DataError(f"{name}: neither a local path nor a Hub dataset that can be opened ({error})") from error
    if not isinstance(loaded, DatasetDict):
        raise DataError(f"{name}: opens as a stream, which only training reads, with `streaming: true`")
    named = []
    for split, dataset in loaded.items():
        # A single split is all there is, whatever its name, and is ours to split.
        if len(loaded) > 1 and "split" not in dataset.column_names:
            dataset = dataset.add_column("split", [str(split)] * len(dataset))
        named.append(dataset)
    return concatenate_datasets(named)


def _image_folder(path: Path) -> Dataset:
    rows: dict[str, list[Any]] = {"image": [], "label": [], "source": [], "generator": []}
    for label, name in enumerate(LABELS):
        if not (path / name).is_dir():
            raise DataError(f"{path}: no folder {name!r} in it; lay pictures out as real/… and generated/…")
        for file in list_pictures([path / name]):
            deeper = file.relative_to(path / name).parts[:-1]
            rows["image"].append(str(file))
            rows["label"].append(label)
            rows["source"].append(deeper[0] if deeper else f"{path.name}-{name}")
            rows["generator"].append("none" if name == "real" else (deeper[0] if deeper else "unknown"))
    return Dataset.from_dict(rows)


def check_features(features: Mapping[str, Any], data: str) -> None:
    """Raises DataError where `image` or `label` is missing, or label names are not ours in our order."""
    for column in ("image", "label"):
        if column not in features:
            raise DataError(f"{data}: no column {column!r}; found {', '.join(features) or 'none'}")
    label = features["label"]
    if isinstance(label, ClassLabel) and list(label.names) != list(LABELS):
        raise DataError(f"{data}: labels are {list(label.names)}; they must be {list(LABELS)}, in this order")


def normalise(dataset: Dataset, data: str, records: bool, columns: Sequence[str]) -> Dataset:
    """Bring types to one form; refuse what would silently train on the wrong labels."""
    if not len(dataset):
        raise DataError(f"{data}: no pictures in it")
    check_features(dataset.features, data)
    if not set(dataset.unique("label")) <= set(range(len(LABELS))):
        found = ", ".join(sorted(map(str, dataset.unique("label"))))
        raise DataError(f"{data}: labels must be 0 (real) and 1 (generated), not {found}")
    for column, value in (("source", Path(data).name), ("generator", "unknown")):
        if column not in dataset.column_names:
            dataset = dataset.add_column(column, [value] * len(dataset))
        dataset = dataset.cast_column(column, Value("string"))
    dataset = dataset.cast_column("image", Image(decode=False))
    keep = ["image", "label", "source", "generator", "split", "split_hint", "phash"]
    if records:
        dataset = _typed(dataset, data, {**NATIVE, **TOGETHER})
        keep += [*NATIVE, *TOGETHER]
    if missing := [column for column in columns if column not in dataset.column_names]:
        raise DataError(f"{data}: no column {missing[0]!r}; found {', '.join(dataset.column_names)}")
    keep += [column for column in columns if column not in keep]
    dataset = dataset.select_columns([column for column in keep if column in dataset.column_names])
    return dataset.cast_column("label", ClassLabel(names=list(LABELS)))


def _typed(dataset: Dataset, data: str, kinds: dict[str, str]) -> Dataset:
    """Cast those columns that are there, so that several datasets fit together."""
    for column, kind in kinds.items():
        if column in dataset.column_names:
            try:
                dataset = dataset.cast_column(column, Value(kind))
            except Exception as error:  # Arrow has a type for each way in which values do not fit
                raise DataError(f"{data}: column {column!r} does not hold values of type {kind} ({error})") from error
    return dataset


def examine(row: dict[str, Any], index: int) -> dict[str, str]:
    """Decode one picture once: why it is refused (empty when fine), its perceptual hash, and a hash of its bytes."""
    image = row["image"] or {}
    given = row.get("phash") or ""
    try:
        picture = load_picture(image, name=image.get("path") or f"row {index} of {row['source']}")
        data = image["bytes"] if image["bytes"] is not None else Path(image["path"]).read_bytes()
    except (PictureError, OSError) as error:
        return {"refused": str(error), "phash": given, "sha256": ""}
    # Other tools keep hashes of other kinds under this name; only ours can be compared.
    hash_ = given if PHASH.fullmatch(given) else phash(picture)
    return {"refused": "", "phash": hash_, "sha256": hashlib.sha256(data).hexdigest()}


def checked(dataset: Dataset, workers: int = 1) -> tuple[Dataset, list[str]]:
    """The readable pictures, with `phash` and `sha256` columns, and the messages of the refused ones.

    Args:
        dataset: from `open_dataset`.
        workers: processes that decode.
    """
    examined = dataset.map(
        examine, with_indices=True, num_proc=workers if workers > 1 else None, desc="Checking pictures"
    )
    refused = [message for message in examined["refused"] if message]
    good = [i for i, message in enumerate(examined["refused"]) if not message]
    return examined.select(good).remove_columns("refused"), refused


def prepare_splits(
    dataset: Dataset,
    *,
    hold_out: list[str] | None = None,
    fractions: tuple[float, float] = (0.1, 0.2),
    seed: int = 0,
    workers: int = 1,
) -> tuple[DatasetDict, list[str]]:
    """Refuse broken pictures and split the rest; near duplicates never stand on both sides.

    A `split` column is obeyed as it is. Otherwise pictures of the sources and generators in `hold_out`, and those
    whose `split_hint` says so, become `unseen`, and the others are split per source.

    Args:
        dataset: from `open_dataset`.
        hold_out: sources or generators to keep out of training, validation and test.
        fractions: share of each source for validation and test.
        seed: of the split.
        workers: processes that decode.

    Returns:
        The splits, each with `phash` and `sha256` columns, and the messages of the refused pictures.

    Raises:
        DataError: a name in `hold_out` stands nowhere, a part of the data has no `split` where another has, or no
            training pictures are left.
    """
    hold_out = hold_out or []
    if unknown := unknown_names(hold_out, dataset.unique("source"), dataset.unique("generator")):
        raise DataError(f"hold_out names {unknown}, which is neither a source nor a generator of this data")
    dataset, refused = checked(dataset, workers)
    if "split" in dataset.column_names:
        if hold_out:
            raise DataError(
                f"the data name their own splits, so {hold_out} cannot be held out; drop their `split` column"
            )
        splits = list(dataset["split"])
        if not all(splits):
            raise DataError("some pictures name their split and some do not: give all parts of the data one, or none")
    else:
        hints = dataset["split_hint"] if "split_hint" in dataset.column_names else [""] * len(dataset)
        columns = zip(dataset["source"], dataset["generator"], hints, strict=True)
        unseen = [s in hold_out or g in hold_out or hint in UNSEEN_HINTS for s, g, hint in columns]
        groups = near_duplicate_groups(dataset["phash"])
        splits = assign_splits(dataset["source"], groups, dataset["sha256"], unseen, fractions, seed)
    rows: dict[str, list[int]] = {}
    for i, split in enumerate(splits):
        rows.setdefault(split, []).append(i)
    if "train" not in rows:
        raise DataError(f"no pictures to train on; the splits found are {sorted(rows)}")
    return DatasetDict({split: dataset.select(rows[split]) for split in sorted(rows)}), refused


def training_only(
    dataset: Dataset, training: Dataset, held_out: DatasetDict, workers: int = 1
) -> tuple[Dataset, list[str]]:
    """Pictures to add to the training split: none of them a near duplicate of a picture outside of it.

    Made for hard negatives such as reconstructions, which share a photograph's content and hence its side of the split.

    Args:
        dataset: from `open_dataset`.
        training: the training split.
        held_out: the other splits.
        workers: processes that decode.

    Returns:
        The pictures, with the columns of the training split, and the messages of the refused ones.
    """
    dataset, refused = checked(dataset, workers)
    others = [hash_ for part in held_out.values() for hash_ in part["phash"]]
    groups = near_duplicate_groups([*others, *dataset["phash"]])
    taken = set(groups[: len(others)])
    extra = dataset.select([i for i, group in enumerate(groups[len(others) :]) if group not in taken])
    return extra.select_columns(training.column_names).cast(training.features), refused


def fingerprint(dataset: Dataset) -> str:
    """sha256 over the pictures' bytes, labels, sources and generators, in order: same data, same fingerprint."""
    digest = hashlib.sha256()
    columns = (dataset["sha256"], dataset["label"], dataset["source"], dataset["generator"])
    for row in zip(*columns, strict=True):
        digest.update(repr(row).encode())
    return digest.hexdigest()
