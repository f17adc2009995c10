"""Open a labelled set of face pictures: parquet files, an image folder or a Hub dataset."""

import glob
import hashlib
import logging
import re
from collections.abc import Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value, concatenate_datasets, load_dataset
from datasets import config as datasets_config
from huggingface_hub.constants import HF_HUB_CACHE

from ..configuration_fakeface import LABELS
from ..images.load import PictureError, list_pictures, load_picture
from ..utils.label_names import SPLITS, LabelsError, stated_order, told_by_folders
from ..utils.spread import spread_evenly
from .columns import FACE_COLUMNS, FAMILY, normalise
from .names import DataError, refuse_missing
from .sources.layout import metadata_lists, own_list
from .sources.reference import UNTOLD, Reference
from .sources.tables import CsvList
from .splits import assign_splits, near_duplicate_groups, phash, unknown_names

logger = logging.getLogger(__name__)

# `split_hint` values of datasets that name their own held-out sources.
UNSEEN_HINTS = {"unseen", "unseen-source"}
PHASH = re.compile("[0-9a-f]{16}")


def open_dataset(
    data: str | list[str], *, records: bool = False, columns: Sequence[str] = (), labels: Sequence[str] = ()
) -> Dataset:
    """Open a dataset with the columns `image` (undecoded), `label`, `source` and `generator`.

    Labels are told by their names (see `fakeface.utils.label_names`), in whatever order these are numbered.

    Args:
        data: one or several of: a parquet file or glob; a folder of parquet files; a folder with `real/` and
            `generated/` (or `fake/`, `ai/`, …) inside, where a deeper folder names the source
            (`generated/stylegan2/a.jpg`), and which may stand in `train/`, `validation/` and `test/`; a folder with
            lists called metadata.csv or metadata.jsonl; such a list under any name, with the columns `path` (or
            `file_name`, `image`) and `label`; a Hub dataset.
        records: keep the columns of `NATIVE` and `TOGETHER` too, where they are there.
        columns: keep these too.
        labels: what labels mean that are numbers without names, in the order of the numbers: `("real", "generated")`
            or `("generated", "real")`. Without, such labels are refused.

    Raises:
        DataError: nothing is there, a column is not as it must be, or nothing says what the labels mean.
    """
    names = [data] if isinstance(data, str) else data
    refuse_missing(names)
    try:
        stated = stated_order(labels)
    except LabelsError as error:
        raise DataError(str(error)) from None
    parts = [_open_one(part, records, columns, stated) for part in names]
    return concatenate_datasets(parts)


def _open_one(data: str, records: bool, columns: Sequence[str], stated: tuple[str, ...]) -> Dataset:
    path = Path(data).expanduser()
    if path.is_dir():
        # Beside its `data/`, a dataset that `fakeface data build` made has a parquet file of rejects.
        built = path / "build.json"
        files = sorted(str(file) for file in (path / "data" if built.is_file() else path).rglob("*.parquet"))
        if not files:
            return normalise(_image_folder(path, stated), data, records, columns)
        dataset = _parquet(files, data)
    elif path.is_file() and path.suffix.lower() in (".csv", ".jsonl"):
        return normalise(_of_folder(path.parent, [own_list(path.name, stated)], [path]), data, records, columns)
    elif files := [str(path)] if path.is_file() else sorted(glob.glob(str(path), recursive=True)):
        if not all(file.endswith(".parquet") for file in files):
            raise DataError(f"{data}: give parquet files, a CSV or JSONL list, a folder, or the name of a Hub dataset")
        dataset = _parquet(files, data)
    elif data.count("/") <= 1 and not data.startswith((".", "~", "/")) and "*" not in data:
        dataset = _hub_dataset(data)
    else:
        raise DataError(f"{data}: no such file or folder; check the path")
    return own_pictures(normalise(dataset, data, records, columns, stated))


def own_pictures(dataset: Dataset) -> Dataset:
    """Without the paths of rows that hold no bytes: an untrusted table could name any file of this machine.

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


def take_evenly(dataset: Dataset, limit: int) -> Dataset:
    """At most `limit` pictures, evenly spread over the dataset; all of them for 0."""
    return dataset.select(spread_evenly(len(dataset), limit)) if 0 < limit < len(dataset) else dataset


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
            dataset = dataset.add_column("split", [SPLITS.get(str(split).lower(), str(split))] * len(dataset))
        named.append(dataset)
    return concatenate_datasets(named)


def _image_folder(path: Path, stated: tuple[str, ...]) -> Dataset:
    lists = metadata_lists(path, stated)
    return _of_folder(path, lists, [file for each in lists for file in sorted(path.rglob(each.file))])


def _of_folder(path: Path, lists: Sequence[CsvList], files: Sequence[Path]) -> Dataset:
    """The pictures of a folder as rows of paths, labelled by lists or, without any, by the folders they lie in."""
    problems: list[str] = []
    if lists:
        of_file = {each.file: each for each in lists}
        found = [reference for file in files for reference in of_file[file.name].of_file(file, path, problems)]
    else:
        found = [Reference("", file.relative_to(path).as_posix()) for file in list_pictures([path])]
    if problems:
        raise DataError(problems[0])
    rows: list[tuple[str, int, str, str, str | None]] = []
    untold: list[str] = []
    for reference in found:
        folders = reference.path.split("/")[:-1]
        try:
            told = told_by_folders(folders)
        except LabelsError as error:
            if reference.label == UNTOLD:
                raise DataError(f"{path}: {error}") from None
            told = None
        label = told.label if told and reference.label == UNTOLD else reference.label
        if label == UNTOLD:
            untold.append(reference.path)
            continue
        deeper = told.deeper if told and told.label == label else ""
        source = deeper or f"{path.name}-{LABELS[label]}"
        generator = "none" if label == 0 else reference.generator or deeper or "unknown"
        split = next((SPLITS[name.lower()] for name in folders if name.lower() in SPLITS), None)
        rows.append((str(path / reference.path), label, source, generator, split))
    _tell_of(untold, path, {label for _, label, *_ in rows})
    if not lists:
        rows.sort(key=itemgetter(1))  # all that is real comes first, whatever the folders are called
    names = ["image", "label", "source", "generator", *(["split"] if any(split for *_, split in rows) else [])]
    kinds = {name: ClassLabel(names=list(LABELS)) if name == "label" else Value("string") for name in names}
    columns = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    return Dataset.from_dict(columns, features=Features(kinds))


def _tell_of(untold: Sequence[str], path: Path, labels: set[int]) -> None:
    """Log which pictures of a folder are left out, since nothing tells their label.

    Raises:
        DataError: there are no others, or the others have one label alone.
    """
    if not labels and not untold:
        raise DataError(f"{path}: no pictures in it; lay them out as real/… and generated/…")
    if len(labels) < len(LABELS) and untold:
        cure = "lay pictures out as real/… and generated/…, or list them in a metadata.csv"
        raise DataError(f"{path}: nothing says whether {untold[0]} is real; {cure}")
    if untold:
        logger.warning("%s: %d pictures are left out that no folder calls real or generated, such as %s",
                       path, len(untold), untold[0])  # fmt: skip


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
    learn_all: bool = False,
    fractions: tuple[float, float] = (0.1, 0.2),
    seed: int = 0,
    workers: int = 1,
) -> tuple[DatasetDict, list[str]]:
    """Refuse broken pictures and split the rest; near duplicates never stand on both sides.

    A `split` column is obeyed as it is; where it names no validation pictures, they are taken from those to train on.
    Otherwise pictures of the sources and generators in `hold_out`, and those
    whose `split_hint` says so, become `unseen`, and the others are split per source.

    Args:
        dataset: from `open_dataset`.
        hold_out: sources or generators to keep out of training, validation and test.
        learn_all: pictures for test, too, are there to train on, and unseen ones less their share for validation; what
            else there is for validation stays as it is without.
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
        if fractions[0] and "validation" not in splits:
            splits = _with_validation(dataset, splits, "train", fractions[0], seed)
    else:
        hints = dataset["split_hint"] if "split_hint" in dataset.column_names else [""] * len(dataset)
        columns = zip(dataset["source"], dataset["generator"], hints, strict=True)
        unseen = [s in hold_out or g in hold_out or hint in UNSEEN_HINTS for s, g, hint in columns]
        groups = near_duplicate_groups(dataset["phash"])
        splits = assign_splits(dataset["source"], groups, dataset["sha256"], unseen, fractions, seed)
    if learn_all:
        splits = _with_validation(dataset, splits, "unseen", fractions[0], seed)
        splits = ["train" if split in ("test", "unseen") else split for split in splits]
    rows: dict[str, list[int]] = {}
    for i, split in enumerate(splits):
        rows.setdefault(split, []).append(i)
    if "train" not in rows:
        raise DataError(f"no pictures to train on; the splits found are {sorted(rows)}")
    return DatasetDict({split: dataset.select(rows[split]) for split in sorted(rows)}), refused


def _with_validation(dataset: Dataset, splits: Sequence[str], name: str, share: float, seed: int) -> list[str]:
    """The splits, with a share of one of them for validation instead, no near duplicates on both sides."""
    rows = [i for i, split in enumerate(splits) if split == name]
    part = dataset.select(rows)
    groups = near_duplicate_groups(part["phash"])
    told = assign_splits(part["source"], groups, part["sha256"], [False] * len(rows), (share, 0.0), seed)
    taken = {row for row, split in zip(rows, told, strict=True) if split == "validation"}
    return ["validation" if i in taken else split for i, split in enumerate(splits)]


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
    optional = [name for name in (FAMILY, *FACE_COLUMNS) if name in training.column_names]
    for column in (name for name in optional if name not in extra.column_names):
        extra = extra.add_column(column, [None] * len(extra), feature=training.features[column])  # pyright: ignore
    return extra.select_columns(training.column_names).cast(training.features), refused


def fingerprint(dataset: Dataset) -> str:
    """sha256 over the pictures' bytes, labels, sources and generators, in order: same data, same fingerprint."""
    digest = hashlib.sha256()
    columns = (dataset["sha256"], dataset["label"], dataset["source"], dataset["generator"])
    for row in zip(*columns, strict=True):
        digest.update(repr(row).encode())
    return digest.hexdigest()
