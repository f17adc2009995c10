"""Planted patches are where they are said to be, and the measures of maps tell good ones from bad ones."""

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import picture, tiny_model

from fakeface.explain.faithfulness import agreement, blur, deletion_and_insertion, plant, pointing
from fakeface.explain.maps import cam


def test_a_patch_is_planted_where_it_is_said_to_be_and_nowhere_else():
    face, donor = picture(100, 100), picture(100, 100, seed=1)
    planted, box = plant(face, donor, 0.4, (1.0, 0.5))
    assert box == pytest.approx((0.6, 0.3, 1.0, 0.7))
    before, after = np.asarray(face, int), np.asarray(planted, int)
    changed = np.abs(after - before).max(axis=2) > 0
    margin = 3  # half of the faded edge, 0.15 of 40 pixels
    assert not changed[: 30 - margin].any()
    assert not changed[70 + margin :].any()
    assert not changed[:, : 60 - margin].any()
    assert changed[35:65, 65:].mean() > 0.9
    # Inside it is the donor, shifted by one colour
    shift = (after - np.asarray(donor, int))[36:64, 66:94]
    assert np.abs(shift - np.median(shift, axis=(0, 1))).max() <= 1 or (after[36:64, 66:94] % 255 == 0).any()


def test_a_patch_takes_on_the_colour_of_its_place():
    face, donor = Image.new("RGB", (50, 50), (200, 100, 50)), Image.new("RGB", (50, 50), (10, 20, 30))
    assert plant(face, donor, 0.5, (0.5, 0.5))[0] == face


def test_only_squares_of_one_size_are_mixed():
    with pytest.raises(ValueError, match="must be squares of one size"):
        plant(picture(40, 40), picture(50, 50), 0.3, (0, 0))


def test_a_map_points_at_its_maximum_and_its_share_is_what_lies_inside():
    map = np.zeros((10, 10), np.float32)
    map[2, 3], map[8, 8] = 1.0, 0.6
    assert pointing(map, (0.3, 0.2, 0.5, 0.4)) == (True, pytest.approx(1 / 1.6))
    assert pointing(map, (0.5, 0.5, 1.0, 1.0)) == (False, pytest.approx(0.6 / 1.6))
    assert pointing(map, (0.0, 0.0, 0.3, 0.2)) == (False, 0.0)
    assert pointing(np.zeros((10, 10)), (0.0, 0.0, 1.0, 1.0)) == (False, 0.0)


def test_the_exact_map_falls_faster_and_rises_faster_than_its_opposite():
    # Given the linear model, whose map is exact, and pictures that it calls generated
    model = tiny_model("logistic")
    pixels = torch.randn(6, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    pixels = pixels[cam(model, pixels)[0] > 0.5]
    assert len(pixels) >= 2
    # When places go in the order of the map for generated, and of that for real
    (deleted, inserted), (deleted_last, inserted_last) = (
        deletion_and_insertion(model, pixels, cam(model, pixels, label=label)[1]) for label in ("generated", "real")
    )
    # Then the first takes the score down and up sooner, for every picture
    assert (deleted < deleted_last).all()
    assert (inserted > inserted_last).all()


def test_curves_run_between_the_picture_and_its_blur():
    model, pixels = tiny_model(), torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        ends = [model(x).logits.softmax(1)[:, 1].numpy() for x in (pixels, blur(pixels, 0.08 * 32))]
    deleted, inserted = deletion_and_insertion(model, pixels, torch.rand(2, 32, 32), steps=1)
    np.testing.assert_allclose(deleted, sum(ends) / 2, rtol=1e-5)  # one trapezoid
    np.testing.assert_allclose(inserted, deleted, rtol=1e-5)


def test_blur_keeps_the_mean_and_is_symmetric():
    point = torch.zeros(1, 1, 21, 21)
    point[0, 0, 10, 10] = 1
    blurred = blur(point, 1.5)
    assert blurred.sum().item() == pytest.approx(1, abs=1e-5)
    torch.testing.assert_close(blurred, blurred.transpose(2, 3))
    expected = np.exp(-(np.arange(-3, 4) ** 2) / (2 * 1.5**2))
    np.testing.assert_allclose(blurred[0, 0, 10, 7:14] / blurred[0, 0, 10, 10], expected, rtol=1e-5)


def test_agreement_is_of_ranks():
    map = np.arange(12.0).reshape(3, 4)
    assert agreement(map, np.exp(map)) == pytest.approx(1)
    assert agreement(map, -map) == pytest.approx(-1)
    assert agreement(map, np.ones((3, 4))) == 0
