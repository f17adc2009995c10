"""benchmarks/groups.py: its rule against the detector's, its pictures, rows and table."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny import tiny_model

from benchmarks.groups import (
    AMONG,
    COUNTS,
    REAL,
    SIDES,
    Seen,
    as_markdown,
    composed,
    draws,
    picture_verdict,
    row_of,
    seen_in,
    tile,
)
from fakeface import Detector
from fakeface.configuration_fakeface import FakeFaceConfig
from fakeface.detector.preparation import Case
from fakeface.faces import Face
from fakeface.image_processing_fakeface import FakeFaceImageProcessor

GROUPS = {"2": 0.95, "5": 0.97, "20": 0.99}
LANDMARKS = ((30.0, 40.0), (50.0, 40.0), (40.0, 50.0), (32.0, 60.0), (48.0, 60.0))


@pytest.mark.parametrize("groups", [GROUPS, None])
def test_the_rule_is_the_detectors(groups: dict[str, float] | None):
    """Of random pictures of up to 12 faces of all sizes and scores, both say the same."""
    model = tiny_model(threshold_generated=0.9, threshold_real=0.4, target_fpr=0.01, group_thresholds=groups)
    detector = Detector(model, FakeFaceImageProcessor(size=model.config.image_size))
    rng = np.random.default_rng(0)
    verdicts = set()
    for _ in range(300):
        faces = [Face((0.0, 0.0, side, side / 2), 0.9, LANDMARKS) for side in rng.uniform(20, 60, rng.integers(0, 13))]
        # Logits of real and generated, whose calibrated score is that of their difference
        logits = [[0.0, float(margin)] for margin in rng.normal(1, 2.5, len(faces))]
        case = Case("picture", (100, 100), faces, len(faces), logits=logits)
        (result,) = detector.judge([(case, ())])
        assert picture_verdict(seen_in(result), detector.config) == result.verdict
        verdicts.add(result.verdict)
    assert verdicts == {"real", "uncertain", "generated", "no face"}


def test_tiles_have_faces_as_long_as_wanted_and_lie_in_a_grid():
    picture = Image.new("RGB", (100, 80), "white")
    assert tile(picture, 50.0, 120).size == (240, 192)
    canvas, across, cell = composed([tile(picture, 50.0, 60)] * 5)
    assert (canvas.size, across, cell) == ((360, 240), 3, 120)
    assert canvas.getpixel((125, 5)) == (255, 255, 255)
    assert canvas.getpixel((125, 115)) == (127, 127, 127)


def test_a_picture_has_no_face_twice():
    for places in draws(60, 50, 3):
        assert len(set(places.tolist())) == 50
    first, again = (next(draws(60, 5, 1)).tolist() for _ in range(2))
    assert first == again


@pytest.fixture
def config() -> FakeFaceConfig:
    return FakeFaceConfig(
        architecture="cnn", image_size=32, threshold_generated=0.9, threshold_real=0.4, group_thresholds=GROUPS
    )


def test_rates_of_real_groups_and_of_one_generated_face_among_them(config: FakeFaceConfig):
    # Given 100 real faces, of which one scores 0.96: above the threshold for two, below that for five
    real = [[Seen(60.0, 0.96)], *([[Seen(60.0, 0.1)]] * 99)]
    sure, unsure = [[Seen(60.0, 0.999)]], [[Seen(60.0, 0.92)]]
    one = row_of(REAL, 60, 1, real, sure, config, 1000)
    two = row_of(REAL, 60, 2, real, sure, config, 1000)
    five = row_of(REAL, 60, 5, real, sure, config, 1000)
    assert one["called_generated"] == pytest.approx(0.01, abs=0.01)
    assert one["over_faces"] == 0.01
    assert two["over_faces"] == pytest.approx(1 - 0.99**2, abs=1e-4)
    assert two["over_faces_low"] < two["over_faces"] < two["over_faces_high"]
    assert (five["called_generated"], five["over_faces"]) == (0.0, 0.0)
    assert five["uncertain"] == pytest.approx(0.05, abs=0.03)
    # Then a sure generated face is found among many, and an unsure one is left open
    assert row_of(AMONG, 60, 24, real, sure, config, 50)["called_generated"] == 1.0
    among = row_of(AMONG, 60, 24, real, unsure, config, 50)
    assert (among["called_generated"], among["uncertain"], among["over_faces"]) == (0.0, 1.0, None)


def test_the_table_has_a_line_for_each_number_of_faces(config: FakeFaceConfig):
    real, generated = [[Seen(60.0, 0.1)]] * 60, [[Seen(60.0, 0.999)]]
    rows = [
        row_of(kind, side, count, real, generated, config, 200)
        for kind in (REAL, AMONG)
        for count in COUNTS
        for side in SIDES
    ]
    lines = as_markdown(rows).splitlines()
    assert len(lines) == 2 + 2 * len(COUNTS)
    assert lines[2] == "| real faces alone | 1 | 0.0 % (0.0–1.9) | 0.0 % (0.0–1.9) | 0.0 % (0.0–1.9) |"
    assert lines[-1].startswith("| one generated face among real ones | 50 | 100.0 % (98.1–100.0)")
    kept = [{key: "" if value is None else str(value) for key, value in row.items()} for row in rows]
    assert as_markdown(kept).splitlines() == lines


def test_the_page_shows_the_committed_figures(repo: Path):
    """Before the first run there are none."""
    block = (repo / "docs" / "results.md").read_text(encoding="utf-8").partition("<!-- groups: ")[2]
    shown = block.partition(" -->\n")[2].partition("<!-- end of groups -->")[0].strip()
    file = repo / "benchmarks" / "groups.csv"
    kept = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines())) if file.exists() else []
    assert block
    assert shown == (as_markdown(kept) if kept else "")
