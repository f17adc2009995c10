"""Archives of strangers: every one gives its pictures or a reason, and nothing outside is touched."""

from pathlib import Path

import pytest
from hostile import write_archives

from fakeface.data.sources.reader import Reader
from fakeface.images.load import PictureError, load_picture
from fakeface.score.inputs import Inputs


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archives")
    return folder, write_archives(folder)


def read(file: Path, place: Path) -> tuple[int, list[str]]:
    """How many pictures an archive gives, and the reasons for what it does not."""
    reader, pictures, reasons = Reader(file.parent), 0, []
    for entry in Inputs(place).entries([str(file)]):
        try:
            if entry.reason:
                raise PictureError(entry.name, entry.reason, entry.problem)
            load_picture(reader.read(entry.reference), name=entry.name)
            pictures += 1
        except PictureError as error:
            reasons.append(error.reason)
    reader.close()
    return pictures, reasons


def test_every_archive_gives_pictures_or_reasons(archives, tmp_path):
    folder, most = archives
    found = {name: read(folder / name, tmp_path) for name in most}
    assert len(found) >= 35
    assert {name: pictures for name, (pictures, _) in found.items() if pictures > most[name]} == {}
    assert found["sound.zip"] == found["sound.tar.gz"] == (3, [])
    for name in ("outside.zip", "outside.tar", "links.tar", "many.zip"):
        assert found[name] == (0, []), name
    for name in ("encrypted.zip", "bomb.zip", "bomb.tar.gz", "no-archive.zip", "no-archive.tar"):
        pictures, reasons = found[name]
        assert (pictures, bool(reasons)) == (0, True), name
