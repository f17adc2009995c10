"""The full picture in files whose first directory is a thumbnail, as those of cameras are."""

import io
import struct

import numpy as np
import pytest
from hostile import encode, photo
from PIL import Image

from fakeface.images.load import PictureError, load_picture, open_picture

FULL, SMALL = photo(96, 64), photo(24, 16)


def strip(picture: Image.Image, kind: int, at: int, **tags: int) -> list[tuple[int, int, int]]:
    """The entries of an uncompressed RGB picture whose pixels lie at an offset: tag, type, value."""
    width, height = picture.size
    known = {"turn": 274, "below": 330, "light": 262}
    more = [(known[name], 3 if name != "below" else 4, value) for name, value in tags.items() if name != "light"]
    entries = [(254, 4, kind), (256, 4, width), (257, 4, height), (259, 3, 1), (262, 3, tags.get("light", 2))]
    entries += [(273, 4, at), (277, 3, 3), (278, 4, height), (279, 4, width * height * 3), (284, 3, 1), *more]
    return sorted(entries)


def tiff(*directories: list[tuple[int, int, int]], chained: bool = False, pixels: bytes = b"") -> bytes:
    """Little-endian, its directories 400 bytes apart from 8 on, the pixels from 2000 on; 8 bits a sample."""
    data = bytearray(2000) + pixels
    data[:8] = b"II*\0" + struct.pack("<I", 8)
    for number, entries in enumerate(directories):
        at = 8 + 400 * number
        following = at + 400 if chained and number + 1 < len(directories) else 0
        packed = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in [*entries])
        bits = struct.pack("<HHII", 258, 3, 3, 1900)
        rows = sorted([packed[i : i + 12] for i in range(0, len(packed), 12)] + [bits], key=lambda row: row[:2][::-1])
        content = struct.pack("<H", len(rows)) + b"".join(rows) + struct.pack("<I", following)
        data[at : at + len(content)] = content
    data[1900:1906] = struct.pack("<HHH", 8, 8, 8)
    return bytes(data)


PIXELS = SMALL.tobytes() + FULL.tobytes()
AT = 2000 + len(SMALL.tobytes())


def same(data: bytes, expected: Image.Image) -> bool:
    return np.array_equal(np.asarray(load_picture(data)), np.asarray(expected))


def test_the_picture_below_a_thumbnail_is_taken():
    data = tiff(strip(SMALL, 1, 2000, below=408), strip(FULL, 0, AT), pixels=PIXELS)
    assert Image.open(io.BytesIO(data)).size == SMALL.size  # what the first directory holds
    assert same(data, FULL)


def test_the_picture_behind_a_thumbnail_is_taken():
    assert same(tiff(strip(SMALL, 1, 2000), strip(FULL, 0, AT), chained=True, pixels=PIXELS), FULL)


def test_the_orientation_of_the_file_turns_it():
    data = tiff(strip(SMALL, 1, 2000, below=408, turn=6), strip(FULL, 0, AT), pixels=PIXELS)
    assert same(data, FULL.transpose(Image.Transpose.ROTATE_270))


def test_of_pages_the_first_is_taken():
    assert same(tiff(strip(SMALL, 0, 2000), strip(FULL, 0, AT), chained=True, pixels=PIXELS), SMALL)
    assert same(encode("TIFF", SMALL, save_all=True, append_images=[FULL]), SMALL)


def test_smaller_copies_below_a_picture_are_left():
    assert same(tiff(strip(FULL, 0, AT, below=408), strip(SMALL, 1, 2000), pixels=PIXELS), FULL)


def test_what_a_sensor_counted_is_not_developed_and_that_is_said():
    data = tiff(strip(SMALL, 1, 2000, below=408), strip(FULL, 0, AT, light=32803), pixels=PIXELS)
    assert same(data, SMALL)
    assert open_picture(data).remarks == (
        "the file holds what its camera's sensor counted, 96 x 64 pixels, which is not developed here: its preview of "
        "24 x 16 pixels was judged",
    )


@pytest.mark.parametrize("below", [8, 0, 2**31, 1999])
def test_a_directory_below_that_is_none_is_passed_over(below):
    assert same(tiff(strip(SMALL, 1, 2000, below=below), pixels=PIXELS), SMALL)


def test_a_bomb_below_a_thumbnail_is_refused():
    huge = [(tag, kind, 60_000 if tag in (256, 257) else value) for tag, kind, value in strip(FULL, 0, AT)]
    with pytest.raises(PictureError) as refusal:
        load_picture(tiff(strip(SMALL, 1, 2000, below=408), huge, pixels=PIXELS))
    assert refusal.value.reason == "too-many-pixels"
