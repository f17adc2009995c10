"""A list of pictures in units, and the loop that makes a file of each unit: there whole, or not at all.

What is killed goes on with the units that have no file yet. What is in a file must depend on the unit's pictures and
on what is made of them alone, so that neither the number of workers nor a kill shows in it. Memory holds a few chunks
of pictures, however many there are.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ...utils.errors import FakefaceError
from ...utils.files import replace_file
from ...utils.processes import GOES_ON, out_of_room
from ...utils.text import encodable
from ..parquet import TableWriter
from ..sources.reference import Reference
from .workers import Entry, Work, Workers, WorkersError, chunks

UNIT_ROWS = 128  # pictures whose results are written together: what a kill can cost

# Paths are bytes: on Linux a file's name need not be valid in any encoding.
_PATHS = ("name", "root", "container", "member")
_TEXTS = ("generator", "source", "family", "reason", "problem")
_KINDS = {**dict.fromkeys(_PATHS, pa.binary()), **dict.fromkeys(_TEXTS, pa.string())}
_LIST = pa.schema([(name, _KINDS.get(name, pa.int64())) for name in (*_PATHS, "at", "size", "label", *_TEXTS)])


def write_rows(file: Path, schema: pa.Schema, rows: Iterable[dict[str, Any]]) -> None:
    """Write a parquet file; it is there whole or not at all. Holds one row group in memory."""
    with replace_file(file) as fresh, TableWriter(fresh, schema) as writer:
        for row in rows:
            writer.add(row)


def remove_leftovers(folder: Path) -> None:
    """Remove what writers left that were killed."""
    for leftover in folder.glob(".*.writing"):
        if leftover.is_dir():
            shutil.rmtree(leftover)
        else:
            leftover.unlink()


def write_list(file: Path, entries: Iterable[Entry]) -> None:
    """Write a list of pictures, as `write_rows` does."""
    write_rows(file, _LIST, map(_row, entries))


class PictureList:
    """A list of pictures as units of `UNIT_ROWS`; the last one may be smaller. Holds one row group in memory.

    Attributes:
        total: number of pictures.
        units: number of units.
    """

    def __init__(self, file: Path) -> None:
        self._file = pq.ParquetFile(file)
        self.total: int = self._file.metadata.num_rows
        self.units = -(-self.total // UNIT_ROWS)
        self._group_rows = self._file.metadata.row_group(0).num_rows if self.total else 0
        self._group, self._rows = -1, pa.table({})

    def size(self, unit: int) -> int:
        return min(UNIT_ROWS, self.total - unit * UNIT_ROWS)

    def read(self, unit: int) -> list[Entry]:
        """The pictures of one unit, in order."""
        group, place = divmod(unit * UNIT_ROWS, self._group_rows)
        if group != self._group:
            self._group, self._rows = group, self._file.read_row_group(group)
        return [_entry(row) for row in self._rows.slice(place, UNIT_ROWS).to_pylist()]

    def close(self) -> None:
        self._file.close()


def _row(entry: Entry) -> dict[str, Any]:
    row = {**entry.reference._asdict(), **entry._asdict(), "problem": encodable(entry.problem)}
    return {**row, **{path: os.fsencode(row[path]) for path in _PATHS}}


def _entry(row: dict[str, Any]) -> Entry:
    row.update((path, os.fsdecode(row[path])) for path in _PATHS)
    reference = Reference(*(row[name] for name in Reference._fields))
    return Entry(row["name"], row["root"], reference, row["reason"], row["problem"])


def unit_file(folder: Path, unit: int) -> Path:
    return folder / f"unit-{unit:07d}.parquet"


def do_units(
    pictures: PictureList,
    folder: Path,
    schema: pa.Schema,
    work: Work,
    *,
    workers: int,
    niceness: int = 0,
    rows: Callable[[Iterator[Any]], Iterable[dict[str, Any]]] = iter,
    share: slice = slice(None),
    progress: bool = False,
) -> None:
    """Write the file of every unit that has none yet.

    Args:
        pictures: the list.
        folder: to write into.
        schema: of the files.
        work: what worker processes do with each picture.
        workers: how many they are, from 1.
        niceness: of theirs.
        rows: makes rows, in this process, of what the workers made of one unit, in order; a row for each picture.
        share: of the units to do, by default all.
        progress: show a bar on stderr.

    Raises:
        WorkersError: no worker stays alive.
    """
    from tqdm import tqdm

    mine = range(pictures.units)[share]
    missing = [unit for unit in mine if not unit_file(folder, unit).exists()]
    if not missing:
        return
    total, left = (sum(map(pictures.size, units)) for units in (mine, missing))
    with (
        Workers(work, workers, niceness) as crew,
        tqdm(total=total, initial=total - left, unit=" pictures", disable=not progress) as bar,
    ):
        made = crew.work_on(chunks(missing, pictures.read))
        for unit, parts in groupby(made, key=itemgetter(0)):
            of_unit = chain.from_iterable(part for _, part in parts)
            write_rows(unit_file(folder, unit), schema, _counted(rows(of_unit), bar))


def _counted(rows: Iterable[dict[str, Any]], bar: Any) -> Iterator[dict[str, Any]]:
    for row in rows:
        yield row
        bar.update()


@contextmanager
def clear_failures(out: Path, refusal: type[FakefaceError]) -> Iterator[None]:
    """Say in a line what the machine ran out of. What was written so far is kept, and another run goes on from it."""
    try:
        yield
    except WorkersError as error:
        raise refusal(f"{error}, most likely for want of memory; {GOES_ON} (try fewer --workers)") from None
    except OSError as error:
        raise refusal(out_of_room(error, out)) from None


__all__ = [
    "PictureList",
    "clear_failures",
    "do_units",
    "remove_leftovers",
    "unit_file",
    "write_list",
    "write_rows",
]
