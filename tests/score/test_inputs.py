"""What there is to score: every picture once, always in the same order, and a reason for what cannot be read."""

import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made import write_tar, write_zip

from fakeface.hub.dataset_repo import HubError
from fakeface.score import inputs as module
from fakeface.score.inputs import Entry, Inputs, SortedNames


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def entries(*given: str, **settings) -> list[Entry]:
    return list(Inputs(Path(), **settings).entries(given))


def names(*given: str, **settings) -> list[str]:
    return [entry.name for entry in entries(*given, **settings)]


def touch(*paths: str) -> None:
    for path in map(Path, paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_a_folder_is_its_pictures_in_order_then_its_folders():
    touch("in/b.jpg", "in/a.PNG", "in/notes.txt", "in/z/1.jpg", "in/m/n/2.webp", "in/c.jpg/3.gif")
    assert names("in") == ["in/a.PNG", "in/b.jpg", "in/c.jpg/3.gif", "in/m/n/2.webp", "in/z/1.jpg"]


def test_a_folder_is_left_by_no_link(here: Path):
    touch("in/a.jpg", "secret/b.jpg")
    os.symlink("../secret", "in/more")
    os.symlink("..", "in/loop")
    assert names("in") == ["in/a.jpg"]
    assert entries("in")[0].root == str(here / "in")


def test_the_runs_own_files_are_no_input(here: Path):
    touch("in/a.jpg", "in/out.parquet", "in/out.parquet.parts/unit.jpg")
    own = frozenset({str(here / "in/out.parquet"), str(here / "in/out.parquet.parts")})
    assert names("in", skip=own) == ["in/a.jpg"]


def test_more_names_than_fit_are_sorted_on_the_disk(here: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "_RUN", 3)
    sorter = SortedNames(here)
    given = ["b", "ä", "a\nb", "d", "a", os.fsdecode(b"\xff"), "c", "0"]
    for name in given:
        sorter.add(name)
    assert list(sorter) == sorted(given)
    touch(*(f"in/{i:02d}.jpg" for i in range(20)))
    assert names("in") == [f"in/{i:02d}.jpg" for i in range(20)]


def test_archives_and_tables_are_read_where_they_are(here: Path):
    Path("in").mkdir()
    write_zip(here / "in/b.zip", {"x/2.jpg": b"", "x/1.jpg": b"", "read.me": b"", "__MACOSX/._1.jpg": b""})
    write_tar(here / "in/a.tgz", {"./2.jpg": b"", "1.jpg": b""})
    pq.write_table(pa.table({"image": [b"x", b"y"]}), "in/c.parquet")
    expected = ["in/a.tgz/2.jpg", "in/a.tgz/1.jpg", "in/b.zip/x/1.jpg", "in/b.zip/x/2.jpg"]
    expected += ["in/c.parquet/00000000", "in/c.parquet/00000001"]
    assert names("in") == names("in/a.tgz", "in/b.zip", "in/c.parquet") == expected


def test_no_name_in_an_archive_leads_out_of_it(here: Path):
    escaping = ("../x.jpg", "/etc/x.jpg", "..\\x.jpg", "a/../../x.jpg")
    write_zip(here / "a.zip", dict.fromkeys((*escaping, "b.jpg"), b""))
    with tarfile.open(here / "a.tar", "w") as archive:
        link = tarfile.TarInfo("link.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        archive.addfile(tarfile.TarInfo("../../x.jpg"))
        archive.addfile(tarfile.TarInfo("b.jpg"))
    assert names("a.zip", "a.tar") == ["a.zip/b.jpg", "a.tar/b.jpg"]


def test_a_broken_archive_is_an_entry_with_a_reason(here: Path):
    touch("in/a.jpg")
    (here / "in/b.zip").write_bytes(b"PK")
    broken = entries("in")[1]
    assert (broken.name, broken.reason) == ("in/b.zip", "unreadable")
    assert broken.problem == "a truncated zip, or none at all (2 bytes); download it again"


@contextmanager
def unprivileged() -> Iterator[None]:
    """For root every folder is open."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_folder_that_cannot_be_listed_is_an_entry_with_a_reason(here: Path):
    touch("in/locked/a.jpg", "in/b.jpg")
    here.chmod(0o755)
    (here / "in/locked").chmod(0)
    with unprivileged():
        found = entries("in/locked")
    (here / "in/locked").chmod(0o755)
    told = [(entry.name, entry.reason, entry.problem) for entry in found]
    assert told == [
        ("in/locked", "unreadable", "cannot be listed (Permission denied); check its mode and owner")
    ]  # fmt: skip


def test_globs_are_sorted_and_one_without_matches_is_told():
    touch("b1.jpg", "a1.jpg", "deep/er/c1.jpg", "odd[1].jpg")
    assert names("*1.jpg") == ["a1.jpg", "b1.jpg"]
    assert names("**/*1.jpg") == ["a1.jpg", "b1.jpg", "deep/er/c1.jpg"]
    assert names("odd[1].jpg") == ["odd[1].jpg"]  # there is such a file
    assert [entry[3:] for entry in entries("*.gif")] == [("missing", "no file matches; check the path")]


def test_a_list_has_a_path_or_an_address_a_line(here: Path):
    (here / "list").write_bytes(b"a.jpg\r\n\n\xff.jpg\nhttps://example.org/b.jpg\n-\nlast.jpg")
    found = entries("-", listed=here / "list")
    assert [os.fsencode(entry.name) for entry in found] == [
        b"a.jpg", b"\xff.jpg", b"https://example.org/b.jpg", b"-", b"last.jpg"
    ]  # fmt: skip
    assert [entry.reference.member for entry in found][::2] == [
        str(here / "a.jpg"), "https://example.org/b.jpg", str(here / "last.jpg")
    ]  # fmt: skip


def test_what_was_named_itself_may_be_a_link(here: Path):
    touch("store/blob")
    write_zip(here / "store/real.zip", {"b.jpg": b"b"})
    Path("links").mkdir()
    os.symlink("../store/real.zip", "links/a.zip")
    (found,) = entries("links/a.zip")
    assert (found.name, found.root, found.reference.container) == ("links/a.zip/b.jpg", str(here), "links/a.zip")


def test_a_dataset_of_the_hub_is_read_in_the_hubs_cache(here: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(here))
    repository, revision = here / "datasets--nobody--faces", "0" * 40
    touch(str(repository / "blobs/abc"))
    (repository / "refs").mkdir()
    (repository / "refs/main").write_text(revision)
    (repository / "snapshots" / revision / "data").mkdir(parents=True)
    os.symlink("../../../blobs/abc", repository / "snapshots" / revision / "data/a.jpg")
    (found,) = entries("hf://datasets/nobody/faces")
    assert (found.name, found.root) == ("hf://datasets/nobody/faces/data/a.jpg", str(repository))
    assert found.reference.member == f"snapshots/{revision}/data/a.jpg"
    assert entries(f"hf://datasets/nobody/faces@{revision}") == [found]
    with pytest.raises(HubError, match="faces: no name of a dataset; it takes the form hf://datasets/OWNER/NAME"):
        entries("hf://datasets/faces")
