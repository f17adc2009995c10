"""Detectors under test: ours, and any image classifier of transformers, read safely."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import SIZE, picture, tiny_folder
from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor, pipeline

from fakeface import Detector
from fakeface.detector.runtime import fastest_dtype
from fakeface.evaluation.subjects import open_subject, weights_sha256
from fakeface.model_folder.opening import ModelFolderError
from fakeface.utils.label_names import LabelsError

NAMES = ("artificial", "human")


def classifier_folder(folder: Path, names: tuple[str, ...] = NAMES, **settings) -> Path:
    """A tiny vision transformer, as any Hub model of that kind is saved."""
    torch.manual_seed(0)
    labels = {"id2label": dict(enumerate(names)), "label2id": {name: i for i, name in enumerate(names)}}
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = ViTConfig(image_size=SIZE, patch_size=8, **sizes, **labels, **settings)
    ViTForImageClassification(config).save_pretrained(folder)
    ViTImageProcessor(size={"height": SIZE, "width": SIZE}).save_pretrained(folder)
    return folder


def scores(subject, pictures) -> np.ndarray:
    with torch.inference_mode():
        return subject.score([torch.from_numpy(subject.processor.to_array(one)) for one in pictures])


def test_our_model_scores_as_the_detector_does(tmp_path):
    folder = tiny_folder(tmp_path / "ours", threshold_generated=0.8, threshold_real=0.3)
    subject = open_subject(str(folder), device="cpu")
    expected = [result.score for result in Detector.from_pretrained(folder, faces=False)([picture(), picture(seed=1)])]
    assert scores(subject, [picture(), picture(seed=1)]) == pytest.approx(expected, abs=1e-6)
    assert (subject.point.threshold_generated, subject.architecture) == (0.8, "cnn")
    assert subject.weights_sha256 == weights_sha256(folder)


@pytest.mark.parametrize(("names", "which"), [(NAMES, "artificial"), (("real", "fake"), "fake"), (("real",), "real")])
def test_another_classifier_scores_as_its_pipeline_does(names, which, tmp_path):
    folder = classifier_folder(tmp_path / "theirs", names)
    subject = open_subject(str(folder), device="cpu")
    told = pipeline("image-classification", model=str(folder), device="cpu")(picture())
    chance = {row["label"]: row["score"] for row in told}[which]
    expected = 1 - chance if names == ("real",) else chance
    assert scores(subject, [picture()])[0] == pytest.approx(expected, abs=1e-5)
    assert (subject.point.threshold_generated, subject.point.target_fpr) == (0.5, None)


def test_labels_that_say_nothing_need_a_word(tmp_path):
    folder = str(classifier_folder(tmp_path / "theirs", ("LABEL_0", "LABEL_1")))
    with pytest.raises(LabelsError, match=r"theirs: which labels mean generated .*: name them with --generated-label"):
        open_subject(folder, device="cpu")
    one, other = (open_subject(folder, device="cpu", generated=[f"LABEL_{i}"]) for i in (0, 1))
    assert scores(one, [picture()]) + scores(other, [picture()]) == pytest.approx(1)
    assert one.digest != other.digest  # or scores kept under the one would be taken for the other's


def test_weights_that_are_not_there_are_not_made_up(tmp_path):
    folder = classifier_folder(tmp_path / "theirs")
    state = load_file(folder / "model.safetensors")
    del state["classifier.weight"]
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelFolderError, match=r"theirs: its weights lack classifier\.weight"):
        open_subject(str(folder), device="cpu")


def test_pickled_weights_are_not_opened(tmp_path):
    folder = classifier_folder(tmp_path / "theirs")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelFolderError, match=r"theirs: cannot be opened .*weights as safetensors"):
        open_subject(str(folder), device="cpu")


def test_code_of_a_model_s_own_does_not_run(tmp_path):
    folder = classifier_folder(tmp_path / "theirs")
    config = json.loads((folder / "config.json").read_text())
    entries = {name: "evil.Evil" for name in ("AutoConfig", "AutoModelForImageClassification")}
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "evil", "auto_map": entries}))
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(ModelFolderError, match="theirs: cannot be opened"):
        open_subject(str(folder), device="cpu")
    assert not (tmp_path / "ran").exists()


def test_a_file_is_refused_by_name(tmp_path):
    (tmp_path / "model.bin").touch()
    with pytest.raises(ModelFolderError, match=r"model\.bin: a file, not a model folder"):
        open_subject(str(tmp_path / "model.bin"))


def test_broken_weights_are_said_at_the_first_batch(tmp_path):
    folder = tiny_folder(tmp_path / "ours")
    state = load_file(folder / "model.safetensors")
    state["classifier.out.bias"] *= float("nan")
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelFolderError, match="ours: its weights give no number as score"):
        scores(open_subject(str(folder), device="cpu"), [picture()])


def test_the_quickest_type_gives_nearly_the_same_scores_and_is_told(tmp_path):
    folder = str(tiny_folder(tmp_path / "ours"))
    plain, quick = (open_subject(folder, device="cpu", dtype=dtype) for dtype in ("float32", "auto"))
    assert plain.dtype == "float32"
    assert quick.dtype == f"auto ({str(fastest_dtype(torch.device('cpu'))).removeprefix('torch.')})"
    assert plain.digest != quick.digest  # or kept scores of the one would be taken for the other's
    assert scores(quick, [picture()]) == pytest.approx(scores(plain, [picture()]), abs=0.02)


def test_a_stranger_s_classifier_takes_no_type(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "resnet"}')
    with pytest.raises(ValueError, match="only model folders of fakeface take another type"):
        open_subject(str(tmp_path), device="cpu", dtype="auto")


def test_the_digest_follows_weights_and_settings(tmp_path):
    plain = open_subject(str(tiny_folder(tmp_path / "a")), device="cpu").digest
    assert open_subject(str(tiny_folder(tmp_path / "b")), device="cpu").digest == plain
    assert open_subject(str(tiny_folder(tmp_path / "c", temperature=2.0)), device="cpu").digest != plain
