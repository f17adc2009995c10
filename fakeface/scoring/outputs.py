"""Results on the disk: parts of a run, the table they become, and the table of rejects; parquet, CSV or JSON lines."""

from __future__ import annotations

import contextlib
import csv
import json
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from ..data.table_writer import TableWriter
from ..preparation import Case
from ..results import Result
from .plan import printable

_TEXTS = pa.list_(pa.string())
_FACE = [("box", pa.list_(pa.float64())), ("score", pa.float64()), ("verdict", pa.string()), ("reasons", _TEXTS)]
RESULTS = pa.schema(
    [
        ("picture", pa.string()),
        ("score", pa.float64()),
        ("verdict", pa.string()),
        ("reasons", _TEXTS),
        ("faces", pa.list_(pa.struct(_FACE))),
        ("reason", pa.string()),  # code of the refusal; null where there is a verdict
        ("error", pa.string()),
    ]
)
REJECTS = pa.schema([(name, pa.string()) for name in ("picture", "reason", "error")])


class Writer(Protocol):
    """Writes rows to a file; `close` brings them to the disk, `abandon` removes the file."""

    def add(self, row: dict[str, Any]) -> None: ...
    def close(self) -> None: ...
    def abandon(self) -> None: ...


class _TextWriter:
    def __init__(self, file: Path, schema: pa.Schema) -> None:
        self.file, self.schema = file, schema
        self._stream: IO[str] = open(file, "w", encoding="utf-8", newline="")  # noqa: SIM115 (closed by `close`)

    def close(self) -> None:
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()

    def abandon(self) -> None:
        with contextlib.suppress(OSError):  # the same that brought us here
            self._stream.close()
        self.file.unlink(missing_ok=True)


class JsonWriter(_TextWriter):
    """JSON lines: one object a row, as `fakeface predict --json` prints it, with the reason code."""

    def add(self, row: dict[str, Any]) -> None:
        self._stream.write(json.dumps(row) + "\n")


class CsvWriter(_TextWriter):
    """CSV with a line of names; several reasons are joined by semicolons, faces are JSON."""

    def __init__(self, file: Path, schema: pa.Schema) -> None:
        super().__init__(file, schema)
        self._rows = csv.DictWriter(self._stream, schema.names, lineterminator="\n")
        self._rows.writeheader()

    def add(self, row: dict[str, Any]) -> None:
        flat = dict(row)
        if "reasons" in row:
            flat.update(reasons="; ".join(row["reasons"]), faces=json.dumps(row["faces"]))
        self._rows.writerow(flat)


WRITERS: dict[str, type[Any]] = {
    ".parquet": TableWriter, ".csv": CsvWriter, ".jsonl": JsonWriter, ".ndjson": JsonWriter
}  # fmt: skip


def result_row(case: Case, result: Result) -> dict[str, Any]:
    """A row of the results. Names that are not valid UTF-8 have escapes in them."""
    row = {name: value for name, value in result.to_dict().items() if name in RESULTS.names}
    row["picture"] = printable(result.picture)
    row["reason"] = None if case.error is None else case.error.reason
    return row


def part_file(folder: Path, unit: int) -> Path:
    return folder / f"unit-{unit:07d}.parquet"


def write_part(folder: Path, unit: int, rows: Iterable[dict[str, Any]]) -> None:
    """Write the results of one unit: they are there whole or not at all."""
    file = part_file(folder, unit)
    fresh = file.with_name(f".{file.name}.{os.getpid()}.writing")
    with TableWriter(fresh, RESULTS) as writer:
        for row in rows:
            writer.add(row)
    os.replace(fresh, file)


def _rows(part: Path) -> list[dict[str, Any]]:
    with pq.ParquetFile(part) as file:
        return file.read().to_pylist()


def merge(parts: Iterable[Path], results: Path, rejects: Path) -> Counter[str]:
    """Make one table of all parts, and one of the refused pictures; a part is in memory at a time.

    Returns:
        Counts by verdict, and by `rejected: ` with the reason code.
    """
    counts: Counter[str] = Counter()
    writers: list[Writer] = []
    try:
        for file, schema in ((results, RESULTS), (rejects, REJECTS)):
            writers.append(WRITERS[file.suffix.lower()](file, schema))
        for part in parts:
            for row in _rows(part):
                writers[0].add(row)
                if row["reason"] is not None:
                    writers[1].add({name: row[name] for name in REJECTS.names})
                counts[row["verdict"] or f"rejected: {row['reason']}"] += 1
        for writer in writers:
            writer.close()
    except BaseException:
        for writer in writers:
            writer.abandon()
        raise
    return counts


__all__ = ["REJECTS", "RESULTS", "WRITERS", "merge", "part_file", "result_row", "write_part"]
