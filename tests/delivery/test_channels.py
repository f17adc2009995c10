"""Encoders, platforms and screenshots: what they write, and that the same draw gives the same bytes."""

import numpy as np
import pytest
from PIL import Image

from fakeface.delivery.augment import sample_rng
from fakeface.delivery.channels import INTERFACE_SHADES, PLATFORMS, Platform, encode, reencode, screenshot, send


def photo(width=96, height=96, seed=0):
    coarse = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8))
    return coarse.resize((width, height), Image.Resampling.BICUBIC)


@pytest.mark.parametrize(
    ("codec", "start"), [("JPEG", b"\xff\xd8\xff"), ("WEBP", b"RIFF"), ("AVIF", b"\0\0\0\x20ftypavif")]
)
def test_each_codec_writes_its_own_format_the_same_twice(codec, start):
    data = encode(photo(), codec, 60)
    assert data.startswith(start)
    assert encode(photo(), codec, 60) == data
    assert len(data) < len(encode(photo(), codec, 95))


# The sampling factors of luma in a JPEG's frame header: both directions, one, none.
@pytest.mark.parametrize(("subsampling", "factors"), [("4:2:0", 0x22), ("4:2:2", 0x21), ("4:4:4", 0x11)])
def test_chroma_subsampling_is_the_one_asked_for(subsampling, factors):
    data = encode(photo(), "JPEG", 80, subsampling)
    frame = data.index(b"\xff\xc0")
    assert data[frame + 11] == factors


def test_a_file_has_no_metadata():
    tagged = photo()
    tagged.info["exif"] = b"Exif\0\0MM\0*\0\0\0\x08\0\0"
    assert b"Exif" not in encode(tagged, "JPEG", 80)


def test_a_picture_longer_than_a_codec_holds_is_left_alone():
    wide = photo(17_000, 16)
    assert reencode(wide, "WEBP", 80) is wide


@pytest.mark.parametrize("name", PLATFORMS)
def test_platforms_keep_proportions_and_their_limit(name):
    platform = PLATFORMS[name]
    sizes = [send(photo(400, 300), sample_rng(0, 0, i), platform).size for i in range(12)]
    assert all(width / height == pytest.approx(4 / 3, rel=0.05) for width, height in sizes)
    assert max(width for width, _ in sizes) <= 400  # nobody enlarges
    assert min(width for width, _ in sizes) >= 0.15 * min(platform.longest, 400) - 1


def test_a_small_limit_shrinks_a_crop_with_its_picture():
    # A crop that is at least 15 % of a picture limited to 100 pixels has 16 to 100 of them left.
    sides = [send(photo(400, 400), sample_rng(0, 0, i), Platform(100, (80, 80))).width for i in range(30)]
    assert 16 <= min(sides) < 30
    assert 60 < max(sides) <= 100


def test_screenshots_keep_the_shape_and_put_an_interface_around():
    for index in range(20):
        shot = screenshot(photo(160, 120), sample_rng(0, 0, index))
        assert shot.mode == "RGB"
        assert shot.width / shot.height == pytest.approx(4 / 3, rel=0.03)
        assert 0.6 * 160 - 1 <= shot.width <= 1.5 * 160 * 1.3
    colours = {screenshot(photo(), sample_rng(0, 0, index)).getpixel((0, 0)) for index in range(40)}
    assert set(INTERFACE_SHADES) <= colours


def test_equal_draws_give_equal_bytes():
    for change in (send, screenshot):
        pictures = [change(photo(), sample_rng(1, 2, 3)).tobytes() for _ in range(2)]
        assert pictures[0] == pictures[1]
        assert change(photo(), sample_rng(1, 2, 4)).tobytes() != pictures[0]
