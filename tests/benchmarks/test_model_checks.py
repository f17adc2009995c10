"""benchmarks/model_checks.py: what it hides, what it counts as outside, and the page that is committed."""

from pathlib import Path

import numpy as np
import pytest
from former_weights import FORMER_FAST
from PIL import Image

from benchmarks.model_checks import chance_cell, hidden, outside


@pytest.fixture
def stripes() -> Image.Image:
    """200 x 100 pixels of fine black and white columns."""
    columns = np.where(np.arange(200) % 2, 255, 0).astype(np.uint8)
    return Image.fromarray(np.tile(columns[None, :, None], (100, 1, 3)))


def spread(picture: Image.Image, box: tuple[int, int, int, int]) -> float:
    return float(np.asarray(picture.crop(box), float).std())


def test_what_is_outside_the_face_is_blurred_away_or_what_is_inside(stripes):
    face, background = hidden(stripes, (50, 25, 100, 75))
    inner, outer = (65, 40, 85, 60), (150, 5, 195, 95)
    assert spread(face, inner) > 120 > 10 > spread(face, outer)
    assert spread(background, outer) > 120 > 10 > spread(background, inner)


def test_shares_outside_count_only_what_the_model_saw():
    map = np.zeros((10, 20), np.float32)
    map[4:6, 9:11] = 1  # inside of the box
    map[0, 6:10] = 0.5  # outside, seen
    assert outside(map, (8, 3, 12, 7), (5, 0, 15, 10)) == (pytest.approx(1 / 3), pytest.approx(1 - 16 / 100))


def test_a_probe_that_knows_a_number_shows():
    rng = np.random.default_rng(0)
    number, groups = rng.normal(0, 1, 200), np.arange(200)
    known = np.stack([number + rng.normal(0, 0.3, 200), rng.normal(0, 1, 200)], 1)
    assert float(chance_cell(known, number, groups, 0.95)[:5]) > 0.9
    assert 0.35 < float(chance_cell(rng.normal(0, 1, (200, 2)), number, groups, 0.95)[:5]) < 0.65
    assert chance_cell(np.ones((200, 2)), number, groups, 0.95) == "–"  # it sees nothing that varies
    assert chance_cell(known, np.ones(200), groups, 0.95) == "–"


def test_the_page_is_of_the_former_weights(repo: Path):
    page = (repo / "docs" / "model-checks.md").read_text(encoding="utf-8")
    assert FORMER_FAST in page
