"""The list of all pictures of a run, made once and kept in a parquet file, so that a run can be taken up again."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..data.layouts import Reference
from .inputs import Entry

UNIT_ROWS = 128  # pictures whose results are written together: what a kill can cost
_GROUP_UNITS = 32  # units in a row group: groups of one unit each would make the file's table of contents large
# Paths are bytes: on Linux a file's name need not be valid in any encoding.
_SCHEMA = pa.schema(
    [
        *((name, pa.binary()) for name in ("name", "root", "container", "member")),
        *((name, pa.int64()) for name in ("at", "size")),
        *((name, pa.string()) for name in ("reason", "problem")),
    ]
)


def write_plan(entries: Iterable[Entry], file: Path) -> None:
    """Write the list; the file is there whole or not at all. Holds one row group in memory."""
    fresh = file.with_name(f".{file.name}.writing")
    with open(fresh, "wb") as stream:
        with pq.ParquetWriter(stream, _SCHEMA, compression="zstd") as writer:
            rows: list[dict[str, Any]] = []
            for entry in entries:
                rows.append(_row(entry))
                if len(rows) == UNIT_ROWS * _GROUP_UNITS:
                    writer.write_table(pa.Table.from_pylist(rows, _SCHEMA))
                    rows = []
            writer.write_table(pa.Table.from_pylist(rows, _SCHEMA))
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(fresh, file)


class Plan:
    """The list as units of `UNIT_ROWS` pictures; the last one may be smaller. Holds one row group in memory.

    Attributes:
        total: number of pictures.
        units: number of units.
    """

    def __init__(self, file: Path) -> None:
        self._file = pq.ParquetFile(file)
        self.total: int = self._file.metadata.num_rows
        self.units = -(-self.total // UNIT_ROWS)
        self._group, self._rows = -1, pa.table({})

    def size(self, unit: int) -> int:
        return min(UNIT_ROWS, self.total - unit * UNIT_ROWS)

    def read(self, unit: int) -> list[Entry]:
        """The pictures of one unit, in order."""
        group, place = divmod(unit, _GROUP_UNITS)
        if group != self._group:
            self._group, self._rows = group, self._file.read_row_group(group)
        return [_entry(row) for row in self._rows.slice(place * UNIT_ROWS, UNIT_ROWS).to_pylist()]

    def close(self) -> None:
        self._file.close()


def _row(entry: Entry) -> dict[str, Any]:
    where = entry.reference
    paths = {"name": entry.name, "root": entry.root, "container": where.container, "member": where.member}
    told = {"at": where.at, "size": where.size, "reason": entry.reason, "problem": printable(entry.problem)}
    return {**{name: os.fsencode(path) for name, path in paths.items()}, **told}


def _entry(row: dict[str, Any]) -> Entry:
    name, root, container, member = (os.fsdecode(row[key]) for key in ("name", "root", "container", "member"))
    return Entry(name, root, Reference(container, member, row["at"], row["size"]), row["reason"], row["problem"])


def printable(text: str) -> str:
    """Text with what UTF-8 cannot hold written as escapes; the bytes of a file's name can be any."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


__all__ = ["UNIT_ROWS", "Plan", "printable", "write_plan"]
