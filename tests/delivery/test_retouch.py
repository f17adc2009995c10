"""Retouching: what each filter takes away, and what it keeps."""

import numpy as np
import pytest
from PIL import Image
from planted import noise

from fakeface.delivery.sweep import RETOUCHING


def textured() -> Image.Image:
    """Two flat halves of skin-like colours, with the noise of pores on them."""
    flat = np.full((140, 140, 3), (190, 150, 130), float)
    flat[:, 70:] = (90, 60, 50)
    return Image.fromarray(np.clip(flat + np.random.default_rng(0).normal(0, 6, flat.shape), 0, 255).astype(np.uint8))


def roughness(picture: Image.Image) -> float:
    """Mean step between neighbours, away from the edge in the middle."""
    light = np.asarray(picture.convert("L"), float)[:, :60]
    return float(np.abs(np.diff(light)).mean())


def edge(picture: Image.Image) -> float:
    light = np.asarray(picture.convert("L"), float)
    return float(light[:, 60:68].mean() - light[:, 72:80].mean())


@pytest.mark.parametrize("name", RETOUCHING)
def test_size_and_mode_stay_and_the_picture_itself_is_left_alone(name):
    picture = noise(90, 0).resize((90, 71))
    before = picture.tobytes()
    changed = RETOUCHING[name](picture)
    assert (changed.size, changed.mode, picture.tobytes()) == ((90, 71), "RGB", before)
    assert changed.tobytes() != before


@pytest.mark.parametrize("name", ["smooth skin", "beautify", "denoise"])
def test_pores_go_and_outlines_stay(name):
    changed = RETOUCHING[name](textured())
    assert roughness(changed) < 0.7 * roughness(textured())
    assert edge(changed) > 0.9 * edge(textured())


def test_local_contrast_grows_and_colour_goes():
    assert roughness(RETOUCHING["tone mapping"](textured())) > 1.2 * roughness(textured())
    grey = np.asarray(RETOUCHING["grey"](textured()))
    assert (grey[..., 0] == grey[..., 1]).all()
    assert (grey[..., 1] == grey[..., 2]).all()


def test_an_enlarged_picture_lacks_the_finest_detail():
    checks = Image.fromarray(np.indices((64, 64)).sum(0).astype(np.uint8) % 2 * 255).convert("RGB")
    assert np.ptp(np.asarray(RETOUCHING["upscale"](checks))) <= 2


@pytest.mark.parametrize("name", RETOUCHING)
def test_a_picture_of_one_pixel_passes(name):
    assert RETOUCHING[name](Image.new("RGB", (1, 1), (9, 99, 199))).size == (1, 1)
