"""Downloads of a Hub dataset of another revision; the client's own records, without a Hub."""

from pathlib import Path

from huggingface_hub._local_folder import write_download_metadata
from raw import write_files

from fakeface.data.layouts import walk
from fakeface.data.publish import _remove_downloads_of_other_commits

OLD, NEW = "a" * 40, "b" * 40


def download(folder: Path, name: str, commit: str) -> None:
    write_files(folder, [name])
    write_download_metadata(folder, name, commit, etag="0" * 64)


def test_files_that_a_new_revision_lacks_are_removed(tmp_path):
    """They once stayed, and pictures of both revisions came into the dataset."""
    download(tmp_path, "data/old.jpg", OLD)
    download(tmp_path, "data/kept.jpg", OLD)
    download(tmp_path, "data/kept.jpg", NEW)  # the client's record follows when it finds the file unchanged
    download(tmp_path, "new.jpg", NEW)
    write_files(tmp_path, ["mine.jpg"])
    _remove_downloads_of_other_commits(tmp_path, NEW)
    assert [reference.path for reference in walk(tmp_path, [])] == ["mine.jpg", "new.jpg", "data/kept.jpg"]
    _remove_downloads_of_other_commits(tmp_path, NEW)
    assert len(list(walk(tmp_path, []))) == 3


def test_a_folder_without_downloads_is_left_alone(tmp_path):
    write_files(tmp_path, ["mine.jpg"])
    _remove_downloads_of_other_commits(tmp_path, NEW)
    assert [reference.path for reference in walk(tmp_path, [])] == ["mine.jpg"]
