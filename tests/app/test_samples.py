"""Pictures to try."""

from pathlib import Path

import pytest
from tiny import picture

from fakeface import load_picture
from fakeface.app.samples import SampleError, samples, shipped_samples


def test_the_shipped_ones_are_pictures():
    shown = shipped_samples()
    assert [load_picture(path).size for _, path in shown] == [
        (512, 512),
        (256, 256),
        (256, 256),
        (112, 112),
        (600, 400),
    ]


def test_of_a_folder_some_are_taken_evenly_and_what_is_broken_is_left_out(tmp_path: Path):
    source, folder = tmp_path / "source", tmp_path / "folder"
    source.mkdir()
    folder.mkdir()
    for number in range(12):
        picture(seed=number).save(source / f"{number:02}.png")
    (source / "00.png").write_text("not a picture")
    found = samples(str(source), folder)
    assert [name for name, _ in found] == ["Example 1", "Example 2", "Example 3", "Example 4", "Example 5"]
    assert [path.read_bytes() for _, path in found] == [(source / f"{n:02}.png").read_bytes() for n in (2, 4, 6, 8, 10)]
    assert {path.parent for _, path in found} == {folder}


def test_a_source_without_pictures_is_refused_with_the_cure(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(SampleError, match="no pictures there; name a folder or dataset with some"):
        samples(str(tmp_path / "empty"), tmp_path)
