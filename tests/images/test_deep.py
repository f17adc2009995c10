"""Samples of more than 8 bits: what they look like in 8."""

import cv2
import numpy as np
import pytest
from hostile import chunk, encode, photo
from PIL import Image

from fakeface.images.deep import depth
from fakeface.images.load import Limits, PictureError, load_picture, open_picture

SCENE = np.asarray(photo())
GREY = np.asarray(photo(mode="L"))


def coded(suffix: str, values: np.ndarray) -> bytes:
    """By OpenCV, which writes colours of 16 bits and floating-point numbers, blue first."""
    turned = np.ascontiguousarray(values[:, :, [2, 1, 0, 3][: values.shape[2]]])
    return cv2.imencode(suffix, turned)[1].tobytes()


def in_bits(values: np.ndarray, bits: int) -> np.ndarray:
    """As whole numbers of so many bits, in the low ones of 16."""
    return np.rint(values / 255 * (2**bits - 1)).astype(np.uint16)


def difference(data: object, expected: np.ndarray) -> int:
    found = np.asarray(load_picture(data)).astype(int)
    return int(np.abs(found - (expected if expected.ndim == 3 else expected[:, :, None])).max())


@pytest.mark.parametrize(
    ("highest", "significant", "bits"),
    [
        (0, 0, 16), (255, 0, 8), (256, 0, 10), (1023, 0, 10), (1024, 0, 12), (4095, 0, 12), (4096, 0, 16),
        (65_535, 0, 16), (900, 12, 12), (16_383, 14, 14), (65_535, 10, 16), (900, 16, 10),
    ],
)  # fmt: skip
def test_the_depth_is_what_the_file_says_or_the_fewest_bits_that_hold_the_highest(highest, significant, bits):
    assert depth(highest, significant) == bits


@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_colours_of_10_and_12_bits_in_files_of_16_are_not_black(suffix, bits):
    data = coded(suffix, in_bits(SCENE, bits))
    assert difference(data, SCENE) <= 1
    assert open_picture(data).remarks == (f"its 16-bit samples hold {bits} bits each and were stretched",)


@pytest.mark.parametrize("format_", ["PNG", "TIFF"])
@pytest.mark.parametrize("bits", [10, 12])
def test_grey_of_10_and_12_bits_in_files_of_16_is_not_black(format_, bits):
    assert difference(encode(format_, Image.fromarray(in_bits(GREY, bits))), GREY) <= 1


def test_colours_of_16_bits_stay_what_they_were():
    data = coded(".png", SCENE.astype(np.uint16) * 257)
    assert (difference(data, SCENE), open_picture(data).remarks) == (0, ())


def test_alpha_has_a_depth_of_its_own():
    alpha = np.full((*GREY.shape, 1), 65_535, np.uint16)
    assert difference(coded(".png", np.concatenate([in_bits(SCENE, 10), alpha], axis=2)), SCENE) <= 1


def test_sbit_tells_how_many_bits_count():
    plain = encode("PNG", Image.fromarray(in_bits(GREY, 12) // 8))  # a dark picture of 12 bits: up to 511
    told = plain[:33] + chunk(b"sBIT", b"\x0c") + plain[33:]
    assert difference(told, GREY // 8) <= 1
    assert np.asarray(load_picture(plain)).mean() > 3 * np.asarray(load_picture(told)).mean()  # stretched from 10 bits


def test_sbit_of_samples_that_were_scaled_changes_nothing():
    scaled = encode("PNG", Image.fromarray(GREY.astype(np.uint16) * 257))
    assert difference(scaled[:33] + chunk(b"sBIT", b"\x0a") + scaled[33:], GREY) == 0


def test_arrays_and_pictures_of_10_bits_are_not_black_either():
    assert difference(in_bits(SCENE, 10), SCENE) <= 1
    assert difference(Image.fromarray(in_bits(GREY, 10)), GREY) <= 1


def test_8_bits_in_mode_i_are_not_black():
    assert difference(encode("TIFF", Image.fromarray(GREY.astype(np.int32))), GREY) == 0


@pytest.mark.parametrize("scale", [1, 255])
def test_floating_point_numbers_are_read(scale):
    values = (SCENE / 255 * scale).astype(np.float32)
    assert difference(coded(".tif", values), SCENE) == 0
    assert difference(encode("TIFF", Image.fromarray((GREY / 255 * scale).astype(np.float32))), GREY) == 0


def test_light_beyond_white_is_stretched_and_said():
    scene = SCENE.copy()
    scene[0, 0], scene[0, 1] = 0, 255
    data = coded(".tif", (scene / 255 * 8).astype(np.float32))
    assert open_picture(data).remarks == ("its samples run from 0 to 8 and were stretched",)
    assert difference(data, scene) <= 1


def test_a_float_tiff_keeps_to_the_limits():
    data = coded(".tif", (SCENE / 255).astype(np.float32))
    with pytest.raises(PictureError) as refusal:
        load_picture(data, limits=Limits(max_pixels=SCENE.shape[0] * SCENE.shape[1]))  # it takes four times the memory
    assert refusal.value.reason == "too-many-pixels"
    with pytest.raises(PictureError):
        load_picture(data[: len(data) // 2])


@pytest.mark.parametrize("light", [0, 8])
def test_a_picture_that_is_almost_black_says_so(light):
    black = ("the picture is almost black: too dark to tell",)
    assert open_picture(np.full((64, 64, 3), light, np.uint8)).doubts == black
    assert open_picture(encode("PNG", Image.new("L", (64, 64), light))).doubts
    assert not open_picture(SCENE).doubts
