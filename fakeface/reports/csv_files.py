"""Tables as CSV files in which no cell is a formula, whatever the files are called."""

from pathlib import Path

import pandas as pd

from ..utils.text import inert, plain

NUMBERS = "%.9g"


def write_csv(table: pd.DataFrame, file: Path) -> None:
    """Write a table without its index; `read_csv` reads it as it was."""
    others = [column for column in table if not pd.api.types.is_numeric_dtype(table[column])]
    shown = table.assign(**{str(column): table[column].map(inert) for column in others})
    shown.rename(columns=inert).to_csv(file, index=False, float_format=NUMBERS)


def read_csv(file: Path) -> pd.DataFrame:
    """Read a CSV file, one that `write_csv` wrote or another's. Raises what `pandas.read_csv` does."""
    table = pd.read_csv(file, keep_default_na=True).rename(columns=plain)
    others = [column for column in table if not pd.api.types.is_numeric_dtype(table[column])]
    return table.assign(**{str(column): table[column].map(plain) for column in others})


__all__ = ["read_csv", "write_csv"]
