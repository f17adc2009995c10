"""A folder of raw downloads as one list of pictures."""

import errno
import os

import pytest
from raw import encoded, write_files, write_zip

from fakeface.data.sources.reader import Reader, container_class, walk
from fakeface.data.sources.reference import LayoutError, Reference, limited
from fakeface.images.load import Limits, PictureError


def listed(root):
    problems: list[str] = []
    return [reference.path for reference in walk(root, problems)], problems


def refused(root, reference, limits=None) -> PictureError:
    with pytest.raises(PictureError) as error:
        Reader(root, limits).read(reference)
    return error.value


def test_folders_and_archives_are_one_list_in_order(tmp_path):
    write_files(tmp_path, ["b/2.png", "b/10.jpg", "a.jpg", "b/notes.txt"])
    write_zip(tmp_path / "b/more.zip", {"z/1.jpg": encoded(7), "readme.md": b"text"})
    assert listed(tmp_path) == (["a.jpg", "b/10.jpg", "b/2.png", "b/more.zip/z/1.jpg"], [])


def test_every_picture_of_the_list_can_be_read(tmp_path):
    write_files(tmp_path, ["a.jpg"])
    write_zip(tmp_path / "b.zip", {"z/1.jpg": encoded(7)})
    reader = Reader(tmp_path)
    assert [reader.read(reference) for reference in walk(tmp_path, [])] == [encoded(0), encoded(7)]
    reader.close()


def test_hidden_files_are_nobodys_pictures(tmp_path):
    write_files(tmp_path, ["._a.jpg", ".cache/b.jpg", "__MACOSX/c.jpg"])
    write_zip(tmp_path / "d.zip", {"__MACOSX/._e.jpg": encoded(1), "../f.jpg": encoded(2), "/g.jpg": encoded(3)})
    assert listed(tmp_path) == ([], [])


@pytest.mark.parametrize("name", ["faces.zip.part", "faces.zip.crdownload", "00001.png.download"])
def test_a_half_downloaded_file_is_named(tmp_path, name):
    (tmp_path / name).write_bytes(b"half")
    assert listed(tmp_path) == ([], [f"{tmp_path / name}: is half downloaded; let the download end, or start it again"])


def test_parts_of_an_archive_are_to_be_joined(tmp_path):
    for part in ("faces.zip.001", "faces.zip.002", "faces.zip.011"):
        (tmp_path / part).write_bytes(b"part")
    problem = f"{tmp_path}/faces.zip.001: a part of an archive; join the parts: cat faces.zip.* > faces.zip"
    assert listed(tmp_path) == ([], [problem])


def test_a_broken_archive_does_not_hide_the_rest(tmp_path):
    whole = write_zip(tmp_path / "a.zip", {"1.jpg": encoded(1)}).read_bytes()
    (tmp_path / "a.zip").write_bytes(whole[:-30])
    write_files(tmp_path, ["b.jpg"])
    paths, problems = listed(tmp_path)
    assert paths == ["b.jpg"]
    assert problems == [
        f"{tmp_path}/a.zip: a truncated zip, or none at all ({len(whole) - 30:,} bytes); download it again"
    ]


def test_an_unreadable_folder_is_a_problem(tmp_path, monkeypatch):
    write_files(tmp_path, ["closed/a.jpg", "open/b.jpg"])
    scandir = os.scandir

    def refuse(path):  # what the system does, which lets root in everywhere
        if os.path.basename(path) == "closed":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    references, problems = listed(tmp_path)
    assert problems == [f"{tmp_path}/closed: cannot be listed (Permission denied); check its mode and owner"]
    assert len(references) == 1


def test_links_out_of_the_folder_are_refused(tmp_path):
    write_files(tmp_path, ["secret/a.jpg"])
    write_zip(tmp_path / "secret/b.zip", {"1.jpg": encoded(1)})
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.jpg").symlink_to(tmp_path / "secret/a.jpg")
    assert refused(root, Reference("", "a.jpg")).reason == "unreadable"
    assert refused(root, Reference("", "../secret/a.jpg")).reason == "unreadable"
    assert refused(root, Reference("../secret/b.zip", "1.jpg")).reason == "unreadable"


def test_a_link_within_the_folder_is_followed(tmp_path):
    write_files(tmp_path, ["a.jpg"])
    (tmp_path / "b.jpg").symlink_to("a.jpg")
    assert Reader(tmp_path).read(Reference("", "b.jpg")) == encoded(0)


def test_what_is_gone_or_too_large_is_refused(tmp_path):
    write_files(tmp_path, ["a.jpg"])
    assert refused(tmp_path, Reference("", "b.jpg")).reason == "missing"
    assert refused(tmp_path, Reference("", "a.jpg"), Limits(max_bytes=100)).reason == "too-many-bytes"
    os.mkfifo(tmp_path / "c.jpg")
    assert refused(tmp_path, Reference("", "c.jpg")).reason == "not-a-file"


def test_limited_takes_what_is_just_small_enough():
    assert limited(b"1234", "a", Limits(max_bytes=4)) == b"1234"
    with pytest.raises(PictureError, match="more than"):
        limited(b"12345", "a", Limits(max_bytes=4))


def test_an_archive_that_is_gone_is_refused(tmp_path):
    assert "is gone" in str(refused(tmp_path, Reference("a.txt", "1.jpg")))


def test_container_class_goes_by_the_name(tmp_path):
    assert container_class(tmp_path / "a.jpg") is None
    found = {name: container_class(tmp_path / name) for name in ("a.ZIP", "a.tgz", "a.tar", "a.parquet", "a.tfrecords")}
    assert [kind.__name__ for kind in found.values() if kind] == ["Zip", "Tar", "Tar", "Parquet", "TFRecord"]
    assert issubclass(LayoutError, ValueError)


def test_a_link_to_nothing_is_called_so(tmp_path):
    (tmp_path / "link.jpg").symlink_to(tmp_path / "gone.jpg")
    assert refused(tmp_path, Reference("", "link.jpg")).problem == "a link to nothing; put back what it leads to"
