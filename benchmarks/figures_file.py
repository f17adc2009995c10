"""How the scripts here keep what they measured."""

import csv
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any


def keep(file: Path, rows: Sequence[Mapping[str, Any]], columns: Iterable[str]) -> None:
    """Write rows as CSV, and print them.

    Args:
        file: to write.
        rows: a column that one lacks stays empty.
        columns: in their order; a script has them as `COLUMNS`, which a test holds the committed file to.

    Raises:
        ValueError: a row has another column.
    """
    names = list(columns)
    with file.open("w", newline="", encoding="utf-8") as stream:
        for out in (stream, sys.stdout):
            writer = csv.DictWriter(out, names, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def beside(file: Path, rows: Sequence[Mapping[str, Any]], key: str) -> list[Mapping[str, Any]]:
    """These rows behind those that the file has of others: whose value in the column `key` none of these has."""
    measured = {str(row[key]) for row in rows}
    if not file.is_file():
        return list(rows)
    with file.open(newline="", encoding="utf-8") as stream:
        return [*(row for row in csv.DictReader(stream) if row[key] not in measured), *rows]


def with_ends(*figures: str) -> tuple[str, ...]:
    """The columns that `as_columns` makes of these figures."""
    return tuple(f"{figure}{end}" for figure in figures for end in ("", "_low", "_high"))


def as_columns(found: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Figures and the ends of their intervals, `…_low` and `…_high`, to four digits; None where there is none."""
    columns: dict[str, Any] = {}
    for name in names:
        ends = found.get(f"{name}_interval") or (None, None)
        for key, value in zip(with_ends(name), (found.get(name), *ends), strict=True):
            columns[key] = None if value is None else round(value, 4)
    return columns


def read_figures(row: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """A row with the columns of `as_columns`, as it was kept or before: each figure a number with its `…_interval`."""
    told: dict[str, Any] = dict(row)
    for name in names:
        value, low, high = (row[key] for key in with_ends(name))
        told[name] = None if value in ("", None) else float(value)
        told[f"{name}_interval"] = None if low in ("", None) else (float(low), float(high))
    return told
