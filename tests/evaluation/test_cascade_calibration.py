"""Bounds of a cascade: as wide as the share of other verdicts allows, and stored with the thorough model."""

import json
from pathlib import Path

import numpy as np
import pytest
from planted import planted
from tiny import tiny_folder
from typer.testing import CliRunner

from fakeface import Detector
from fakeface.cli.commands import app
from fakeface.evaluation import cascade_calibration
from fakeface.evaluation.cascade_calibration import fit_bounds
from fakeface.evaluation.subjects import OperatingPoint
from fakeface.metrics.detection import MetricError

POINT = OperatingPoint(threshold_generated=0.8, threshold_real=0.4)


def test_bounds_are_as_wide_as_the_share_allows():
    rng = np.random.default_rng(0)
    second = rng.uniform(size=5_000)
    first = np.clip(second + rng.normal(0, 0.05, 5_000), 0, 1)
    for share in (0.002, 0.02):
        found = fit_bounds(first, second, POINT, POINT, share)
        real, made = first <= found.real_up_to, first >= found.generated_from
        wrong = np.concatenate([second[real] > 0.4, second[made] < 0.8])
        assert found.differing == wrong.sum() / 5_000 <= share
        assert found.decided == (real | made).mean()
        assert found.real_up_to <= 0.4
        assert found.generated_from >= 0.8
    assert fit_bounds(first, second, POINT, POINT, 0.002).decided < found.decided


def test_beyond_its_own_thresholds_the_fast_model_decides_nothing():
    second = np.array([0.1] * 50 + [0.9] * 50)
    found = fit_bounds(np.linspace(0.45, 0.75, 100), second, POINT, POINT)
    assert (found.decided, found.real_up_to, found.generated_from) == (0.0, 0.0, 1.0)
    agreeing = fit_bounds(second, second, POINT, POINT)
    assert (agreeing.decided, agreeing.differing) == (1.0, 0.0)


def test_equal_scores_stand_or_fall_together():
    first, second = np.array([0.1] * 3 + [0.2] * 3), np.array([0.1] * 3 + [0.1, 0.1, 0.9])
    assert fit_bounds(first, second, POINT, POINT, share=0.1).real_up_to == 0.1
    assert fit_bounds(first, second, POINT, POINT, share=0.4).real_up_to == 0.2


def test_no_scores_are_refused():
    with pytest.raises(MetricError, match="there are none"):
        fit_bounds(np.empty(0), np.empty(0), POINT, POINT)


def test_the_command_stores_bounds_that_open_the_cascade(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    lines = {"threshold_real": 0.45, "threshold_generated": 0.55, "target_fpr": 0.01}
    fast, own = tiny_folder(tmp_path / "fast", **lines), tiny_folder(tmp_path / "own", bias=0.3, **lines)  # pyright: ignore
    planted(60).to_parquet(tmp_path / "data.parquet")
    # Noise has no faces: its centre stands for one.
    centred = {
        "face_box": [8.0, 8.0, 40.0, 40.0],
        "face_landmarks": [20.0, 24.0, 36.0, 24.0, 28.0, 32.0, 22.0, 40.0, 34.0, 40.0],
    }

    def with_faces(dataset, workers, finder):
        for name, value in centred.items():
            dataset = dataset.add_column(name, [value] * len(dataset))
        return dataset

    monkeypatch.setattr(cascade_calibration, "with_faces", with_faces)
    words = ["calibrate", str(own), str(tmp_path / "data.parquet"), "--cascade", str(fast), "--workers", "0"]
    done = CliRunner().invoke(app, [*words, "--disagree", "0.1"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    stored = json.loads((own / "config.json").read_text())["cascade"]
    assert (stored["n"], stored["share"]) == (120, 0.1)
    assert 0 < stored["decided"] <= 1
    assert stored["differing"] <= 0.1
    assert f"real_up_to           {stored['real_up_to']:.6g}\n" in done.stdout
    both = Detector.from_pretrained(own, cascade=fast, faces=False)
    assert (both.bounds.real_up_to, both.bounds.generated_from) == (stored["real_up_to"], stored["generated_from"])
    again = CliRunner().invoke(app, [*words, "--faces"])
    assert (again.exit_code, "run one after the other" in again.stderr) == (2, True)
