"""benchmarks/explain.py: its rows and tables, on a tiny model."""

import numpy as np
import pytest
from tiny import SIZE, picture, tiny_model

from benchmarks.explain import Bench, as_markdown, curve_rows, planted, pointing_rows, row
from fakeface.image_processing_fakeface import FakeFaceImageProcessor

WAYS = [("centred-cam", "trunk"), ("hires-cam", "block1"), ("ablation-cam", "trunk")]


@pytest.fixture(scope="module")
def rows():
    bench = Bench(tiny_model("resnet50-cnn"), FakeFaceImageProcessor(size=SIZE, crop_fraction=0.5))
    faces, donors = [[picture(64, 64, seed) for seed in range(first, first + 5)] for first in (0, 10)]
    return pointing_rows(bench, faces, donors, WAYS, 2) + curve_rows(bench, donors, WAYS, 2)


def test_every_way_is_measured_in_every_measure(rows):
    found = {(r["measure"], r["method"], r["layer"], r["pictures"]): r for r in rows}
    for way in WAYS:
        n = 2 if way[0] == "ablation-cam" else 5
        for measure, on in (("hit", "generated patch 0.4"), ("energy", "generated patch 0.4"),
                            ("deletion", "generated"), ("insertion", "generated"),
                            ("stability", "generated, JPEG 85"), ("stability", "generated, rescaled 0.9")):  # fmt: skip
            one = found[(measure, *way, on)]
            assert one["n"] == n
            assert one["low"] <= one["value"] <= one["high"]
    assert found[("hit", *WAYS[0], "generated patch 0.4")]["chance"] == 0.16


def test_an_interval_is_of_the_mean():
    found = row("hit", ("a", "b"), "some", [0, 1] * 50, 0.1)
    assert (found["value"], found["n"]) == (0.5, 100)
    assert found["low"] == pytest.approx(0.4, abs=0.02)
    assert found["high"] == pytest.approx(0.6, abs=0.02)


def test_the_tables_hold_every_way(rows):
    text = as_markdown(rows, WAYS[0])
    assert "| `centred-cam` (default) | `trunk` | " in text
    assert "| `ablation-cam` | `trunk` | " in text
    assert "| chance |  | 0.16 | " in text
    assert "| generated patch 0.4 | 5 | " in text


def test_no_face_is_planted_with_its_own_patch():
    faces = [picture(64, 64, seed) for seed in range(2)]
    mixed, boxes = planted(faces, faces, 0.5, seed=0)
    for face, one, box in zip(faces, mixed, boxes, strict=True):
        assert (box[2] - box[0], box[3] - box[1]) == pytest.approx((0.5, 0.5))
        assert not np.array_equal(np.asarray(face), np.asarray(one))
