"""The columns of a dataset, in one form: what they may be, what its labels mean, and of which types they are."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import ClassLabel, Dataset, Image, Value
from datasets import Sequence as ListOf

from ..configuration_fakeface import LABELS
from ..utils.label_names import LabelsError, place_of, places_of
from .names import DataError

# What a dataset may say of its pictures' files as they were found, and which pictures belong together.
NATIVE = {
    "native_width": "int64",
    "native_height": "int64",
    "native_format": "string",
    "native_jpeg_quality": "int64",
    "native_subsampling": "string",
    "native_has_metadata": "bool",
}
# Of the face that a picture is of; see fakeface.data.faces.
FACE_COLUMNS = ("face_box", "face_landmarks")
TOGETHER = {"group": "int64", "pair": "int64"}
FAMILY = "family"  # what the data say of the generator; see fakeface.data.families


def label_table(features: Mapping[str, Any], data: str, stated: Sequence[str] = ()) -> list[int] | None:
    """What the labels of a dataset mean.

    Args:
        features: of the dataset.
        data: its name, for messages.
        stated: see `open_dataset`.

    Returns:
        For labels that are numbers, the label of ours of each; `None` for labels that are words, one by one told by
        `fakeface.utils.label_names.place_of`.

    Raises:
        DataError: a column is missing, or nothing says what the labels mean.
    """
    for column in ("image", "label"):
        if column not in features:
            raise DataError(f"{data}: no column {column!r}; found {', '.join(features) or 'none'}")
    label = features["label"]
    kind = label.dtype if isinstance(label, ClassLabel | Value) else type(label).__name__
    if kind in ("string", "large_string"):
        return None
    if not (kind.startswith(("int", "uint")) or kind == "null"):
        raise DataError(f"{data}: the column 'label' must hold names or whole numbers, not {kind}; save it as names")
    try:
        return places_of(list(label.names) if isinstance(label, ClassLabel) else None, stated)
    except LabelsError as error:
        raise DataError(f"{data}: {error}") from None


def label_of(told: Any, table: Sequence[int] | None, data: str, stated: Sequence[str] = ()) -> int:
    """One label as ours; arguments as of `label_table`, whose result `table` is. Raises DataError."""
    if told is None or told == -1:  # the latter is how `datasets` marks it
        raise DataError(f"{data}: there are rows without a label; leave them out")
    if table is None:
        try:
            return place_of(told, stated)
        except LabelsError as error:
            raise DataError(f"{data}: {error}") from None
    if not 0 <= told < len(table):
        raise DataError(f"{data}: labels must be whole numbers below {len(table)}, not {told}")
    return table[told]


def normalise(
    dataset: Dataset, data: str, records: bool, columns: Sequence[str], stated: Sequence[str] = ()
) -> Dataset:
    """Bring types to one form; refuse what would silently train on the wrong labels."""
    if not len(dataset):
        raise DataError(f"{data}: no pictures in it")
    table = label_table(dataset.features, data, stated)
    places = {told: label_of(told, table, data, stated) for told in dataset.unique("label")}
    ours = ClassLabel(names=list(LABELS))
    if dataset.features["label"] != ours:
        column = pa.array([places[told] for told in dataset["label"]], pa.int64())
        dataset = dataset.remove_columns("label").add_column("label", column, feature=ours)  # pyright: ignore
    for column, value in (("source", Path(data).name), ("generator", "unknown")):
        if column not in dataset.column_names:
            dataset = dataset.add_column(column, [value] * len(dataset))
        dataset = dataset.cast_column(column, Value("string"))
    dataset = dataset.cast_column("image", Image(decode=False))
    keep = ["image", "label", "source", "generator", FAMILY, "split", "split_hint", "phash", *FACE_COLUMNS]
    dataset = _typed(dataset, data, {FAMILY: "string"})
    for column in (name for name in FACE_COLUMNS if name in dataset.column_names):
        dataset = _cast(dataset, data, column, ListOf(Value("float32")))
    if records:
        dataset = _typed(dataset, data, {**NATIVE, **TOGETHER})
        keep += [*NATIVE, *TOGETHER]
    if missing := [column for column in columns if column not in dataset.column_names]:
        raise DataError(f"{data}: no column {missing[0]!r}; found {', '.join(dataset.column_names)}")
    keep += [column for column in columns if column not in keep]
    return dataset.select_columns([column for column in keep if column in dataset.column_names])


def _typed(dataset: Dataset, data: str, kinds: dict[str, str]) -> Dataset:
    """Cast those columns that are there, so that several datasets fit together."""
    for column, kind in kinds.items():
        if column in dataset.column_names:
            dataset = _cast(dataset, data, column, Value(kind))
    return dataset


def _cast(dataset: Dataset, data: str, column: str, feature: Any) -> Dataset:
    try:
        return dataset.cast_column(column, feature)
    except Exception as error:  # Arrow has a type for each way in which values do not fit
        kind = feature.dtype if isinstance(feature, Value) else "list of numbers"
        raise DataError(f"{data}: column {column!r} does not hold values of type {kind} ({error})") from error
