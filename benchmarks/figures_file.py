"""How the scripts here keep what they measured."""

import csv
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any


def keep(file: Path, rows: Sequence[Mapping[str, Any]], columns: Iterable[str] | None = None) -> None:
    """Write rows as CSV, and print them.

    Args:
        file: to write.
        rows: at least one; a column that a row lacks stays empty.
        columns: in their order; by default those of the first row.
    """
    names = list(rows[0] if columns is None else columns)
    with file.open("w", newline="", encoding="utf-8") as stream:
        for out in (stream, sys.stdout):
            writer = csv.DictWriter(out, names, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def as_columns(found: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Figures and the ends of their intervals, `…_low` and `…_high`, to four digits; None where there is none."""
    columns: dict[str, Any] = {}
    for name in names:
        ends = found.get(f"{name}_interval") or (None, None)
        for key, value in zip((name, f"{name}_low", f"{name}_high"), (found.get(name), *ends), strict=True):
            columns[key] = None if value is None else round(value, 4)
    return columns


def read_figures(row: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """A row with the columns of `as_columns`, as it was kept or before: each figure a number with its `…_interval`."""
    told: dict[str, Any] = dict(row)
    for name in names:
        value, low, high = (row[key] for key in (name, f"{name}_low", f"{name}_high"))
        told[name] = None if value in ("", None) else float(value)
        told[f"{name}_interval"] = None if low in ("", None) else (float(low), float(high))
    return told
