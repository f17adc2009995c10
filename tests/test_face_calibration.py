"""How wide to cut found faces, and how small they may be: the rules by numbers, and the command on real faces."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from fakeface import Detector
from fakeface.cli import app
from fakeface.face_calibration import _best, calibrate_faces, smallest_side
from fakeface.model_folder import SHIPPED

YUNET = "weights/face_detection_yunet_2023mar.onnx"


def test_the_smallest_side_is_the_last_before_the_loss():
    assert smallest_side({16: -0.2, 24: -0.05, 32: -0.02, 48: -0.001, 64: 0.001}) == 32
    assert smallest_side({16: 0.0, 24: -0.05, 32: 0.0}) == 32  # one lucky size further down does not count
    assert smallest_side({16: 0.0, 24: 0.0}) == 16
    assert smallest_side({48: -0.3, 96: -0.1}) == 96
    assert smallest_side({48: -0.03, 96: 0.0}, tolerable=0.05) == 48


def test_a_margin_between_good_ones_beats_a_lucky_one():
    assert _best({1.0: 0.80, 1.1: 0.95, 1.2: 0.80, 1.3: 0.92, 1.4: 0.93, 1.5: 0.92}) == 1.4


def test_without_a_finder_or_a_label_it_is_refused(repo):
    detector = Detector.from_pretrained(repo / SHIPPED, device="cpu", faces=False)
    with pytest.raises(ValueError, match="no face model"):
        calibrate_faces(detector, [], np.array([]))


def test_the_command_stores_what_it_measured(repo: Path, shared: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("FAKEFACE_FACE_MODEL", str(shared / YUNET))
    monkeypatch.setattr("fakeface.face_calibration.MARGINS", (1.0, 1.3, 1.6))
    monkeypatch.setattr("fakeface.face_calibration.SIDES", (8, 64))
    model = tmp_path / "model"
    shutil.copytree(repo / SHIPPED, model)
    before = json.loads((model / "config.json").read_text())
    words = ["calibrate", str(model), "--data", str(shared / "faces" / "pool-*.parquet"), "--faces", "--limit", "40"]
    run = CliRunner().invoke(app, [*words, "--device", "cpu"])
    assert run.exit_code == 0, run.output
    after = json.loads((model / "config.json").read_text())
    assert {key for key in after if after[key] != before.get(key)} <= {"face_margin", "smallest_face"}
    assert after["face_margin"] in (1.0, 1.3, 1.6)
    assert after["smallest_face"] == 64  # of 8 pixels no face is left to judge
    assert f"face_margin          {after['face_margin']:g}\n" in run.stdout
