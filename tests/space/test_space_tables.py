"""The CSV of a batch, and the model's own figures."""

import csv
import io
from pathlib import Path

import tables

from fakeface import Result


def test_the_csv_has_a_row_for_each_result():
    results = [Result("a.jpg", 0.25, "real", ("one", "two")), Result("b.jpg", None, None, error="b.jpg: broken")]
    rows = list(csv.DictReader(io.StringIO(tables.csv_text(results))))
    assert [row["picture"] for row in rows] == ["a.jpg", "b.jpg"]
    assert (rows[0]["score"], rows[0]["verdict"], rows[0]["reasons"]) == ("0.250000", "real", "one; two")
    assert (rows[1]["score"], rows[1]["verdict"], rows[1]["error"]) == ("", "", "b.jpg: broken")


def test_a_name_cannot_be_a_formula_or_another_row():
    text = tables.csv_text([Result('=HYPERLINK("x")\n,0.9', 0.5, "uncertain")])
    (row,) = csv.DictReader(io.StringIO(text))
    assert row["picture"] == '\'=HYPERLINK("x") ,0.9'


def test_the_shipped_models_figures_are_shown_with_where_it_fails(repo: Path):
    page = tables.evaluation_page(repo / "checkpoints" / "fakeface-resnet50-cnn")
    assert "unseen sources, delivered" in page
    assert "Where it fails" in page
    assert "fakeface evaluate" in page


def test_a_model_without_an_evaluation_says_so(tmp_path: Path):
    assert tables.evaluation_page(tmp_path) == tables.NOT_MEASURED


def test_names_in_a_report_are_text():
    assert "&lt;b&gt;" in tables.html_table("x", ["a"], [["<b>"]])
