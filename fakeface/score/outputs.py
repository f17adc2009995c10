"""Results on the disk: rows of units, the table they become, and the table of rejects; parquet, CSV or JSON lines."""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..data.parquet import TableWriter
from ..detector.preparation import Case
from ..results import Result
from ..utils.text import inert

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

Add = Callable[[dict[str, Any]], Any]


@contextmanager
def _text(file: Path) -> Iterator[IO[str]]:
    with open(file, "w", encoding="utf-8", newline="") as stream:
        yield stream
        stream.flush()
        os.fsync(stream.fileno())


@contextmanager
def _json_lines(file: Path, _: pa.Schema) -> Iterator[Add]:
    """One object a row, as `fakeface predict --json` prints it, with the reason code."""
    with _text(file) as stream:
        yield lambda row: stream.write(json.dumps(row) + "\n")


@contextmanager
def _csv(file: Path, schema: pa.Schema) -> Iterator[Add]:
    """With a line of names; several reasons are joined by semicolons, faces are JSON; no cell is a formula."""
    with _text(file) as stream:
        writer = csv.DictWriter(stream, schema.names, lineterminator="\n")
        writer.writeheader()
        yield lambda row: writer.writerow({name: inert(cell) for name, cell in _flat(row).items()})


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    if "reasons" not in row:
        return row
    return {**row, "reasons": "; ".join(row["reasons"]), "faces": json.dumps(row["faces"])}


@contextmanager
def _parquet(file: Path, schema: pa.Schema) -> Iterator[Add]:
    with TableWriter(file, schema) as writer:
        yield writer.add


WRITERS: dict[str, Callable[[Path, pa.Schema], AbstractContextManager[Add]]] = {
    ".parquet": _parquet, ".csv": _csv, ".jsonl": _json_lines, ".ndjson": _json_lines
}  # fmt: skip


def result_row(case: Case, result: Result) -> dict[str, Any]:
    """A row of the results."""
    row = {name: value for name, value in result.to_dict().items() if name in RESULTS.names}
    row["reason"] = None if case.error is None else case.error.reason
    return row


def merge(units: Iterable[Path], results: Path, rejects: Path) -> Counter[str]:
    """Make one table of the files of all units, and one of the refused pictures; a unit is in memory at a time.

    Returns:
        Counts by verdict, and by `rejected: ` with the reason code.
    """
    counts: Counter[str] = Counter()
    with ExitStack() as files:
        add, reject = (
            files.enter_context(WRITERS[file.suffix.lower()](file, schema))
            for file, schema in ((results, RESULTS), (rejects, REJECTS))
        )
        for unit in units:
            with pq.ParquetFile(unit) as file:
                rows = file.read().to_pylist()
            for row in rows:
                add(row)
                if row["reason"] is not None:
                    reject({name: row[name] for name in REJECTS.names})
                counts[row["verdict"] or f"rejected: {row['reason']}"] += 1
    return counts


__all__ = ["REJECTS", "RESULTS", "WRITERS", "merge", "result_row"]
