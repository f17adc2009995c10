"""How wide to cut found faces, and how small they may be: the rules by numbers, and the command on real faces."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from fakeface import Detector
from fakeface.cli.commands import app
from fakeface.evaluation.face_calibration import Shrunken, calibrate_faces, plateau_centre, smallest_side
from fakeface.model_folder.opening import FAST


def test_the_smallest_side_is_the_last_before_one_that_is_not_tolerable():
    assert smallest_side({16: False, 24: False, 32: True, 48: True, 64: True}) == 32
    assert smallest_side({16: True, 24: False, 32: True}) == 32  # one lucky size further down does not count
    assert smallest_side({16: True, 24: True}) == 16
    assert smallest_side({48: False, 96: False}) == 96


def test_a_size_is_tolerable_while_neither_auc_nor_photographs_suffer():
    assert Shrunken(auc=0.92, loss=0.05, fpr=0.02).tolerable
    assert not Shrunken(auc=0.90, loss=0.07, fpr=0.0).tolerable
    assert not Shrunken(auc=0.96, loss=0.01, fpr=0.03).tolerable


def test_the_margin_lies_amid_those_that_cannot_be_told_from_the_best():
    by_margin = {1.0: 0.955, 1.1: 0.959, 1.2: 0.960, 1.3: 0.958, 1.4: 0.957, 1.5: 0.93, 1.7: 0.85}
    assert plateau_centre(by_margin, 400, 300) == 1.2  # a standard error is 0.0072 here
    assert plateau_centre(by_margin, 40_000, 30_000) == 1.2
    assert plateau_centre({1.0: 0.80, 1.1: 0.90, 1.2: 0.95}, 400, 300) == 1.2
    assert plateau_centre({1.0: 1.0, 1.1: 1.0, 1.2: 1.0, 1.3: 0.9}, 4, 3) == 1.1


def test_without_a_finder_or_a_label_it_is_refused(repo):
    detector = Detector.from_pretrained(repo / FAST, device="cpu", faces=False)
    with pytest.raises(ValueError, match="does not search for faces"):
        calibrate_faces(detector, [], np.array([]))


def test_the_command_stores_what_it_measured(repo: Path, shared: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("fakeface.evaluation.face_calibration.MARGINS", {"landmarks": (0.8, 1.0, 1.3)})
    monkeypatch.setattr("fakeface.evaluation.face_calibration.SIDES", (8, 64))
    model = tmp_path / "model"
    shutil.copytree(repo / FAST, model)
    before = json.loads((model / "config.json").read_text())
    words = ["calibrate", str(model), "--data", str(shared / "faces" / "pool-*.parquet"), "--faces", "--limit", "40"]
    run = CliRunner().invoke(app, [*words, "--device", "cpu"])
    assert run.exit_code == 0, run.output
    after = json.loads((model / "config.json").read_text())
    assert {key for key in after if after[key] != before.get(key)} <= {"face_margin", "smallest_face"}
    assert after["face_margin"] in (0.8, 1.0, 1.3)
    assert after["smallest_face"] == 64  # of 8 pixels no face is left to judge
    assert "false positives\n" in run.stdout
    assert f"face_margin          {after['face_margin']:g}\n" in run.stdout
