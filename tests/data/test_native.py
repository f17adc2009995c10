"""Facts of picture files as they were found."""

import io

import numpy as np
import pytest
from PIL import Image
from raw import encoded, picture

from fakeface.data.file_facts import read_native
from fakeface.images.load import Limits, PictureError


def facts(data) -> tuple:
    return tuple(read_native(data, "a.jpg", Limits())[1])


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_a_jpeg(subsampling):
    data = encoded(1, quality=50, subsampling=subsampling)
    assert facts(data) == (32, 32, "JPEG", 50, subsampling, False)


def test_other_formats_have_no_jpeg_facts():
    assert facts(encoded(1, "PNG")) == (32, 32, "PNG", -1, "none", False)
    assert facts(encoded(1, "WEBP")) == (32, 32, "WEBP", -1, "none", False)


def test_unusual_sampling_is_other():
    data = bytearray(encoded(1, subsampling="4:2:0"))
    frame = data.index(b"\xff\xc0")
    assert data[frame + 11] == 0x22  # the luminance's factors
    data[frame + 11] = 0x12
    assert facts(bytes(data))[4] == "other"


def test_sizes_are_upright_and_exif_is_metadata():
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    data = encoded(1, exif=exif)
    assert facts(data)[5] is True
    file = io.BytesIO()
    picture(1).crop((0, 0, 32, 16)).save(file, "JPEG", exif=exif)
    assert facts(file.getvalue())[:2] == (16, 32)


def test_bare_pixels_are_raw():
    assert facts(np.asarray(picture(1))) == (32, 32, "RAW", -1, "none", False)


def test_the_picture_comes_with_them():
    shown, _ = read_native(encoded(1, "PNG"), "a.png", Limits())
    assert np.array_equal(np.asarray(shown), np.asarray(picture(1)))


def test_a_broken_picture_is_refused_by_name():
    with pytest.raises(PictureError, match=r"^faces/a\.jpg: "):
        read_native(encoded(1)[:300], "faces/a.jpg", Limits())
