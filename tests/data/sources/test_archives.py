"""Members of zip and tar archives, read in place."""

import io
import tarfile
import zipfile
from contextlib import closing

import pytest
from raw import encoded, write_tar, write_zip

from fakeface.data.sources.archives import Tar, Zip, is_picture
from fakeface.data.sources.reference import LayoutError
from fakeface.images.load import Limits, PictureError

MEMBERS = {"faces/b.jpg": encoded(1), "faces/a.png": encoded(2, "PNG"), "list.csv": b"a,b"}


def test_a_zip_lists_pictures_by_name(tmp_path):
    archive = Zip(write_zip(tmp_path / "x.zip", MEMBERS))
    found = list(archive.references("x.zip"))
    assert [reference.path for reference in found] == ["x.zip/faces/a.png", "x.zip/faces/b.jpg"]
    assert [archive.read(reference, Limits()) for reference in found] == [encoded(2, "PNG"), encoded(1)]
    archive.close()


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_tar_lists_pictures_in_its_order(tmp_path, mode):
    suffix = {"w": ".tar", "w:gz": ".tgz", "w:bz2": ".tar.bz2", "w:xz": ".tar.xz"}[mode]
    archive = Tar(write_tar(tmp_path / f"x{suffix}", MEMBERS, mode))
    found = list(archive.references("x"))
    assert [reference.path for reference in found] == ["x/faces/b.jpg", "x/faces/a.png"]
    archive.close()
    again = Tar(tmp_path / f"x{suffix}")  # as a worker does, without listing it first
    assert [again.read(reference, Limits()) for reference in reversed(found)] == [encoded(2, "PNG"), encoded(1)]
    again.close()


def test_links_in_a_tar_are_no_pictures(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        link = tarfile.TarInfo("a.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    with closing(Tar(tmp_path / "x.tar")) as tar:
        assert list(tar.references("x")) == []


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_cut_tar_is_a_problem(tmp_path, share):
    file = write_tar(tmp_path / "x.tgz", {f"{i}.jpg": encoded(i) for i in range(9)})
    data = file.read_bytes()
    file.write_bytes(data[: int(share * len(data))])
    words = r"x\.tgz: ends too early or is broken .*; download it again"
    with closing(Tar(file)) as tar, pytest.raises(LayoutError, match=words):
        list(tar.references("x"))


def test_a_scrambled_member_is_refused_alone(tmp_path):
    file = write_zip(tmp_path / "x.zip", {"a.jpg": encoded(1), "b.jpg": encoded(2)})
    data = bytearray(file.read_bytes())
    data[60:80] = bytes(20)  # in the middle of a.jpg
    file.write_bytes(data)
    archive = Zip(file)
    first, second = archive.references("x.zip")
    with pytest.raises(PictureError, match=r"x\.zip/a\.jpg: .* is broken or encrypted there"):
        archive.read(first, Limits())
    assert archive.read(second, Limits()) == encoded(2)


def test_a_member_that_unpacks_to_too_much_is_refused(tmp_path):
    archive = Zip(write_zip(tmp_path / "x.zip", {"bomb.jpg": bytes(10_000_000)}))
    (reference,) = archive.references("x.zip")
    with pytest.raises(PictureError) as error:
        archive.read(reference, Limits(max_bytes=1_000_000))
    assert error.value.reason == "too-many-bytes"


def test_names_in_a_zip(tmp_path):
    archive = Zip(write_zip(tmp_path / "x.zip", {"d/list.csv": b"a,b\n", "d/a.jpg": encoded(1)}))
    assert archive.names("list.csv") == ["d/list.csv"]
    found = archive.find("x.zip", "d/a.jpg")
    assert found is not None
    assert (found.path, found.size) == ("x.zip/d/a.jpg", len(encoded(1)))
    assert archive.find("x.zip", "a.jpg") is None
    with io.TextIOWrapper(archive.open("d/list.csv")) as text:
        assert text.read() == "a,b\n"


def test_names_that_would_leave_a_folder_are_no_pictures():
    names = ["a.jpg", "/etc/a.jpg", "..\\a.jpg", "a.txt", "a" * 4093 + ".jpg"]
    assert [is_picture(name) for name in names] == [True, False, False, False, False]


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_zipfile_unpacks_without_a_limit_is_refused(tmp_path, method):
    with zipfile.ZipFile(tmp_path / "x.zip", "w", method) as archive:
        archive.writestr("a.jpg", bytes(10_000))
    with closing(Zip(tmp_path / "x.zip")) as archive:
        (reference,) = archive.references("x.zip")
        with pytest.raises(PictureError, match=r"a\.jpg is packed by a method other than deflate; unpack the archive"):
            archive.read(reference, Limits())


def test_a_picture_in_anothers_place_is_another_reference(tmp_path):
    found = []
    for seed in (1, 2):
        with closing(Zip(write_zip(tmp_path / "x.zip", {"a.bmp": encoded(seed, "BMP")}))) as archive:
            found += archive.references("x.zip")
    assert found[0].size == found[1].size
    assert found[0] != found[1]


def test_a_header_that_would_fill_the_memory_is_refused(tmp_path):
    file = write_tar(tmp_path / "x.tgz", {"a.jpg": encoded(1)})
    with tarfile.open(file, "w:gz", format=tarfile.PAX_FORMAT, pax_headers={"comment": "x" * 2_000_000}) as archive:
        archive.addfile(tarfile.TarInfo("a.jpg"))
    with closing(Tar(file)) as tar, pytest.raises(LayoutError, match=r"is broken \(a header of 2,000,\d+ bytes\)"):
        list(tar.references("x"))
