"""Export to ONNX: what is written, that scores stay, and that every door takes it."""

import json
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from tiny import SIZE, WIDTHS, picture, tiny_folder
from typer.testing import CliRunner

from fakeface import Detector
from fakeface.cli.commands import app
from fakeface.evaluation.subjects import open_subject
from fakeface.model_folder.onnx import METADATA, OnnxModel
from fakeface.model_folder.opening import ModelFolderError
from fakeface.release.onnx import Exported, export_onnx

PICTURES = [picture(seed=seed) for seed in range(24)]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A model folder and its export in all three kinds."""
    folder = tmp_path_factory.mktemp("export")
    tiny_folder(folder / "model", "resnet50-cnn", temperature=1.3, bias=0.2, target_fpr=0.01)
    found = export_onnx(str(folder / "model"), folder / "out", PICTURES[:16], PICTURES[16:], command="the command")
    return folder, {one.kind: one for one in found}


@pytest.mark.parametrize("architecture", WIDTHS)
def test_scores_of_every_architecture_stay(architecture, tmp_path):
    tiny_folder(tmp_path / "model", architecture)
    (found,) = export_onnx(str(tmp_path / "model"), tmp_path / "out", PICTURES[:5], kinds=["fp32"])
    assert found.largest_difference < 1e-4
    assert (found.kind, found.n, found.changed_verdicts) == ("fp32", 5, 0)


def test_distances_stay(tmp_path):
    tiny_folder(tmp_path / "model", "vit-b16-cnn", familiar_distance=1e-9, bias=-9.0, target_fpr=0.01)
    export_onnx(str(tmp_path / "model"), tmp_path / "out", PICTURES[:5], kinds=["fp32"])
    detectors = [Detector.from_pretrained(tmp_path / name, device="cpu", faces=False) for name in ("model", "out")]
    pixels = torch.randn(3, 3, SIZE, SIZE)
    with torch.no_grad():
        expected, found = (detector.model(pixel_values=pixels).distance for detector in detectors)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    (expected,), (found,) = ([detector(picture()).verdict] for detector in detectors)
    assert found == expected == "uncertain"


def test_it_says_which_share_of_verdicts_changes():
    """The 8-bit file once gave a number alone, and said nothing of what it means."""
    one = Exported("onnx/model_quantized.onnx", "int8", 24.7, 200, 0.31, 0.012, 7)
    assert one.told() == (
        "24.7 MB; on 200 pictures scores move by 0.31 at most, 0.012 on average\n"
        "  8 bits change the verdict on some pictures: here 7 of them, 3.5 % (1.7–7.0), get another verdict; "
        "where that matters take 16 or 32"
    )
    plain = replace(one, kind="fp16", changed_verdicts=0).told().splitlines()
    assert plain[1] == "  0 of them, 0.0 % (0.0–1.9), get another verdict"


def test_each_kind_is_written_and_differs_as_little_as_its_bits_allow(exported):
    folder, found = exported
    assert [one.file for one in found.values()] == [
        "onnx/model.onnx", "onnx/model_fp16.onnx", "onnx/model_quantized.onnx"
    ]  # fmt: skip
    assert found["fp32"].largest_difference < 1e-5 < found["fp16"].largest_difference < 0.01
    assert 1e-4 < found["int8"].largest_difference < 0.2
    kinds = {
        name: {tensor.data_type for tensor in onnx.load(folder / "out" / one.file).graph.initializer}
        for name, one in found.items()
    }
    assert onnx.TensorProto.FLOAT16 in kinds["fp16"]
    assert onnx.TensorProto.INT8 in kinds["int8"]
    report = json.loads((folder / "out" / "export.json").read_text())
    assert (report["command"], report["calibrated_on"], len(report["files"])) == ("the command", 8, 3)
    assert sorted(path.name for path in (folder / "out").iterdir()) == [
        "config.json", "export.json", "onnx", "preprocessor_config.json"
    ]  # fmt: skip


def test_the_folder_is_one_that_transformers_js_loads(exported):
    """A type that it knows, and a processor whose crop is ours to the pixel."""
    folder, _ = exported
    config = json.loads((folder / "out" / "config.json").read_text())
    assert (config["model_type"], config["id2label"]) == ("resnet", {"0": "real", "1": "generated"})
    from transformers import AutoImageProcessor

    processor = AutoImageProcessor.from_pretrained(folder / "out")
    found = processor(images=picture(64, 64), return_tensors="pt")["pixel_values"]
    own = Detector.from_pretrained(folder / "model", faces=False).processor.to_array(picture(64, 64))
    assert found.shape == (1, 3, SIZE, SIZE)
    assert np.abs(found[0].numpy() - own).mean() < 0.02


def test_the_detector_takes_the_folder_and_each_file(exported):
    folder, _ = exported
    expected = Detector.from_pretrained(folder / "model", device="cpu", faces=False)(PICTURES[:3])
    for name in ("out", "out/onnx/model.onnx", "out/onnx/model_fp16.onnx"):
        found = Detector.from_pretrained(folder / name, faces=False)(PICTURES[:3])
        assert [one.score for one in found] == pytest.approx([one.score for one in expected], abs=0.01)
        assert [one.verdict for one in found] == [one.verdict for one in expected]
    with pytest.raises(ValueError, match="maps take gradients"):
        Detector.from_pretrained(folder / "out", faces=False).explain(PICTURES[0])
    with pytest.raises(ValueError, match="computes on the CPU"):
        Detector.from_pretrained(folder / "out", faces=False, dtype="bfloat16")


def test_a_session_is_told_apart_by_its_file(exported):
    """`score` goes on with a run only if the model is the same."""
    folder, found = exported
    states = [OnnxModel(folder / "out" / one.file).state_dict()["file_sha256"] for one in found.values()]
    assert states[0].shape == (32,)
    assert not torch.equal(states[0], states[1])


def test_evaluate_measures_ours_and_others(exported, tmp_path):
    folder, _ = exported
    inputs = [Detector.from_pretrained(folder / "model", faces=False).processor.to_array(one) for one in PICTURES[:3]]
    tensors = [torch.from_numpy(one) for one in inputs]
    with torch.inference_mode():
        expected = open_subject(str(folder / "model"), device="cpu").score(tensors)
    ours = open_subject(str(folder / "out" / "onnx" / "model.onnx"))
    assert ours.score(tensors) == pytest.approx(expected, abs=1e-5)
    assert ours.point.target_fpr == 0.01
    assert len(ours.weights_sha256) == 64
    # Of somebody else: without our metadata, its JSON files beside it.
    (tmp_path / "onnx").mkdir()
    model = onnx.load(folder / "out" / "onnx" / "model.onnx")
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "onnx" / "theirs.onnx")
    with pytest.raises(ModelFolderError, match=r"put the config\.json and preprocessor_config\.json"):
        open_subject(str(tmp_path / "onnx" / "theirs.onnx"))
    for name in ("config.json", "preprocessor_config.json"):
        (tmp_path / name).write_bytes((folder / "out" / name).read_bytes())
    theirs = open_subject(str(tmp_path / "onnx" / "theirs.onnx"))
    assert theirs.score(tensors) == pytest.approx(expected, abs=1e-5)
    assert (theirs.point.threshold_generated, theirs.generated) == (0.5, (1,))
    with pytest.raises(ModelFolderError, match="no ONNX file of fakeface"):
        OnnxModel(tmp_path / "onnx" / "theirs.onnx")


def test_what_is_no_onnx_file_is_refused(tmp_path):
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    with pytest.raises(ModelFolderError, match=r"bad\.onnx: no ONNX file that can be run"):
        Detector.from_pretrained(tmp_path / "bad.onnx", faces=False)
    with pytest.raises(ModelFolderError, match=r"none\.onnx: no such file"):
        open_subject(str(tmp_path / "none.onnx"))


def test_metadata_of_a_stranger_is_checked(exported, tmp_path):
    folder, _ = exported
    model = onnx.load(folder / "out" / "onnx" / "model.onnx")
    for told, words in (
        ("{", "its metadata cannot be read"),
        ('{"config": {"model_type": "vit"}, "processor": {}}', "pass the folder of a fakeface model"),
    ):
        onnx.helper.set_model_props(model, {METADATA: told})
        onnx.save(model, tmp_path / "odd.onnx")
        with pytest.raises(ModelFolderError, match=words):
            OnnxModel(tmp_path / "odd.onnx")


def test_files_outside_are_not_opened(exported, tmp_path):
    """Weights that a file would read from elsewhere: the runtime gets bytes only, and refuses."""
    folder, _ = exported
    model = onnx.load(folder / "out" / "onnx" / "model.onnx")
    onnx.save(model, tmp_path / "model.onnx", save_as_external_data=True, location="weights.data", size_threshold=0)
    assert (tmp_path / "weights.data").exists()
    with pytest.raises(ModelFolderError, match="no ONNX file that can be run"):
        OnnxModel(tmp_path / "model.onnx")


def test_the_command_says_how_far_scores_move(exported, tmp_path):
    folder, _ = exported
    for number, one in enumerate(PICTURES[:8]):
        file = tmp_path / "data" / ("real", "generated")[number % 2] / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        one.save(file)
    words = ["export", "onnx", str(folder / "model"), str(tmp_path / "out"), "--data", str(tmp_path / "data")]
    run = CliRunner().invoke(app, [*words, "--kinds", "fp32", "--pictures", "3"])
    assert run.exit_code == 0, run.output
    assert "model.onnx: " in run.stdout
    assert "MB; on 3 pictures scores move by" in run.stdout
    run = CliRunner().invoke(app, [*words, "--kinds", "fp64"])
    assert (run.exit_code, "no kind 'fp64'" in run.output) == (2, True)
