"""What is said of things that are not picturse's path, or whose path leads nowhere: what they are, and the cure."""

import base64
import os
from pathlib import Path
from typing import Any

import pytest

from fakeface.images.load import PictureError, load_picture

LONG = base64.b64encode(bytes(range(256)) * 64).decode()


def refusal(picture: Any) -> PictureError:
    with pytest.raises(PictureError) as refused:
        load_picture(picture)
    return refused.value


@pytest.mark.parametrize("text", [f"data:image/png;base64,{LONG}", LONG, "data:,"])
def test_a_picture_as_text_is_called_so_and_not_repeated(text: str):
    error = refusal(text)
    assert error.reason == "unsupported-type"
    assert str(error).startswith("picture: a picture as text, not the path of one; decode it, base64.b64decode(")
    assert len(str(error)) < 200


def test_a_link_to_nothing_is_called_so(tmp_path: Path):
    (tmp_path / "link.jpg").symlink_to(tmp_path / "gone.jpg")
    error = refusal(tmp_path / "link.jpg")
    assert (error.reason, error.problem) == ("missing", "a link to nothing; put back what it leads to")


def test_a_folder_that_may_not_be_listed_is_no_picture_to_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "closed").mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # as it is for everybody but root
    error = refusal(tmp_path / "closed")
    assert (error.reason, error.problem) == ("unreadable", "no permission to read it; check its mode and owner")
    monkeypatch.undo()
    assert refusal(tmp_path).problem == "a folder; give a picture file"


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "CR3"),
        (b"II*\0\x10\0\0\0CR\2\0\0\0\0\0", "CR2"),
    ],
)
def test_raw_pictures_of_canon_are_called_so(head: bytes, kind: str):
    """They were "a film" and "the TIFF file is broken"."""
    error = refusal(head + bytes(64))
    assert error.reason == "unsupported-format"
    assert error.problem == f"Canon raw ({kind}) files are not supported; develop it, and save it as JPEG or PNG"


def test_a_row_without_its_picture_is_told_how_to_give_it():
    assert refusal({"label": 1, "img": object()}).problem.endswith("or give its picture, row['image']")
