"""Parquet files written row by row."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fakeface.data import parquet
from fakeface.data.parquet import TableWriter

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
SCHEMA = pa.schema([("image", IMAGE), ("source", pa.string())])


def row(size: int) -> dict:
    return {"image": {"bytes": bytes(size), "path": "a.jpg"}, "source": "s"}


def write(file, rows):
    with TableWriter(file, SCHEMA) as writer:
        for each in rows:
            writer.add(each)
    return pq.ParquetFile(file).metadata


def group_rows(metadata) -> list[int]:
    return [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]


def test_rows_come_back_in_order(tmp_path):
    rows = [row(3), {"image": None, "source": "t"}, {"image": {"bytes": None, "path": "b"}, "source": None}]
    write(tmp_path / "x.parquet", rows)
    assert pq.read_table(tmp_path / "x.parquet").to_pylist() == rows
    assert pq.read_schema(tmp_path / "x.parquet") == SCHEMA


def test_equal_rows_give_equal_bytes(tmp_path):
    for name in "ab":
        write(tmp_path / name, (row(i) for i in range(50)))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_row_groups_are_bounded_by_bytes_and_by_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "ROW_GROUP_BYTES", 100)
    monkeypatch.setattr(parquet, "ROW_GROUP_ROWS", 4)
    assert group_rows(write(tmp_path / "x", (row(40) for _ in range(7)))) == [3, 3, 1]
    assert group_rows(write(tmp_path / "y", (row(0) for _ in range(9)))) == [4, 4, 1]
    assert group_rows(write(tmp_path / "z", [])) == []


def test_pictures_are_neither_packed_nor_looked_up(tmp_path):
    group = write(tmp_path / "x", [row(50), row(50)]).row_group(0)
    columns = {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}
    assert columns["image.bytes"].compression == "UNCOMPRESSED"
    assert columns["source"].compression == "ZSTD"
    assert [name for name, column in columns.items() if column.has_dictionary_page] == ["source"]


def test_a_failure_leaves_no_file(tmp_path):
    def rows():
        yield row(1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write(tmp_path / "x", rows())
    with pytest.raises(pa.ArrowException):  # only found when the rows are written, at the end
        write(tmp_path / "y", [{"image": None, "source": 7}])
    assert list(tmp_path.iterdir()) == []


def test_a_schema_without_pictures(tmp_path):
    with TableWriter(tmp_path / "x", pa.schema([("reason", pa.string())])) as writer:
        writer.add({"reason": "empty", "image": None})
    assert pq.read_table(tmp_path / "x").to_pylist() == [{"reason": "empty"}]
