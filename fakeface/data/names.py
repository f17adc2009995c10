"""Names of datasets and of their labels: which mean nothing, found out before anything slow is imported."""

import glob
import json
import os
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from ..utils.errors import FakefaceError
from ..utils.label_names import LabelsError, places_of, stated_order, told_by_folders

FILES = (".parquet", ".csv", ".jsonl", ".zip", ".tar", ".gz", ".tgz")
LISTS = (".parquet", ".csv", ".jsonl")  # in a folder: they may say what the folders' names do not
ROWS = 1000  # of a list that are looked at: most are wrong from the first on


class DataError(FakefaceError):
    """The data cannot be used; the message names it and the cure."""


def refuse_missing(data: Sequence[str]) -> None:
    """Raise DataError for a name that is a path, and of nothing; one that may be of the Hub's is left in peace."""
    if not data:
        raise DataError("no data given: name parquet files, an image folder or a Hub dataset")
    for name in data:
        path = os.path.expanduser(name)
        if not os.path.lexists(path) and _is_path(name) and not any(glob.iglob(path, recursive=True)):
            raise DataError(f"{name}: no such file or folder; check the path")


def refuse_untold(data: Sequence[str], stated: Sequence[str] = ()) -> None:
    """Raise DataError where nothing says which labels mean `real`, as far as names of labels and folders show that.

    Args:
        data: names of what is there; of the parquet files of one the first is looked at, and no row of it, and of a
            list the first rows.
        stated: what numbers mean, as for `fakeface.data.loading.open_dataset`.
    """
    for name in data:
        path = Path(name).expanduser()
        try:
            order = stated_order(stated)
            if path.is_dir():
                _refuse_untold_folders(path, order)
            elif path.is_file() and path.suffix.lower() in (".csv", ".jsonl"):
                _refuse_untold_list(path, order)
            elif files := [str(path)] if path.is_file() else sorted(glob.glob(str(path), recursive=True)):
                _refuse_untold_column(Path(files[0]), order)
        except LabelsError as error:
            raise DataError(f"{name}: {error}") from None


def _refuse_untold_column(file: Path, stated: Sequence[str]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(file)
        told = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        label = told.get("info", {}).get("features", {}).get("label", {})
        names = label.get("names") if label.get("_type") == "ClassLabel" else None
        numbered = "label" in schema.names and pa.types.is_integer(schema.field("label").type)
    except (OSError, ValueError, AttributeError, pa.ArrowException):
        return  # whoever reads it says what is wrong with it
    if numbered:
        places_of(names if isinstance(names, list) else None, stated)


def _refuse_untold_list(file: Path, stated: tuple[str, ...]) -> None:
    from .sources.layout import own_list

    problems: list[str] = []
    for _ in islice(own_list(file.name, stated).of_file(file, file.parent, problems), ROWS):
        pass
    if problems:
        raise DataError(problems[0])


def _refuse_untold_folders(folder: Path, stated: Sequence[str]) -> None:
    # Beside its `data/`, a dataset that `fakeface data build` made has a table of rejects.
    folder = folder / "data" if (folder / "build.json").is_file() else folder
    empty = True
    for place, _, files in os.walk(folder):
        if any(file.lower().endswith(LISTS) for file in files):
            if tables := sorted(file for file in files if file.endswith(".parquet")):
                _refuse_untold_column(Path(place, tables[0]), stated)
            return
        try:
            if files and told_by_folders(Path(place).relative_to(folder).parts):
                return
        except LabelsError:  # unless a list says it all; whoever opens the folder will see
            return
        empty = empty and not files
    if not empty:
        raise LabelsError("no folder in it is called real or generated; lay pictures out so, or list them as CSV")


def _is_path(name: str) -> bool:
    """Whether a name can be no dataset's of the Hub, NAME or OWNER/NAME."""
    if name.endswith(("/", os.sep)) or name.startswith((".", "~")) or os.path.isabs(name):
        return True
    return name.count("/") > 1 or glob.has_magic(name) or Path(name).suffix.lower() in FILES


__all__ = ["DataError", "refuse_missing", "refuse_untold"]
