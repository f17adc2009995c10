"""TFRecord files and LMDB folders."""

import os
import tracemalloc
from contextlib import closing

import numpy as np
import pytest
from raw import encoded, field, nvidia_record, picture, write_lmdb, write_tfrecord

from fakeface.data.sources.records import Lmdb, TFRecord
from fakeface.data.sources.reference import LayoutError
from fakeface.images.load import Limits, PictureError


def read_all(container):
    try:
        return [container.read(reference, Limits()) for reference in container.references("x")]
    finally:
        container.close()


def test_nvidias_records_are_pixels(tmp_path):
    file = TFRecord(write_tfrecord(tmp_path / "x.tfrecords", [nvidia_record(1), nvidia_record(2)]))
    first, second = read_all(file)
    assert np.array_equal(first, np.asarray(picture(1)))
    assert np.array_equal(second, np.asarray(picture(2)))


def test_grey_pixels_have_no_channels(tmp_path):
    record = {"shape": [1, 2, 3], "data": bytes(range(6))}
    (pixels,) = read_all(TFRecord(write_tfrecord(tmp_path / "x.tfrecords", [record])))
    assert np.array_equal(pixels, [[0, 1, 2], [3, 4, 5]])


def test_tensorflows_records_are_files(tmp_path):
    record = {"image/encoded": encoded(3), "image/height": [32]}
    assert read_all(TFRecord(write_tfrecord(tmp_path / "x.tfrecord", [record]))) == [encoded(3)]


def test_a_cut_tfrecord_is_a_problem(tmp_path):
    file = write_tfrecord(tmp_path / "x.tfrecords", [nvidia_record(1), nvidia_record(2)])
    os.truncate(file, file.stat().st_size - 10)
    with pytest.raises(LayoutError, match="ends within record 1"):
        read_all(TFRecord(file))


@pytest.mark.parametrize(
    "record",
    [
        {"shape": [3, 99, 99], "data": bytes(12)},
        {"shape": [3, 2, 2]},
        {"text": b"no picture"},
    ],
)
def test_other_records_are_refused(tmp_path, record):
    file = TFRecord(write_tfrecord(tmp_path / "x.tfrecords", [record]))
    with pytest.raises(PictureError) as error:
        read_all(file)
    assert error.value.reason == "broken"


def test_noise_in_a_record_is_refused(tmp_path):
    data = np.random.default_rng(0).bytes(200)
    (tmp_path / "x.tfrecord").write_bytes(len(data).to_bytes(8, "little") + bytes(4) + data + bytes(4))
    with pytest.raises(PictureError):
        read_all(TFRecord(tmp_path / "x.tfrecord"))


def test_a_number_for_a_name_takes_no_memory(tmp_path):
    """`bytes(number)` once made that many zeros: a record of some 20 bytes asked for a petabyte."""
    entry = b"\x08" + b"\xff" * 7 + b"\x01" + b"\x12\x02\x0a\x00"  # name: 2**50 and more; feature: an empty list
    features = b"\x0a" + bytes([len(entry)]) + entry
    data = b"\x0a" + bytes([len(features)]) + features
    (tmp_path / "x.tfrecord").write_bytes(len(data).to_bytes(8, "little") + bytes(4) + data + bytes(4))
    with pytest.raises(PictureError) as error:
        read_all(TFRecord(tmp_path / "x.tfrecord"))
    assert error.value.reason == "broken"


EMPTY_FILES = field(1, field(1, field(1, b"image/encoded") + field(2, field(1, b"\x0a\x00" * 300_000))))
NUMBERS = field(1, field(1, field(1, b"shape") + field(2, field(3, field(1, b"\x07" * 300_000)))))


@pytest.mark.parametrize(("data", "outcome"), [(EMPTY_FILES, b""), (NUMBERS, "broken")])
def test_endless_values_take_no_memory(tmp_path, data, outcome):
    file = tmp_path / "x.tfrecord"
    file.write_bytes(len(data).to_bytes(8, "little") + bytes(4) + data + bytes(4))
    with closing(TFRecord(file)) as container:
        (reference,) = container.references("x")
        tracemalloc.start()
        try:
            found = container.read(reference, Limits())
        except PictureError as error:
            found = error.reason
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert found == outcome
    assert peak < 1_500_000  # and the record is 300,000 or 600,000 bytes


def test_a_file_in_a_record_has_the_limit_of_all_files(tmp_path):
    container = TFRecord(write_tfrecord(tmp_path / "x.tfrecord", [{"image/encoded": bytes(1001)}]))
    (reference,) = container.references("x")
    with closing(container), pytest.raises(PictureError) as error:
        container.read(reference, Limits(max_bytes=1000))
    assert error.value.reason == "too-many-bytes"


def test_an_lmdb_gives_its_pictures(tmp_path):
    pytest.importorskip("lmdb", reason="needs the extra `publishers`")
    items = {f"{side}-{i:05d}": encoded(i, "PNG", side) for i in range(2) for side in (16, 64)}
    database = Lmdb(write_lmdb(tmp_path / "x.lmdb", {**items, "length": b"2"}))
    found = list(database.references("x.lmdb"))
    assert [reference.path for reference in found] == ["x.lmdb/64-00000", "x.lmdb/64-00001"]
    with pytest.raises(PictureError, match="no such key"):
        database.read(found[0]._replace(member="nothing"), Limits())
    assert read_all(database) == [encoded(0, "PNG", 64), encoded(1, "PNG", 64)]


def test_a_broken_lmdb_is_a_problem(tmp_path):
    pytest.importorskip("lmdb", reason="needs the extra `publishers`")
    (tmp_path / "data.mdb").write_bytes(b"no database")
    with pytest.raises(LayoutError, match="not an LMDB"):
        Lmdb(tmp_path)
