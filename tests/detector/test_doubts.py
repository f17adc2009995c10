"""Faces in a form that no model was trained on: told by their pixels, and never `real`."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from fakeface.detector.doubts import DOTS, NEGATIVE, centre_doubts, face_doubts
from fakeface.faces import Face

FACE = Face((60, 40, 180, 200), 0.99, ((95.0, 100.0), (145.0, 100.0), (120.0, 130.0), (100.0, 160.0), (140.0, 160.0)))


def portrait(skin: tuple[int, int, int] = (210, 160, 130)) -> Image.Image:
    """A drawn face, where `FACE` says it is: darker eyes and lips in a shaded oval."""
    drawn = Image.new("RGB", (240, 240), (120, 130, 140))
    draw = ImageDraw.Draw(drawn)
    draw.ellipse((50, 30, 190, 210), fill=skin)
    for x in (95, 145):
        draw.ellipse((x - 12, 94, x + 12, 106), fill=(50, 40, 40))
    draw.ellipse((100, 154, 140, 166), fill=(160, 80, 80))
    shade = np.linspace(0.6, 1.1, 240)[None, :, None]
    noise = np.random.default_rng(0).normal(0, 6, (240, 240, 1))
    pixels = np.asarray(drawn.filter(ImageFilter.GaussianBlur(2))) * shade + noise
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def screened(picture: Image.Image, cell: float) -> Image.Image:
    """Black dots on white, as presses print greys: a screen of 45 degrees, `cell` pixels wide."""
    grey = np.asarray(picture.convert("L")) / 255
    y, x = np.mgrid[: grey.shape[0], : grey.shape[1]]
    screen = (np.cos((x + y) * np.pi / cell) * np.cos((x - y) * np.pi / cell) + 1) / 2
    return Image.fromarray(((grey > screen) * 255).astype(np.uint8)).convert("RGB")


SKINS = [(235, 200, 180), (210, 160, 130), (140, 95, 70), (80, 55, 45)]


@pytest.mark.parametrize("skin", SKINS)
def test_a_face_as_it_is_gives_no_doubt(skin: tuple[int, int, int]):
    for picture in (portrait(skin), ImageOps.mirror(portrait(skin)), ImageOps.grayscale(portrait(skin)).convert("RGB")):
        assert face_doubts(picture, FACE) == ()


@pytest.mark.parametrize("skin", SKINS)
def test_a_negative_is_told_in_colour_and_in_grey(skin: tuple[int, int, int]):
    assert face_doubts(ImageOps.invert(portrait(skin)), FACE) == (NEGATIVE,)
    assert face_doubts(ImageOps.invert(ImageOps.grayscale(portrait(skin)).convert("RGB")), FACE) == (NEGATIVE,)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_negative_is_told_however_it_is_turned(turns: int):
    turned = Image.fromarray(np.ascontiguousarray(np.rot90(np.asarray(ImageOps.invert(portrait())), turns)))
    landmarks = FACE.landmarks
    for _ in range(turns):
        landmarks = tuple((y, 239.0 - x) for x, y in landmarks)
    assert NEGATIVE in face_doubts(turned, Face((40, 40, 200, 200), 0.99, landmarks))


def test_dots_and_1_bit_are_told():
    dithered = portrait().convert("1").convert("RGB")
    parts = [channel.convert("1").convert("L") for channel in portrait().split()]
    for picture in (dithered, Image.merge("RGB", parts), screened(portrait(), 4), screened(portrait(), 8)):
        assert DOTS in face_doubts(picture, FACE)
        assert centre_doubts(picture) == (DOTS,)
    assert centre_doubts(portrait()) == ()


def test_a_screen_that_was_scaled_down_is_told():
    large = portrait().resize((480, 480), Image.Resampling.BICUBIC)
    assert DOTS in face_doubts(screened(large, 4).resize((240, 240), Image.Resampling.BOX), FACE)


def test_a_sharpened_or_noisy_face_gives_no_doubt():
    noise = np.random.default_rng(1).normal(0, 15, (240, 240, 3))
    noisy = Image.fromarray((np.asarray(portrait()) + noise).clip(0, 255).astype(np.uint8))
    for picture in (portrait().filter(ImageFilter.UnsharpMask(2, 200, 0)), noisy):
        assert face_doubts(picture, FACE) == ()


def test_a_face_beyond_the_edges_gives_no_doubt():
    outside = FACE.moved((1.0, 1.0), (-300.0, 0.0))
    assert face_doubts(portrait(), outside) == ()
