"""Figures of found faces: which pictures count, what the report says, and what the commands do by default."""

import json
from pathlib import Path

import pytest
from datasets import DatasetDict
from planted import planted
from tiny import tiny_folder
from typer.testing import CliRunner

from fakeface.cli import commands as cli
from fakeface.data.loading import checked, open_dataset
from fakeface.detector.detector import Detector
from fakeface.evaluation.found_faces import cut_of, find_in_splits
from fakeface.evaluation.report import evaluate
from fakeface.evaluation.subjects import Subject, open_subject

YUNET = "weights/face_detection_yunet_2023mar.onnx"


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Two models, and ten pictures of noise with a face in each but the last two, where the rows say."""
    folder = tmp_path_factory.mktemp("place")
    for cut in ("box", "landmarks"):
        tiny_folder(folder / cut, face_cut=cut, face_margin=0.8 if cut == "landmarks" else 1.4, target_fpr=0.1)
    boxes = [[10.0, 12.0, 30.0, 30.0]] * 8 + [None] * 2
    landmarks = [[18.0, 22.0, 32.0, 24.0, 25.0, 28.0, 19.0, 35.0, 30.0, 36.0]] * 8 + [None] * 2
    dataset = planted(10, side=lambda label, rng: 64).add_column("face_box", boxes)
    dataset.add_column("face_landmarks", landmarks).to_parquet(folder / "data.parquet")
    return folder


@pytest.fixture(autouse=True)
def _finder(shared: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FAKEFACE_FACE_MODEL", str(shared / YUNET))


def measured(place: Path, model: str, faces: bool | None) -> tuple[Subject, DatasetDict, dict]:
    subject = open_subject(str(place / model), device="cpu")
    dataset, _ = checked(open_dataset(str(place / "data.parquet")))
    splits, cut = DatasetDict({"all": dataset}), cut_of(subject, faces)
    if cut:
        splits = find_in_splits(splits, cut)
    scores, report = evaluate(subject, splits, "command", cut=cut)
    return subject, splits, {**report, "scores": scores}


@pytest.mark.parametrize(("model", "faces"), [("landmarks", None), ("landmarks", True), ("box", True)])
def test_found_faces_score_as_the_detector_scores_them(place: Path, model: str, faces: bool | None):
    _, splits, report = measured(place, model, faces)
    assert report["faces"] == {"cut": model, "margin": 0.8 if model == "landmarks" else 1.4, "without": {"all": 2}}
    assert report["remarks"][0].startswith(f"Scores are those of the found face of each picture, cut by its {model}; 2")
    assert splits["all"][9]["sha256"][:16] in report["remarks"][0]
    scores = report["scores"]
    clean = scores[scores["view"] == "clean"]
    assert len(clean) == 8
    assert not {"face_box", "face_landmarks"} & set(scores.columns)
    detector = Detector.from_pretrained(place / model, device="cpu", faces=False)
    from fakeface.data.faces import face_of_row
    from fakeface.images.load import load_picture

    row = splits["all"][3]
    (crop,) = detector.preparer.inputs_of(load_picture(row["image"]), face_of_row(row, (64, 64)))
    assert clean["score"].iloc[3] == pytest.approx(detector.scores([crop])[0], abs=1e-5)


@pytest.mark.parametrize(("model", "faces", "warned"), [("box", None, False), ("landmarks", False, True)])
def test_pictures_as_they_are_all_count_and_a_model_of_levelled_faces_says_so(
    place: Path, model: str, faces: bool | None, warned: bool
):
    *_, report = measured(place, model, faces)
    assert report["faces"] == {"cut": "as they are"}
    assert any("judged as they are" in remark for remark in report["remarks"]) == warned
    assert len(report["scores"]) == 20


def test_the_command_finds_faces_by_default_where_the_model_levels_them(place: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(place)

    def cut(*words: str) -> str:
        done = CliRunner().invoke(cli.app, ["evaluate", *words, "data.parquet", "--workers", "0", "--device", "cpu"])
        assert done.exit_code == 0, done.output
        return json.loads((place / words[-1] / "evaluation.json").read_text())["faces"]["cut"]

    assert cut("landmarks", "--out", "a") == "landmarks"
    assert (place / "a" / "scored" / "faces.parquet").is_file()
    assert cut("landmarks", "--as-cut", "--out", "a") == "as they are"
    assert cut("box", "--out", "b") == "as they are"
    assert cut("box", "--faces", "--out", "b") == "box"


def test_calibration_of_a_model_of_levelled_faces_takes_the_faces(place: Path, tmp_path: Path):
    folder = tiny_folder(tmp_path / "model", face_cut="landmarks", face_margin=0.8)
    data = str(place / "data.parquet")
    done = CliRunner().invoke(
        cli.app, ["calibrate", str(folder), data, "--target-fpr", "0.3", "--workers", "0", "--device", "cpu"]
    )
    assert done.exit_code == 0, done.output
    assert done.stderr.count("no face was found in it") == 2
    config = json.loads((folder / "config.json").read_text())
    assert config["target_fpr"] == 0.3
    limits = [config["group_thresholds"][number] for number in ("2", "5", "10", "20", "50")]
    assert limits == sorted(limits)
    assert limits[0] >= config["threshold_generated"]
    assert "group_thresholds     2: " in done.stdout


def test_faces_of_other_models_are_refused():
    other = Subject("someone/detector", Path(), "ViT", "", None, lambda inputs: inputs, None)
    assert cut_of(other) is None
    with pytest.raises(ValueError, match="someone/detector: only models of fakeface say how faces are cut"):
        cut_of(other, True)
