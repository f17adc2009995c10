"""benchmarks/tilt.py: how it shows faces, its figures and the table; the detector has its own tests."""

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchmarks.tilt import (
    AS_IT_IS,
    BACKGROUNDS,
    FRAMINGS,
    QUARTERS,
    as_markdown,
    auc_draws,
    draw_weights,
    rows_of,
    show,
    showings,
    turned,
)
from fakeface.metrics.detection import rank_auc


@pytest.fixture
def picture() -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (10, 10, 3), np.uint8)
    return Image.fromarray(pixels).resize((80, 80), Image.Resampling.BICUBIC)


def middle(picture: Image.Image, side: int) -> Image.Image:
    left = (picture.width - side) // 2
    return picture.crop((left, left, left + side, left + side))


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_quarter_turns_are_clockwise_and_change_no_pixel(picture: Image.Image, background: str):
    for degrees, turn in ((90, Image.Transpose.ROTATE_270), (180, Image.Transpose.ROTATE_180)):
        canvas = turned(picture, degrees, background, 0)
        inside = middle(canvas, 80).crop((1, 1, 79, 79))  # the rim is blended into the background
        expected = picture.transpose(turn).crop((1, 1, 79, 79))
        assert np.abs(np.asarray(inside, int) - np.asarray(expected, int)).max() <= 1


def test_backgrounds_are_what_they_are_called(picture: Image.Image):
    plain, mirrored, photograph, other = (
        np.asarray(turned(picture, 30, background, number))
        for background, number in (("plain", 0), ("mirrored", 0), ("photograph", 0), ("photograph", 1))
    )
    assert plain[0, 0].tolist() == [200, 200, 200]
    assert plain.shape == mirrored.shape == photograph.shape
    assert max(plain.shape) >= 80 * 2**0.5
    assert (photograph[:8, :8] != other[:8, :8]).any()
    assert mirrored[:8, :8].std() > 5
    # the picture itself is the same before each
    assert (
        np.abs(middle(Image.fromarray(plain), 40) - np.asarray(middle(Image.fromarray(mirrored), 40), int)).max() <= 1
    )


def test_framings_keep_what_they_say(picture: Image.Image):
    shown = {name: change(picture) for name, change in FRAMINGS.items()}
    sizes = {name: one.size for name, one in shown.items()}
    assert sizes == {
        "moved by 15 %": (80, 80), "cropped to three quarters": (60, 60), "shrunk to half": (40, 40),
        "enlarged twice": (160, 160), "grey all around": (160, 160), "black bars": (160, 80),
    }  # fmt: skip
    assert shown["moved by 15 %"].getpixel((12, 12)) == picture.getpixel((0, 0))
    assert middle(shown["grey all around"], 80).tobytes() == picture.tobytes()


def test_each_face_is_shown_once_at_each_angle_and_thrice_upright():
    plan = list(showings(6))
    assert Counter(how.degrees for how in plan if how.face == 4) == {
        0: 3, None: 1 + len(FRAMINGS), **dict.fromkeys((*range(-45, 0, 5), *range(5, 46, 5), *QUARTERS), 1),
    }  # fmt: skip
    at_twenty = Counter(how.background for how in plan if how.degrees == 20)
    assert at_twenty == dict.fromkeys(BACKGROUNDS, 2)
    assert len(list(showings(200))) == 200 * (3 + 21 + 7)


def test_every_way_can_be_shown(picture: Image.Image):
    assert all(show(picture, how).mode == "RGB" for how in showings(1, 45))


def judged(turned_score: float) -> pd.DataFrame:
    """20 faces told apart upright, and turned with one generated face at another score."""
    rows = []
    for how in showings(20, 45):
        label = how.face % 2
        score = 0.9 if label else 0.1
        if how.face == 1 and how.degrees == 45:
            score = turned_score
        verdict = "real" if score < 0.5 else "generated"
        rows.append({**how._asdict(), "label": label, "score": score, "verdict": verdict, "found": 1})
    return pd.DataFrame(rows)


def test_changes_are_from_the_same_faces_upright():
    rows = {(row["change"], row["degrees"], row["background"]): row for row in rows_of(judged(0.05))}
    upright, leaning = rows["turned", "0", "all"], rows["turned", "45", "all"]
    assert (upright["auc"], upright["auc_change"], upright["called_real"]) == (1.0, 0.0, 0.0)
    assert leaning["auc"] == pytest.approx(0.9)
    assert leaning["auc_change"] == pytest.approx(-0.1)
    assert leaning["auc_change_low"] < -0.1 < leaning["auc_change_high"] <= 0
    assert leaning["called_real_change"] == pytest.approx(0.1)
    assert (leaning["n_real"], leaning["n_generated"], leaning["judged"]) == (10, 10, 20)
    assert rows["turned", "-45", "all"]["auc"] == 1.0
    assert rows["turned", "all to 45", "all"]["judged"] == 40
    assert rows[AS_IT_IS, "", ""]["auc_change"] == 0


def test_faces_that_are_not_found_count_among_verdicts_alone():
    table = judged(0.05)
    lost = (table["face"] == 1) & (table["degrees"] == 45)
    table.loc[lost, ["score", "verdict", "found"]] = [np.nan, "no face", 0]
    row = next(row for row in rows_of(table) if row["degrees"] == "45")
    assert (row["auc"], row["called_real"], row["no_face"], row["n_generated"]) == (1.0, 0.0, 1, 10)


def test_weighted_auc_is_that_of_the_faces_drawn():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 30)
    part = pd.DataFrame({"face": np.arange(60), "label": labels, "score": (rng.normal(size=60) + labels).round(1)})
    weights = draw_weights(labels, draws=5)
    found = auc_draws(part, "score", weights)
    for drawn, auc in zip(weights.astype(int), found, strict=True):
        again = part.loc[part.index.repeat(drawn)]
        assert auc == pytest.approx(rank_auc(again["label"].to_numpy(), again["score"].to_numpy()))
        assert drawn[:30].sum() == drawn[30:].sum() == 30


def test_the_page_shows_the_committed_figures(repo: Path):
    """Before the first run there are none."""
    block = (repo / "docs" / "results.md").read_text(encoding="utf-8").partition("<!-- tilt: ")[2]
    shown = block.partition(" -->\n")[2].partition("<!-- end of tilt -->")[0].strip()
    file = repo / "benchmarks" / "tilt.csv"
    kept = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines())) if file.exists() else []
    assert block
    assert shown == (as_markdown(kept) if kept else "")


def test_the_table_is_the_same_from_the_file_and_from_the_run():
    rows = rows_of(judged(0.05))
    kept = [{key: "" if value is None else str(value) for key, value in row.items()} for row in rows]
    text = as_markdown(rows)
    assert text == as_markdown(kept)
    assert "| upright | 10 + 10 | 1.000 (1.000 to 1.000) | +0.000 (+0.000 to +0.000) | 0.0 % (0.0 to 0.0) |" in text
    assert "| turned by 5 to 45°, plain background |" in text
    assert "| moved by 15 % |" in text
