"""Tables of results, to the byte."""

import csv
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from fakeface.data.engine.units import unit_file, write_rows
from fakeface.detector.preparation import Case
from fakeface.images.load import PictureError
from fakeface.results import FaceResult, Result
from fakeface.score.outputs import RESULTS, merge, result_row

FACES = (
    FaceResult((1.0, 2.0, 3.0, 4.5), 0.75, "generated"),
    FaceResult((0.0, 0.0, 9.0, 9.0), 0.5, "uncertain", ("why",)),
)
JUDGED = Result("a, b.jpg", 0.75, "generated", ("one", "two"), faces=FACES)
REFUSED = Result("\udcff.jpg", None, None, error="\\udcff.jpg: no such file")
ROWS = [
    result_row(Case("a, b.jpg"), JUDGED),
    result_row(Case("\udcff.jpg", error=PictureError("\udcff.jpg", "missing", "no such file")), REFUSED),
    result_row(Case("c.jpg"), Result("c.jpg", None, "no face", ("none",))),
]


@pytest.fixture
def parts(tmp_path: Path) -> list[Path]:
    files = [unit_file(tmp_path, unit) for unit in (0, 1)]
    write_rows(files[0], RESULTS, ROWS[:2])
    write_rows(files[1], RESULTS, ROWS[2:])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["unit-0000000.parquet", "unit-0000001.parquet"]
    return files


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".jsonl"])
def test_counts_and_rejects(parts: list[Path], tmp_path: Path, ending: str):
    counts = merge(parts, tmp_path / f"out{ending}", tmp_path / f"rejects{ending}")
    assert counts == {"generated": 1, "rejected: missing": 1, "no face": 1}
    rejects = tmp_path / f"rejects{ending}"
    read = {
        ".parquet": lambda: pq.read_table(rejects).to_pylist(),
        ".csv": lambda: list(csv.DictReader(rejects.read_text().splitlines())),
        ".jsonl": lambda: list(map(json.loads, rejects.read_text().splitlines())),
    }[ending]()
    assert read == [{"picture": "\\udcff.jpg", "reason": "missing", "error": "\\udcff.jpg: no such file"}]


def test_parquet_and_json_lines_have_the_rows_as_they_are(parts: list[Path], tmp_path: Path):
    merge(parts, tmp_path / "out.parquet", tmp_path / "r.parquet")
    merge(parts, tmp_path / "out.jsonl", tmp_path / "r.jsonl")
    assert pq.read_table(tmp_path / "out.parquet").to_pylist() == ROWS
    assert list(map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())) == ROWS
    face = {"box": [0.0, 0.0, 9.0, 9.0], "score": 0.5, "verdict": "uncertain", "reasons": ["why"]}
    assert ROWS[0]["faces"][1] == face


def test_csv_is_flat(parts: list[Path], tmp_path: Path):
    merge(parts, tmp_path / "out.csv", tmp_path / "r.csv")
    assert (tmp_path / "out.csv").read_text().splitlines()[2:] == [
        "\\udcff.jpg,,,,[],missing,\\udcff.jpg: no such file",
        "c.jpg,,no face,none,[],,",
    ]
    first = next(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
    assert (first["picture"], first["score"], first["reasons"]) == ("a, b.jpg", "0.75", "one; two")
    assert json.loads(first["faces"])[0]["box"] == [1.0, 2.0, 3.0, 4.5]


def test_no_pictures_make_empty_tables(tmp_path: Path):
    assert merge([], tmp_path / "out.parquet", tmp_path / "r.parquet") == {}
    assert pq.read_table(tmp_path / "out.parquet").num_rows == 0
    assert pq.read_table(tmp_path / "r.parquet").column_names == ["picture", "reason", "error"]


def test_no_cell_of_a_csv_is_a_formula(tmp_path: Path):
    names = [f"{first}HYPERLINK(1).jpg" for first in ("=", "+", "-", "@", "\t", "\r")]
    rows = [result_row(Case(name), Result(name, 0.5, "uncertain")) for name in names]
    refused = [
        result_row(
            Case(name, error=PictureError(name, "missing", "gone")), Result(name, None, None, error=f"{name}: gone")
        )
        for name in names
    ]
    unit = unit_file(tmp_path, 0)
    write_rows(unit, RESULTS, [*rows, *refused])
    merge([unit], tmp_path / "out.csv", tmp_path / "rejects.csv")
    for file in ("out.csv", "rejects.csv"):
        with (tmp_path / file).open(newline="") as text:
            told = list(csv.DictReader(text))
        guarded = {f"'{name}" for name in names[:-1]} | {r"\rHYPERLINK(1).jpg"}
        assert {row["picture"] for row in told} == guarded
        assert {row["error"].removesuffix(": gone") for row in told} - {""} == guarded
