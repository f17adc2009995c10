"""Scores that another tool computed, from a CSV file."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd

from .configuration_fakeface import LABELS
from .data.sweep import SWEEP
from .score_views import VIEWS, WHOLE

MOST_BYTES = 2**30
DEFAULTS = {"split": WHOLE, "view": "clean", "sha256": "", "generator": "unknown"}


class ScoreTableError(ValueError):
    """A file of scores cannot be used; the message names it and the cure."""


def read_scores(path: Path) -> tuple[pd.DataFrame, str]:
    """Scores of a CSV file with the columns `label` and `score`.

    Args:
        path: of the file. `label` holds real or generated, or 0 and 1; `score` the probability of `generated`, or any
            number that is higher for generated pictures. It may have `split`, `view`, `source`, `generator` and
            `sha256`, as the `scores.csv` of a report has, and columns to slice by.

    Returns:
        The rows, with every one of these columns, and the file's sha256.

    Raises:
        ScoreTableError: it is no such file.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ScoreTableError(f"{path}: more than {MOST_BYTES >> 30} GiB; split it into several files")
        data = path.read_bytes()
        table = pd.read_csv(path, keep_default_na=True)
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ScoreTableError(f"{path}: not readable as CSV ({error}); save it as UTF-8 with a line of names") from None
    for column in ("label", "score"):
        if column not in table:
            raise ScoreTableError(f"{path}: no column {column!r}; found {', '.join(map(str, table.columns))}")
    if table.empty:
        raise ScoreTableError(f"{path}: no scores in it")
    scores = np.asarray(pd.to_numeric(table["score"], errors="coerce"), float)
    if len(bad := np.flatnonzero(~np.isfinite(scores))):
        several = f" and {len(bad) - 1} more lines" if len(bad) > 1 else ""
        raise ScoreTableError(f"{path}: line {bad[0] + 2}{several}: the score is no finite number; leave such rows out")
    places = {**{name: i for i, name in enumerate(LABELS)}, "0": 0, "1": 1, "0.0": 0, "1.0": 1}
    labels = table["label"].astype(str).str.strip().str.lower().map(places)
    if labels.isna().any():
        line = int(np.flatnonzero(labels.isna())[0])
        raise ScoreTableError(
            f"{path}: line {line + 2} has the label {table['label'][line]}; it takes real or generated"
        )
    table = table.assign(label=labels.astype(int), score=scores)
    for column, value in {**DEFAULTS, "source": path.stem}.items():
        table[column] = table[column].fillna(value).astype(str) if column in table else value
    if unknown := sorted(set(table["view"]) - {*VIEWS, *SWEEP}):
        raise ScoreTableError(f"{path}: no view {unknown[0]!r}; it takes clean, delivered or a step of the sweep")
    table.loc[table["label"] == 0, "generator"] = "none"
    return table, hashlib.sha256(data).hexdigest()
