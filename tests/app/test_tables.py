"""The rows of a batch, and the model's own figures."""

import csv
import io
import json
import re
import shutil
from base64 import b64decode
from pathlib import Path

import pytest

from fakeface import FakeFaceConfig, Result
from fakeface.app import tables
from fakeface.results import FaceResult

LINES = FakeFaceConfig(threshold_real=0.3, threshold_generated=0.9, group_thresholds={"2": 0.95})


def read(results: list[Result]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(tables.csv_text(tables.face_rows(results, LINES, "tiny 1")))))


def test_there_is_a_row_for_each_face_and_for_each_picture_without_any():
    faces = (FaceResult((1.2, 2, 3, 4.6), 0.25, "real"), FaceResult((5, 6, 7, 8), 0.96, "generated"))
    told = [
        Result("a.jpg", 0.96, "generated", ("one", "two"), faces=faces),
        Result("b.jpg", None, None, error="b: broken"),
    ]
    first, second, third = read(told)
    assert [row["picture"] for row in (first, second, third)] == ["a.jpg", "a.jpg", "b.jpg"]
    assert (first["score"], first["verdict"], first["reasons"]) == ("0.96", "generated", "one; two")
    assert (first["face"], first["face_score"], first["face_verdict"], first["bottom"]) == ("1", "0.25", "real", "5")
    assert (second["face"], second["face_score"], second["face_verdict"]) == ("2", "0.96", "generated")
    assert (third["score"], third["verdict"], third["error"], third["face"]) == ("", "", "b: broken", "")
    # and each says by which lines it was judged, and by what
    lines = [(row["threshold_real"], row["threshold_generated"], row["threshold_picture"]) for row in (first, third)]
    assert lines == [("0.3", "0.9", "0.95"), ("0.3", "0.9", "0.9")]
    assert first["model"] == "tiny 1"


def test_both_files_hold_the_same_rows():
    rows = tables.face_rows([Result("ü.jpg", 0.5, "uncertain")], LINES, "tiny 1")
    found = re.findall(r'download="fakeface.(\w+)" href="data:[\w/]+;base64,([^"]+)"', tables.links(rows))
    files = {kind: b64decode(content) for kind, content in found}
    assert [json.loads(line) for line in files["jsonl"].splitlines()] == rows
    (row,) = csv.DictReader(io.StringIO(files["csv"].decode("utf-8-sig")))
    assert row == {name: "" if cell is None else str(cell) for name, cell in rows[0].items()}


def test_a_name_cannot_be_a_formula_or_another_row():
    (row,) = read([Result('=HYPERLINK("x")\n,0.9', 0.5, "uncertain")])
    assert row["picture"] == '\'=HYPERLINK("x") ,0.9'


def test_cells_of_every_kind_are_guarded():
    names = [row["picture"] for row in read([Result(f"{first}x.jpg", 0.5, "uncertain") for first in "=+-@\t\r"])]
    assert names == ["'=x.jpg", "'+x.jpg", "'-x.jpg", "'@x.jpg", " x.jpg", " x.jpg"]


@pytest.mark.parametrize("name", ["fakeface-resnet50-cnn", "fakeface-vit-b16-cnn"])
def test_the_shipped_models_figures_are_shown_with_where_it_fails(repo: Path, name: str):
    page = tables.evaluation_page(tables.report_of(repo / "checkpoints" / name))
    assert "unseen sources, delivered" in page
    assert "Where it fails" in page
    assert "fakeface evaluate" in page


def test_families_are_shown_where_the_report_has_them(repo: Path, tmp_path: Path):
    folder = shutil.copytree(repo / "checkpoints" / "fakeface-resnet50-cnn", tmp_path / "model")
    report = json.loads((folder / "evaluation.json").read_text())
    report["generators"] = [{k: v for k, v in row.items() if k != "family"} for row in report["generators"]]
    report.pop("families", None)
    (folder / "evaluation.json").write_text(json.dumps(report))
    page = tables.evaluation_page(tables.report_of(folder))  # as earlier versions wrote it
    assert "Families of generators" not in page
    assert "<td>gan</td>" in page
    row = next(row for row in report["generators"] if row["split"] == "unseen")
    report["families"] = [{**row, "family": "autoregressive", "n_generators": 2}]
    (folder / "evaluation.json").write_text(json.dumps(report))
    page = tables.evaluation_page(tables.report_of(folder))
    assert '<th scope="row">autoregressive</th><td>unseen sources, clean</td>' in page


def test_a_model_without_an_evaluation_says_so(tmp_path: Path):
    assert tables.evaluation_page(tables.report_of(tmp_path)) == tables.NOT_MEASURED


def test_names_in_a_report_are_text():
    assert "&lt;b&gt;" in tables.html_table("x", ["a"], [["<b>"]])
