"""Sources that are not as they should be: the command ends with one clear line about each, and builds nothing."""

import errno
import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from raw import encoded, write_files
from typer.testing import CliRunner

from fakeface.cli.data import app

PARTIAL = "To build from what is there, set `partial: true` at the source, or give --partial."


def refusal(tmp_path: Path, *sources: dict, **settings) -> list[str]:
    """Lines of the command's refusal."""
    file = tmp_path / "recipe.yaml"
    file.write_text(json.dumps({"sources": list(sources), **settings}))  # YAML takes JSON
    where = ["--root", str(tmp_path / "root"), "--out", str(tmp_path / "out"), "--workers", "1"]
    result = CliRunner().invoke(app, ["build", str(file), *where])
    assert (result.exit_code, result.stdout) == (2, "")
    assert not (tmp_path / "out/build.json").exists()
    return result.stderr.splitlines()


def pictures(name: str, **settings) -> dict:
    return {"source": "pictures", "name": name, **settings}


def test_an_unreadable_folder(tmp_path, monkeypatch):
    write_files(tmp_path / "root/camera", ["open/1.jpg", "closed/2.jpg"])
    scandir = os.scandir

    def refuse(path="."):  # what the system does, which lets root in everywhere
        if os.path.basename(path) == "closed":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert refusal(tmp_path, pictures("camera", label="real")) == [
        f"{tmp_path}/root/camera/closed: cannot be listed (Permission denied); check its mode and owner",
        PARTIAL,
    ]


def test_too_few_and_too_many_pictures_of_a_source(tmp_path):
    names = [f"dalle/{i:03d}.jpg" for i in range(677)] + ["midjourney/0.jpg"]
    for name in names:  # counts are known before anything is read
        (tmp_path / "root/gfw-generated" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root/gfw-generated" / name).touch()
    folder = tmp_path / "root/gfw-generated"
    assert refusal(tmp_path, {"source": "gfw-generated"}) == [
        f"{folder}: 1 of 6,350 Midjourney faces; 6,349 are missing; finish the download",
        f"{folder}: 677 of 676 DALL-E 2 faces; 1 too many; is it another set?",
        f"{folder}: 0 of 8,050 Stable Diffusion faces; 8,050 are missing; finish the download",
        PARTIAL,
    ]


def test_a_half_downloaded_and_a_missing_source(tmp_path):
    write_files(tmp_path / "root/camera", ["1.jpg"])
    (tmp_path / "root/camera/2.zip.part").write_bytes(b"PK")
    assert refusal(tmp_path, pictures("camera", label="real"), {"source": "ffhq"}) == [
        f"{tmp_path}/root/camera/2.zip.part: is half downloaded; let the download end, or start it again",
        f"{tmp_path}/root/ffhq: no such folder; get it from https://github.com/NVlabs/ffhq-dataset",
        PARTIAL,
    ]


@pytest.mark.parametrize(
    ("columns", "line"),
    [
        ({"picture": [b"x"]}, "no column `image` with the bytes of pictures; found picture (binary)"),
        ({"image": ["a.jpg"]}, "no column `image` with the bytes of pictures; found image (string)"),
        ({"image": [b"x"], "label": ["cat"]}, "row 0: the label 'cat' says neither real nor generated; name them"),
        ({"image": [b"x"], "label": [0]}, "the labels are numbers, and nothing says which are real; name them"),
        ({"image": [b"x"], "label": [1], "generator": [5]}, "the column `generator` must hold names, not int64"),
    ],
)
def test_a_parquet_with_a_wrong_schema(tmp_path, columns, line):
    (tmp_path / "root/table").mkdir(parents=True)
    pq.write_table(pa.table(columns), tmp_path / "root/table/x.parquet")
    first, *_ = refusal(tmp_path, pictures("table"))
    assert first.startswith(f"{tmp_path}/root/table/x.parquet: {line}")


def test_two_sources_that_contradict_each_other(tmp_path):
    write_files(tmp_path / "root/camera", ["1.jpg", "2.jpg"])
    write_files(tmp_path / "root/gan", ["3.jpg"], first=100)
    (tmp_path / "root/gan/same.jpg").write_bytes(encoded(1))
    sources = (pictures("camera", label="real"), pictures("gan", label="generated"))
    assert refusal(tmp_path, *sources, contradictions="refuse") == [
        "2 pictures stand in the set under both labels; leave one side out, name it in derived_from, or set "
        "`contradictions: set-aside`",
        "camera/2.jpg is real, but gan/same.jpg is the same picture and generated",
    ]
