"""benchmarks/face_groups.py: skin tone of cheeks, what is drawn on faces, and the table in docs/results.md."""

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from former_weights import FORMER_FAST
from PIL import Image

from benchmarks.face_groups import TONES, as_markdown, lab, mask, rows_of, sunglasses, tone_of, typology_angle
from fakeface.faces import Face

FACE = Face(
    (40.0, 30.0, 160.0, 180.0), 0.9, ((75.0, 80.0), (125.0, 80.0), (100.0, 110.0), (80.0, 135.0), (120.0, 135.0))
)


def plain(colour: tuple[int, int, int]) -> Image.Image:
    return Image.new("RGB", (200, 200), colour)


@pytest.mark.parametrize(
    ("pixel", "lightness", "yellowness"),
    [((255, 255, 255), 100, 0), ((0, 0, 0), 0, 0), ((128, 128, 128), 53.59, 0), ((255, 0, 0), 53.24, 67.2)],
)
def test_lab_is_that_of_the_standard(pixel, lightness, yellowness):
    assert lab(np.array(pixel, float)) == pytest.approx((lightness, yellowness), abs=0.05)


def test_light_skin_has_a_higher_angle_than_dark_skin_and_only_cheeks_count():
    light, dark = (typology_angle(plain(colour), FACE) for colour in ((240, 210, 190), (90, 60, 45)))
    assert (tone_of(light), tone_of(dark)) == ("light", "brown or dark")
    assert typology_angle(plain((120, 120, 120)), FACE) is None
    assert typology_angle(plain((110, 110, 150)), FACE) is None
    other = plain((90, 60, 45))
    other.paste((240, 210, 190), (70, 95, 85, 120))
    other.paste((240, 210, 190), (115, 95, 130, 120))
    assert typology_angle(other, FACE) == pytest.approx(light, abs=0.01)


def test_every_angle_is_of_one_group():
    assert [tone_of(angle) for angle in (90, 41, 40.9, 10, 9.9, -90)] == [name for name in TONES for _ in range(2)]
    assert tone_of(None) not in TONES


def test_a_cheek_outside_the_frame_does_not_count_as_dark():
    half = plain((240, 210, 190)).crop((90, 0, 200, 200))
    moved = Face(FACE.box, 0.9, tuple((x - 90, y) for x, y in FACE.landmarks))
    assert typology_angle(half, moved) == typology_angle(plain((240, 210, 190)), FACE)


def test_sunglasses_cover_the_eyes_and_a_mask_covers_the_mouth():
    picture = plain((200, 150, 130))
    eyes, mouth, hair = (75, 80), (100, 135), (100, 10)
    for draw, covered, bare in ((sunglasses, eyes, mouth), (mask, mouth, eyes)):
        drawn = draw(picture, FACE)
        assert drawn.size == picture.size
        assert drawn.getpixel(covered) != picture.getpixel(covered)
        assert {drawn.getpixel(bare), drawn.getpixel(hair)} == {picture.getpixel(bare)}
    assert picture.getpixel(eyes) == (200, 150, 130)


def test_what_is_drawn_turns_with_the_face():
    turned = Face(FACE.box, 0.9, tuple((200 - y, x) for x, y in FACE.landmarks))  # a quarter turn
    upright, lying = (np.asarray(mask(plain((0, 0, 0)), face)).any(2) for face in (FACE, turned))
    assert np.mean(np.rot90(upright, -1) != lying) < 0.01


def test_rates_are_those_of_a_report_at_the_operating_point():
    scores = pd.DataFrame({"label": [0] * 40 + [1] * 20, "view": "clean", "source": "a", "generator": "b"})
    scores["sha256"] = [str(i) for i in range(60)]
    scores["score"] = [0.1] * 39 + [0.8] + [0.9] * 8 + [0.5] * 7 + [0.2] * 5
    point = {"threshold_generated": 0.8, "threshold_real": 0.2, "target_fpr": 0.01}
    report = {"operating_point": point, "weights_sha256": "ab" * 32}
    few = scores.loc[scores["label"] == 0].head(6)
    row, alone = rows_of({("skin", "light"): scores, ("face", "none found"): few}, report)
    assert (row["kind"], row["group"], row["n_real"], row["n_generated"]) == ("skin", "light", 40, 20)
    assert (row["fpr"], row["miss_rate"]) == (1 / 40, 5 / 20)  # seven more are uncertain, and no miss
    assert row["fpr_low"] < row["fpr"] < row["fpr_high"]
    assert (alone["auc"], alone["fpr"], alone["miss_rate"]) == (None, None, None)
    assert as_markdown([row, alone]).splitlines()[3].split(" | ")[1:3] == ["6 + 0", "–"]


def test_the_page_shows_the_committed_figures_of_the_former_weights(repo: Path):
    block = (repo / "docs" / "results.md").read_text(encoding="utf-8").partition("<!-- face groups: ")[2]
    shown = block.partition(" -->\n")[2].partition("<!-- end of face groups -->")[0].strip()
    kept = list(csv.DictReader((repo / "benchmarks" / "face_groups.csv").read_text(encoding="utf-8").splitlines()))
    assert shown == as_markdown(kept)
    assert {row["weights_sha256"] for row in kept} == {FORMER_FAST}
