"""Parquet files and CSV lists."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from raw import encoded, write_csv, write_files, write_zip

from fakeface.data.layouts import LayoutError, Reference
from fakeface.data.tables import CsvList, Parquet
from fakeface.images import Limits, PictureError

LIST = CsvList("list.csv", ("file", "path"), "images", "model", {"FLUX1_dev": "flux.1-dev"}, "label")


def write_parquet(file, **columns):
    pq.write_table(pa.table(columns), file, row_group_size=2)
    return file


def listed(root, csv_list=LIST):
    problems: list[str] = []
    return list(csv_list.references(root, problems)), problems


def test_rows_of_a_parquet_file(tmp_path):
    images = [{"bytes": encoded(i), "path": f"{i}.jpg"} for i in range(5)]
    told = {"label": [0, 1, 0, 1, 0], "generator": ["none", "x", None, "y", "none"], "source": list("abcde")}
    table = Parquet(write_parquet(tmp_path / "x.parquet", image=images, **told))
    found = list(table.references("x.parquet"))
    assert found[1] == Reference("x.parquet", "00000001", 1, 0, 1, "x", "b")
    assert found[2].generator == ""
    # Backwards, and so from one row group to another.
    assert [table.read(reference, Limits()) for reference in found[::-1]] == [encoded(i) for i in range(5)][::-1]


def test_bare_bytes_without_further_columns(tmp_path):
    table = Parquet(write_parquet(tmp_path / "x.parquet", image=[encoded(0), encoded(1), encoded(2)]))
    found = list(table.references("x.parquet"))
    assert [reference.label for reference in found] == [-1, -1, -1]
    assert table.read(found[2], Limits()) == encoded(2)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"picture": [b"a"]}, r"no column `image` with the bytes of pictures; found picture \(binary\)"),
        ({"image": ["a.jpg"]}, r"no column `image` .*; found image \(string\)"),
        ({"image": [{"bytes": "/etc/hosts", "path": None}]}, r"no column `image` with the bytes of pictures"),
        ({"image": [b"a"], "generator": [3]}, "the column `generator` must hold names, not int64"),
        ({"image": [b"a"], "label": ["real"]}, r"`label` must hold 0 \(real\) and 1 \(generated\), not string"),
    ],
)
def test_a_wrong_schema_is_told(tmp_path, columns, words):
    with pytest.raises(LayoutError, match=words):
        Parquet(write_parquet(tmp_path / "x.parquet", **columns))


def test_a_wrong_label_is_told(tmp_path):
    table = Parquet(write_parquet(tmp_path / "x.parquet", image=[b"a", b"b"], label=[0, 7]))
    with pytest.raises(LayoutError, match="row 1 has the label 7; it must be 0 or 1"):
        list(table.references("x"))


def test_what_is_no_parquet_is_told(tmp_path):
    (tmp_path / "x.parquet").write_bytes(b"PAR1 and nothing more")
    with pytest.raises(LayoutError, match="not readable as parquet"):
        Parquet(tmp_path / "x.parquet")


def test_a_row_without_bytes_is_refused(tmp_path):
    image = [{"bytes": None, "path": "/etc/passwd"}, {"bytes": b"x", "path": None}]
    table = Parquet(write_parquet(tmp_path / "x.parquet", image=image))
    with pytest.raises(PictureError) as error:
        table.read(next(iter(table.references("x"))), Limits())
    assert error.value.reason == "missing"


def test_a_list_beside_its_folder(tmp_path):
    write_files(tmp_path / "set", ["images/a.jpg", "images/b.jpg"])
    rows = [
        {"file": "b.jpg", "model": "FLUX1_dev", "label": "fake"},
        {"file": "a.jpg", "model": "", "label": "Real"},
    ]
    write_csv(tmp_path / "set/list.csv", rows)
    expected = [Reference("", "set/images/b.jpg", label=1, generator="flux.1-dev")]
    assert listed(tmp_path) == ([*expected, Reference("", "set/images/a.jpg", label=0)], [])


def test_a_list_in_a_zip(tmp_path):
    text = b"path,label\na.jpg,1\nb.jpg,0\n"
    write_zip(tmp_path / "x.zip", {"s/list.csv": text, "s/images/a.jpg": encoded(0), "s/images/b.jpg": encoded(1)})
    found, problems = listed(tmp_path)
    assert [(r.path, r.label) for r in found] == [("x.zip/s/images/a.jpg", 1), ("x.zip/s/images/b.jpg", 0)]
    assert problems == []


def test_listed_pictures_that_are_not_there_are_counted(tmp_path):
    write_files(tmp_path, ["images/a.jpg"])
    write_csv(tmp_path / "list.csv", [{"path": name, "label": "0"} for name in ("a.jpg", "b.jpg", "c.jpg")])
    found, problems = listed(tmp_path)
    assert len(found) == 1
    assert problems == [f"{tmp_path}/list.csv: 2 of the pictures it lists are not there; download them too"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name,label\na.jpg,0\n", "no column file or path; found ['name', 'label']"),
        ("path,label\n../../etc/a.jpg,0\n", "line 2 names '../../etc/a.jpg', which is no picture in here"),
        ("path,label\n/etc/a.jpg,0\n", "line 2 names '/etc/a.jpg', which is no picture in here"),
        ("path,label\na.jpg,maybe\n", "line 2 has the label 'maybe'; it must be real or generated"),
    ],
)
def test_a_bad_list_is_told(tmp_path, text, words):
    write_files(tmp_path, ["images/a.jpg"])
    (tmp_path / "list.csv").write_text(text)
    assert listed(tmp_path) == ([], [f"{tmp_path}/list.csv: {words}"])


def test_a_list_in_another_encoding_is_told(tmp_path):
    (tmp_path / "list.csv").write_bytes("path,label\né.jpg,0\n".encode("latin-1"))
    assert "not readable as CSV" in listed(tmp_path)[1][0]
