"""CSV files: no cell is a formula, and what is read is what was written."""

from pathlib import Path

import pandas as pd
import pytest

from fakeface.reports.csv_files import read_csv, write_csv

NASTY = [f"{first}cmd|' /C calc'!A0" for first in ("=", "+", "-", "@", "\t")]
TABLE = pd.DataFrame({"source": NASTY, "=slice": NASTY, "score": [-0.5, 1e-9, 1 / 3, 0, 1]})


def test_no_cell_is_a_formula(tmp_path: Path):
    write_csv(TABLE, tmp_path / "scores.csv")
    told = pd.read_csv(tmp_path / "scores.csv")
    assert list(told.columns) == ["source", "'=slice", "score"]
    for column in ("source", "'=slice"):
        assert told[column].tolist() == [f"'{name}" for name in NASTY]
    assert told["score"][0] == -0.5


def test_what_is_read_is_what_was_written(tmp_path: Path):
    write_csv(TABLE, tmp_path / "scores.csv")
    pd.testing.assert_frame_equal(read_csv(tmp_path / "scores.csv"), TABLE, rtol=1e-8)


def test_a_carriage_return_begins_no_row(tmp_path: Path):
    write_csv(pd.DataFrame({"source": ["\r=1", "a\r=1"], "score": [0.5, 0.5]}), tmp_path / "scores.csv")
    assert (tmp_path / "scores.csv").read_bytes() == b"source,score\n\\r=1,0.5\na\\r=1,0.5\n"


@pytest.mark.parametrize("cell", ["'quoted'", "'tis", "plain", "a=b"])
def test_other_cells_stay_as_they_are(cell: str, tmp_path: Path):
    write_csv(pd.DataFrame({"source": [cell]}), tmp_path / "one.csv")
    assert pd.read_csv(tmp_path / "one.csv")["source"].tolist() == [cell]
    assert read_csv(tmp_path / "one.csv")["source"].tolist() == [cell]
