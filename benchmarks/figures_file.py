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
