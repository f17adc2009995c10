"""Tables of results, to the byte."""

import csv
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from fakeface.images import PictureError
from fakeface.preparation import Case
from fakeface.results import FaceResult, Result
from fakeface.scoring.outputs import merge, part_file, result_row, write_part

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
    write_part(tmp_path, 0, ROWS[:2])
    write_part(tmp_path, 1, ROWS[2:])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["unit-0000000.parquet", "unit-0000001.parquet"]
    return [part_file(tmp_path, unit) for unit in (0, 1)]


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


def test_a_merge_that_fails_leaves_nothing(parts: list[Path], tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        merge([*parts, tmp_path / "none.parquet"], tmp_path / "out.csv", tmp_path / "r.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == [part.name for part in parts]
