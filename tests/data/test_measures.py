"""What is measured of a picture, on pictures whose numbers are known."""

import math

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter
from planted import noise

from fakeface.data.measures import (
    background_spectrum,
    bytes_per_pixel,
    centre_square,
    colour,
    greyness,
    light,
    radial_profile,
    sharpness,
)
from fakeface.image_processing_fakeface import FakeFaceImageProcessor


def flat(rgb, size=(80, 80)):
    return Image.new("RGB", size, rgb)


def test_light_of_an_even_picture():
    assert light(flat((100, 100, 100))) == {"mean": 100.0, "spread": 0.0, "dark": 100.0, "bright": 100.0}
    halves = flat((0, 0, 0), (256, 128))
    halves.paste((200, 200, 200), (128, 0, 256, 128))
    found = light(halves)
    assert found["mean"] == pytest.approx(100, abs=1)
    assert (found["dark"], found["bright"]) == (0.0, 200.0)


def test_colour_of_even_pictures():
    grey, red = colour(flat((90, 90, 90))), colour(flat((255, 0, 0)))
    assert (grey["blue"], grey["red"], grey["saturation"]) == (0.0, 0.0, 0.0)
    assert (red["red"], red["blue"], red["saturation"]) == (127.0, -43.0, 1.0)  # of BT.601


def test_greyness_survives_a_save():
    assert greyness(flat((10, 20, 50)))["channel_distance"] == 40.0
    assert greyness(noise(96, 0).convert("L").convert("RGB"))["channel_distance"] == 0.0
    assert greyness(noise(96, 0))["channel_distance"] > 10


def test_blur_lowers_every_measure_of_sharpness():
    picture = noise(128, 0)
    sharp, soft = sharpness(picture), sharpness(picture.filter(ImageFilter.GaussianBlur(1.5)))
    assert all(soft[name] < sharp[name] - 0.5 for name in ("laplacian", "high_frequencies"))
    assert soft["gradient"] < sharp["gradient"]
    assert sharpness(flat((5, 5, 5)))["laplacian"] == pytest.approx(math.log(0.1))


def test_busy_pictures_take_more_bytes():
    assert bytes_per_pixel(flat((9, 9, 9), (128, 128))) < 0.1 < bytes_per_pixel(noise(128, 0))


def test_the_centre_square_is_what_the_image_processor_cuts():
    picture = noise(120, 0).crop((0, 0, 120, 90))
    processor = FakeFaceImageProcessor(size=48, crop_fraction=0.875, image_mean=(0, 0, 0), image_std=(1, 1, 1))
    expected = np.round(processor.to_array(picture).transpose(1, 2, 0) * 255).astype(np.uint8)
    assert (np.asarray(centre_square(picture, 0.875, 48)) == expected).all()
    assert centre_square(picture, 0.5).size == (45, 45)


def test_the_background_has_no_part_of_the_face():
    picture = noise(128, 0)
    other_face = picture.copy()
    other_face.paste(noise(128, 9).crop((0, 0, 48, 48)), (40, 40))
    square = (40.0, 40.0, 88.0, 88.0)
    assert background_spectrum(picture, square) == background_spectrum(other_face, square)
    assert background_spectrum(picture) != background_spectrum(picture, square)
    assert all(map(math.isnan, background_spectrum(picture, (-10.0, -10.0, 140.0, 140.0))))


def test_the_spectrum_tells_blur_and_ignores_contrast():
    grey = noise(128, 0).convert("L").convert("RGB")
    sharp = background_spectrum(grey)
    soft = background_spectrum(grey.filter(ImageFilter.GaussianBlur(1.0)))
    dim = background_spectrum(ImageEnhance.Contrast(grey).enhance(0.8))
    assert sharp[-1] - soft[-1] > 1
    assert np.abs(np.subtract(sharp, dim)).max() < 0.3


def test_a_wave_shows_in_its_ring():
    # Eight waves over 64 pixels are a quarter of Nyquist: the fourth of sixteen rings, whose lower edge it is.
    wave = np.sin(2 * np.pi * 8 * np.arange(64) / 64)
    spectrum = np.abs(np.fft.fft2(np.tile(wave, (64, 1)))) ** 2
    assert int(radial_profile(spectrum).argmax()) == 4
