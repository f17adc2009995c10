"""Steps of the sweep: the same for everybody, and as strong as they say."""

import numpy as np
import pytest
from PIL import Image
from planted import noise

from fakeface.delivery.sweep import SWEEP, swept

PICTURE = noise(96, 0)


def distance(one, other) -> float:
    small = [np.asarray(picture.resize((96, 96)), float) for picture in (one, other)]
    return float(np.abs(small[0] - small[1]).mean())


@pytest.mark.parametrize("view", SWEEP)
def test_a_step_is_the_same_every_time_and_leaves_the_picture_alone(view):
    before = PICTURE.tobytes()
    first, second = (swept(PICTURE, view, 7, "ab" * 32) for _ in range(2))
    assert first.mode == "RGB"
    assert first.tobytes() == second.tobytes()
    assert PICTURE.tobytes() == before


def test_the_sweep_has_the_steps_that_it_promises():
    families = {}
    for step in SWEEP.values():
        families.setdefault(step.family, []).append(step.strength)
    assert families["JPEG quality"] == [95, 85, 75, 60, 45, 30]
    assert families["rescale factor"] == [1.0, 0.75, 0.5, 0.35, 0.25]
    assert len(families["WebP quality"]) == 4
    assert len(families["two hops"]) == 3
    assert len(families["framing"]) == 4
    assert len(families["retouching"]) == 7
    assert {"blur sigma at 280 px", "noise sigma, grey levels", "thumbnail side, px"} <= families.keys()


@pytest.mark.parametrize("weak_and_strong", [("JPEG 95", "JPEG 30"), ("WebP 95", "WebP 30"), ("blur 0.5", "blur 3"),
                                             ("noise 2", "noise 15"), ("rescale 0.75", "rescale 0.25")])  # fmt: skip
def test_stronger_steps_change_more(weak_and_strong):
    weak, strong = (distance(PICTURE, swept(PICTURE, view, 0, "ab" * 32)) for view in weak_and_strong)
    assert 0 < weak < strong


def test_framing_changes_where_things_are_and_nothing_else():
    spot = np.zeros((200, 200, 3), np.uint8)
    spot[95:105, 95:105] = 255
    found = swept(Image.fromarray(spot), "moved 10 %", 0, "ab" * 32)
    y, x = np.nonzero(np.asarray(found)[..., 0] > 127)
    assert found.size == (200, 200)
    assert 90 <= len(y) <= 110  # no larger and no smaller
    away = max(abs(y.mean() - 99.5), abs(x.mean() - 99.5))
    assert 1 < away <= 20.5
    other = swept(Image.fromarray(spot), "moved 10 %", 0, "cd" * 32)
    assert other.tobytes() != found.tobytes()  # each picture goes its own way


def test_sizes():
    assert swept(PICTURE, "rescale 1", 0, "ab" * 32).tobytes() == PICTURE.tobytes()
    assert swept(PICTURE, "rescale 0.25", 0, "ab" * 32).size == (24, 24)
    assert swept(PICTURE, "thumbnail 48", 0, "ab" * 32).size == (48, 48)
    assert swept(PICTURE, "thumbnail 160", 0, "ab" * 32).size == (96, 96)


def test_noise_is_a_picture_s_own_and_follows_the_seed():
    one = swept(PICTURE, "noise 5", 0, "ab" * 32).tobytes()
    assert one != swept(PICTURE, "noise 5", 0, "cd" * 32).tobytes()
    assert one != swept(PICTURE, "noise 5", 1, "ab" * 32).tobytes()
