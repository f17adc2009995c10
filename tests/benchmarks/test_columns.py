"""Every table in benchmarks/ has the columns that its script writes today: no page shows one of another shape."""

import csv
import importlib
from collections.abc import Sequence
from pathlib import Path

import pytest
from figures_file import as_columns, beside, keep, with_ends

TABLES = sorted(file.stem for file in (Path(__file__).parents[2] / "benchmarks").glob("*.csv"))
# Tables that do not have the name of their script, with its module and the name of the columns there.
ELSEWHERE = {
    "leave-one-out": ("fakeface.evaluation.leave_one_out_report", "CSV_COLUMNS"),
    "quality": ("ladder", "COLUMNS"),
    "shipped_families": ("shipped_models", "FAMILY_COLUMNS"),
}


def columns_of(table: str) -> Sequence[str]:
    module, name = ELSEWHERE.get(table, (table, "COLUMNS"))
    return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("table", TABLES)
def test_a_table_has_the_columns_of_its_script(table: str, repo: Path):
    with (repo / "benchmarks" / f"{table}.csv").open(newline="", encoding="utf-8") as file:
        assert next(csv.reader(file)) == list(columns_of(table))


def test_a_script_writes_no_other_columns(tmp_path: Path):
    keep(tmp_path / "x.csv", [{"what": "a", "seconds": 1}, {"what": "b"}], ("what", "seconds"))
    assert (tmp_path / "x.csv").read_text() == "what,seconds\na,1\nb,\n"
    with pytest.raises(ValueError, match="ratio"):
        keep(tmp_path / "x.csv", [{"what": "a", "ratio": 1}], ("what", "seconds"))


def test_rows_of_others_stay_and_those_of_the_same_are_replaced(tmp_path: Path):
    file, rows = tmp_path / "x.csv", [{"model": "fast", "auc": 0.9}]
    assert beside(file, rows, "model") == rows
    keep(file, [{"model": "thorough", "auc": 0.95}, {"model": "fast", "auc": 0.8}], ("model", "auc"))
    assert beside(file, rows, "model") == [{"model": "thorough", "auc": "0.95"}, *rows]


def test_figures_stand_beside_the_ends_of_their_intervals():
    found = {"auc": 0.912345, "auc_interval": (0.8, 0.95)}
    told = {"auc": 0.9123, "auc_low": 0.8, "auc_high": 0.95, "fpr": None, "fpr_low": None, "fpr_high": None}
    assert as_columns(found, ("auc", "fpr")) == told
    assert with_ends("auc", "fpr") == tuple(told)
