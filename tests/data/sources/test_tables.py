"""Parquet files and CSV lists."""

import os
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset
from raw import encoded, write_csv, write_files, write_zip

from fakeface.data.sources import tables
from fakeface.data.sources.reference import LayoutError, Reference
from fakeface.data.sources.tables import CsvList, Parquet
from fakeface.images.load import Limits, PictureError
from fakeface.utils.label_names import CURE

OURS = ("real", "generated")
LIST = CsvList("list.csv", ("file", "path"), "images", "model", {"FLUX1_dev": "flux.1-dev"}, "label", OURS)


def write_parquet(file, **columns):
    pq.write_table(pa.table(columns), file, row_group_size=2)
    return file


def listed(root, csv_list=LIST):
    problems: list[str] = []
    return list(csv_list.references(root, problems)), problems


def test_rows_of_a_parquet_file(tmp_path):
    images = [{"bytes": encoded(i), "path": f"{i}.jpg"} for i in range(5)]
    told = {"label": [0, 1, 0, 1, 0], "generator": ["none", "x", None, "y", "none"], "source": list("abcde")}
    table = Parquet(write_parquet(tmp_path / "x.parquet", image=images, **told), OURS)
    found = list(table.references("x.parquet"))
    assert found[1]._replace(size=0) == Reference("x.parquet", "00000001", 1, 0, 1, "x", "b")
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
        ({"image": [{"path": "a.jpg"}]}, r"no column `image` with the bytes of pictures; found image \(struct"),
        ({"image_data": ["a.jpg"]}, r"no column `image` with the bytes of pictures; found image_data \(string\)"),
    ],
)
def test_a_wrong_schema_is_told(tmp_path, columns, words):
    with pytest.raises(LayoutError, match=words):
        Parquet(write_parquet(tmp_path / "x.parquet", **columns))


def test_a_wrong_label_is_told(tmp_path):
    table = Parquet(write_parquet(tmp_path / "x.parquet", image=[b"a", b"b"], label=[0, 7]), OURS)
    with pytest.raises(LayoutError, match="row 1 has the label 7; it must be 0 or 1"):
        list(table.references("x"))


@pytest.mark.parametrize("names", [["generated", "real"], ["fake", "real"], ["human", "ai"]])
def test_the_names_that_datasets_wrote_decide(tmp_path, names):
    """They were not looked at: of an image folder, whose labels go by the alphabet, every one was inverted."""
    images = [{"bytes": encoded(i), "path": None} for i in range(3)]
    dataset = Dataset.from_dict({"image": images, "label": [0, 1, 0]}).cast_column("label", ClassLabel(names=names))
    dataset.to_parquet(str(tmp_path / "x.parquet"))
    ours = [int(names[number] in ("generated", "fake", "ai")) for number in (0, 1, 0)]
    assert [each.label for each in Parquet(tmp_path / "x.parquet", ()).references("x")] == ours
    assert [each.label for each in Parquet(tmp_path / "x.parquet").references("x")] == [-1] * 3


@pytest.mark.parametrize("words", [["fake", "real", None], pa.array(["fake", "real", None]).dictionary_encode()])
def test_labels_that_are_names(tmp_path, words):
    table = Parquet(write_parquet(tmp_path / "x.parquet", image=[b"a", b"b", b"c"], label=words), ())
    assert [each.label for each in table.references("x")] == [1, 0, -1]


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ([0, 1], "x.parquet: the labels are numbers, and nothing says which are real; name them, or state their order"),
        (["real", "cat"], "x.parquet: row 1: the label 'cat' says neither real nor generated; name them"),
        ([True, False], "the column `label` must hold names or whole numbers, not bool"),
    ],
)
def test_labels_that_nothing_tells_are_refused(tmp_path, label, words):
    table = Parquet(write_parquet(tmp_path / "x.parquet", image=[b"a", b"b"], label=label), ())
    with pytest.raises(LayoutError, match=words):
        list(table.references("x"))


@pytest.mark.parametrize("metadata", [b"{", b"[]", b"[" * 100_000, b'{"info": {"features": {"label": 7}}}'])
def test_names_that_cannot_be_read_are_none(tmp_path, metadata):
    table = pa.table({"image": [b"a"], "label": [0]}).replace_schema_metadata({b"huggingface": metadata})
    pq.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(LayoutError, match="nothing says which are real"):
        list(Parquet(tmp_path / "x.parquet", ()).references("x"))


def test_a_list_in_json_lines(tmp_path):
    write_files(tmp_path, ["a.jpg", "b.jpg"])
    rows = ['{"file_name": "b.jpg", "label": "fake"}', "", '{"file_name": "a.jpg", "label": 0}']
    (tmp_path / "list.jsonl").write_text("\n".join(rows))
    lists = CsvList("list.jsonl", ("path", "file_name"), "", "", {}, "label", OURS)
    assert [(each.path, each.label) for each in listed(tmp_path, lists)[0]] == [("b.jpg", 1), ("a.jpg", 0)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1]\n", "line 1 is not a JSON object; write one picture on each line"),
        ('{"name": "a.jpg"}\n', "no column file or path; found ['name']"),
        ('{"path": "a.jpg", "label": "real"}\n{"path"\n', "not readable as JSON lines ("),
        ('{"path": ["/etc/a.jpg"], "label": "real"}\n', "which is not a picture in here"),
        ("[" * 100_000 + "\n", "not readable as JSON lines ("),
        ("", "no column file or path; found None"),
    ],
)
def test_a_bad_list_in_json_lines_is_told(tmp_path, text, words):
    write_files(tmp_path, ["a.jpg"])
    (tmp_path / "list.jsonl").write_text(text)
    (problem,) = listed(tmp_path, CsvList("list.jsonl", ("file", "path"), label="label"))[1]
    assert problem.startswith(f"{tmp_path}/list.jsonl: ")
    assert words in problem


def test_columns_as_publishers_name_them(tmp_path):
    community = {
        "image_data": [encoded(0), encoded(1), encoded(2)],
        "label": [1, 0, 1],
        "model_name": ["a/b", "", "c"],
        "architecture": ["LatDiff", "real", "GAN"],
    }
    table = Parquet(write_parquet(tmp_path / "x.parquet", **community), OURS)
    found = list(table.references("x"))
    assert [(r.label, r.generator, r.family) for r in found] == [(1, "a/b", "diffusion"), (0, "", ""), (1, "c", "gan")]
    assert [table.read(reference, Limits()) for reference in found] == community["image_data"]
    images = [{"bytes": encoded(i), "path": None} for i in range(2)]
    table = Parquet(
        write_parquet(tmp_path / "y.parquet", image=images, label=["real", "fake"], model=["real", "imagen-3"]), ()
    )
    assert [(r.label, r.generator, r.family) for r in table.references("y")] == [(0, "real", ""), (1, "imagen-3", "")]


def test_columns_of_our_own_names_win_and_others_are_taken_where_they_fit(tmp_path):
    """A column `model` of numbers, or of a camera beside `generator`, says nothing of the generator."""
    told = {"label": [1, 1], "generator": ["x", "y"], "model": ["EOS", "EOS"], "family": ["GAN", "no such family"]}
    table = Parquet(write_parquet(tmp_path / "x.parquet", image=[b"a", b"b"], **told), OURS)
    assert [(r.generator, r.family) for r in table.references("x")] == [("x", "gan"), ("y", "")]
    table = Parquet(write_parquet(tmp_path / "y.parquet", image=[b"a"], label=[1], model=[7]), OURS)
    assert [r.generator for r in table.references("y")] == [""]


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
    first = Reference("", "set/images/b.jpg", size=len(encoded(1)), label=1, generator="flux.1-dev")
    second = Reference("", "set/images/a.jpg", size=len(encoded(0)), label=0)
    assert listed(tmp_path) == ([first, second], [])


def test_a_list_in_a_zip(tmp_path):
    text = b"path,label\na.jpg,1\nb.jpg,0\n"
    write_zip(tmp_path / "x.zip", {"s/list.csv": text, "s/images/a.jpg": encoded(0), "s/images/b.jpg": encoded(1)})
    found, problems = listed(tmp_path)
    assert [(r.path, r.label) for r in found] == [("x.zip/s/images/a.jpg", 1), ("x.zip/s/images/b.jpg", 0)]
    assert [r.size for r in found] == [len(encoded(0)), len(encoded(1))]
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
        ("path,label\n../../etc/a.jpg,0\n", "line 2 names '../../etc/a.jpg', which is not a picture in here"),
        ("path,label\n/etc/a.jpg,0\n", "line 2 names '/etc/a.jpg', which is not a picture in here"),
        ("path,label\na.jpg,maybe\n", f"line 2: the label 'maybe' says neither real nor generated; {CURE}"),
    ],
)
def test_a_bad_list_is_told(tmp_path, text, words):
    write_files(tmp_path, ["images/a.jpg"])
    (tmp_path / "list.csv").write_text(text)
    assert listed(tmp_path) == ([], [f"{tmp_path}/list.csv: {words}"])


def test_a_list_in_another_encoding_is_told(tmp_path):
    (tmp_path / "list.csv").write_bytes("path,label\né.jpg,0\n".encode("latin-1"))
    assert "not readable as CSV" in listed(tmp_path)[1][0]


# ---- tables that are large, broken, or a stranger's


def test_pictures_in_others_places_are_other_references(tmp_path):
    """The number of rows was once all that a build knew of a table."""
    files = [encoded(i) for i in range(4)]
    before = list(Parquet(write_parquet(tmp_path / "x.parquet", image=files)).references("x"))
    files[2] = encoded(9, quality=30)
    after = list(Parquet(write_parquet(tmp_path / "x.parquet", image=files)).references("x"))
    assert [old == new for old, new in zip(before, after, strict=True)] == [
        True,
        True,
        False,
        False,
    ]  # row groups of two


def test_a_few_pictures_of_a_row_group_are_in_memory(tmp_path):
    """A row of a table of one large row group once took the memory of them all."""
    rng = np.random.default_rng(0)
    images = pa.table({"image": [rng.bytes(50_000) for _ in range(400)]})
    pq.write_table(images, tmp_path / "x.parquet", write_batch_size=8, use_dictionary=False)
    expected = images["image"][300].as_py()
    del images
    table = Parquet(tmp_path / "x.parquet")
    references = list(table.references("x"))
    before = pa.total_allocated_bytes()
    assert table.read(references[300], Limits()) == expected
    assert pa.total_allocated_bytes() - before < 5_000_000  # of 20 million
    table.close()


def test_rows_in_any_order(tmp_path):
    images = [bytes([i]) for i in range(100)]
    pq.write_table(pa.table({"image": images}), tmp_path / "x.parquet", row_group_size=40)
    table = Parquet(tmp_path / "x.parquet")
    found = list(table.references("x"))
    for row in (0, 15, 16, 39, 40, 99, 41, 40, 39, 3, 17, 80, 79):
        assert table.read(found[row], Limits()) == images[row]
    with pytest.raises(PictureError, match="has no such row any more"):
        table.read(Reference("x", "00000100", at=100), Limits())


def write_broken(file, column):
    """Two row groups of two rows; of the second, a column's first page has no header."""
    write_parquet(file, image=[encoded(i) for i in range(4)], label=[0, 1, 0, 1])
    facts = pq.read_metadata(file).row_group(1).column(column)
    data = bytearray(file.read_bytes())
    start = facts.dictionary_page_offset or facts.data_page_offset
    data[start : start + 30] = b"\xff" * 30
    file.write_bytes(data)
    return Parquet(file)


def test_broken_pictures_are_refused_alone(tmp_path):
    table = write_broken(tmp_path / "x.parquet", 0)
    found = list(table.references("x.parquet"))
    for row in (2, 3):
        with pytest.raises(PictureError, match=r"x\.parquet is broken there \(.*\); download it again") as error:
            table.read(found[row], Limits())
        assert error.value.reason == "broken"
    assert [table.read(found[row], Limits()) for row in (0, 1)] == [encoded(0), encoded(1)]


def test_broken_labels_are_a_problem_of_the_table(tmp_path):
    write_broken(tmp_path / "x.parquet", 1).close()
    table = Parquet(tmp_path / "x.parquet", OURS)
    with pytest.raises(LayoutError, match=rf"^{tmp_path}/x\.parquet: is broken \(.*\); download it again$"):
        list(table.references("x.parquet"))


def test_more_rows_than_a_file_can_hold_are_refused(tmp_path):
    pq.write_table(pa.table({"image": pa.nulls(1_000_000, pa.binary())}), tmp_path / "x.parquet")
    with pytest.raises(LayoutError, match=r"speaks of 1,000,000 rows in \d[\d,]* bytes; download it again"):
        Parquet(tmp_path / "x.parquet")


# ---- lists that are large, broken, or a stranger's


def test_a_list_that_is_one_long_line_is_told(tmp_path):
    write_zip(tmp_path / "x.zip", {"list.csv": b"path,label\n" + b"a" * 2_000_000})
    words = "a line of the list is longer than 1,048,576 characters; save it as CSV"
    assert listed(tmp_path) == ([], [f"{tmp_path}/x.zip: {words}"])


def test_a_list_without_end_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "_LONGEST_LIST", 1000)
    write_zip(tmp_path / "x.zip", {"list.csv": b"path,label\n" + b"\n" * 2000})
    assert listed(tmp_path) == ([], [f"{tmp_path}/x.zip: the list is longer than 1,000 characters; split it"])


def scrambled(data: bytes) -> bytes:
    return data[:50] + bytes(20) + data[70:]


def encrypted(data: bytes) -> bytes:
    changed = bytearray(data)
    for start, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        changed[data.index(start) + offset] |= 1
    return bytes(changed)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (scrambled, "list.csv cannot be read (Error -3 while decompressing data"),
        (encrypted, "list.csv cannot be read (File 'list.csv' is encrypted"),
        (lambda data: data[:-30], "a truncated zip, or none at all"),
    ],
)
def test_a_list_in_a_broken_zip_takes_one_line(tmp_path, change, words):
    """What `zipfile` raises was once let through, or passed over."""
    text = "path,label\n" + "".join(f"{i}.jpg,0\n" for i in np.random.default_rng(0).integers(0, 10**9, 200))
    file = write_zip(tmp_path / "x.zip", {"list.csv": text.encode()})
    file.write_bytes(change(file.read_bytes()))
    _, problems = listed(tmp_path)
    problems = [line for line in problems if "are not there" not in line]
    assert len(problems) == 1
    assert problems[0].startswith(f"{tmp_path}/x.zip: {words}")
    assert problems[0].endswith("; download it again")


def test_a_list_packed_without_a_limit_is_told(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("list.csv", "path,label\n")
    words = "list.csv is packed by a method other than deflate; unpack the archive"
    assert listed(tmp_path) == ([], [f"{tmp_path}/x.zip: {words}"])


def test_a_list_that_is_no_file_or_leads_out_is_told(tmp_path):
    write_csv(tmp_path / "secret.csv", [{"path": "a.jpg", "label": "0"}])
    for kind in ("folder", "pipe", "link"):
        root = tmp_path / kind
        root.mkdir()
        if kind == "folder":
            (root / "list.csv").mkdir()
        elif kind == "pipe":
            os.mkfifo(root / "list.csv")
        else:
            (root / "list.csv").symlink_to(tmp_path / "secret.csv")
        words = f"no ordinary file, or a link that leads out of {root}; copy the list itself"
        assert listed(root) == ([], [f"{root}/list.csv: {words}"])


def test_odd_names_are_not_there(tmp_path):
    write_csv(tmp_path / "list.csv", [{"path": name, "label": "0"} for name in ("a\0b.jpg", "a" * 300 + ".jpg")])
    assert listed(tmp_path) == (
        [],
        [f"{tmp_path}/list.csv: 2 of the pictures it lists are not there; download them too"],
    )
