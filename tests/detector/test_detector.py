"""Scores, verdicts and refusals of the detector, with a tiny model of random weights."""

import io
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.special import expit, logit
from tiny import picture, tiny_folder, tiny_model

from fakeface.configuration_fakeface import FakeFaceConfig
from fakeface.detector.detector import Detector
from fakeface.detector.doubts import DOTS, UNFAMILIAR
from fakeface.detector.judging import CENTRE_JUDGED, LARGEST_SPREAD, NOT_CALIBRATED
from fakeface.detector.preparation import Case
from fakeface.detector.runtime import fastest_dtype
from fakeface.explain.maps import cam, place
from fakeface.faces import Face, FaceFinder, FaceFinderError, aligned_square, cut_face
from fakeface.image_processing_fakeface import FakeFaceImageProcessor
from fakeface.images.load import PictureError
from fakeface.model_folder.opening import ModelFolderError
from fakeface.modeling_fakeface import FakeFaceForImageClassification
from fakeface.results import Result, group_threshold, verdict
from fakeface.utils.errors import OptionError


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    return Detector.from_pretrained(tiny_folder(tmp_path_factory.mktemp("model") / "tiny"), device="cpu", faces=False)


def calibrated(**numbers: float) -> Detector:
    """A tiny detector with thresholds; its bias sets its score of every picture to about `score`."""
    score = numbers.pop("score")
    model = tiny_model("logistic", target_fpr=0.01, bias=math.log(score / (1 - score)), **numbers)
    torch.nn.init.zeros_(model.get_parameter("classifier.out.weight"))
    return Detector(model, FakeFaceImageProcessor(size=32))


def test_the_score_is_the_models_softmax(detector: Detector):
    pixel_values = detector.processor(picture(), return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        expected = detector.model(pixel_values).logits.softmax(1)[0, 1].item()
    assert detector(picture()).score == pytest.approx(expected, abs=1e-6)


def test_pictures_get_different_scores(detector: Detector):
    assert len({round(result.score or 0, 3) for result in detector([picture(seed=seed) for seed in range(5)])}) == 5


def test_every_kind_of_picture_gets_the_same_score(detector: Detector, tmp_path: Path):
    path = tmp_path / "a.png"
    picture().save(path)
    kinds = [str(path), path, path.read_bytes(), picture(), np.asarray(picture()), {"bytes": None, "path": str(path)}]
    results = detector(kinds)
    assert [result.error for result in results] == [None] * 6
    assert [result.score for result in results] == pytest.approx([detector(picture()).score] * 6, abs=1e-6)
    assert [result.picture for result in results] == [
        str(path), str(path), "picture 3", "picture 4", "picture 5", str(path)
    ]  # fmt: skip


def test_a_picture_is_judged_upright(detector: Detector, tmp_path: Path):
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn me a quarter to the right"
    picture().transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    assert detector(tmp_path / "turned.png").score == pytest.approx(detector(picture()).score, abs=1e-6)


def test_a_list_keeps_its_order_and_names_what_is_refused(detector: Detector, tmp_path: Path):
    (tmp_path / "text.jpg").write_text("no picture")
    results = detector([picture(), tmp_path / "text.jpg", picture(seed=1), tmp_path / "none.jpg", b""], batch_size=2)
    assert [result.score is None for result in results] == [False, True, False, True, True]
    assert [result.verdict is None for result in results] == [False, True, False, True, True]
    assert [result.picture for result in results] == [
        "picture 1", str(tmp_path / "text.jpg"), "picture 3", str(tmp_path / "none.jpg"), "picture 5"
    ]  # fmt: skip
    assert results[0].score == pytest.approx(detector(picture()).score, abs=1e-6)
    assert results[3].error == f"{tmp_path / 'none.jpg'}: no such file; check the path"
    assert (results[4].error or "").startswith("picture 5: ")


def test_one_refused_picture_raises(detector: Detector):
    with pytest.raises(PictureError, match=r"none\.jpg: no such file"):
        detector("none.jpg")


def test_no_pictures_give_no_results(detector: Detector):
    assert detector([]) == []


def test_the_batch_size_does_not_change_scores(detector: Detector):
    pictures = [picture(seed=seed) for seed in range(5)]
    one_by_one = [result.score for result in detector(pictures, batch_size=1)]
    assert [result.score for result in detector(pictures, batch_size=3)] == pytest.approx(one_by_one, abs=1e-6)


def test_a_stream_takes_one_batch_at_a_time(detector: Detector):
    taken = []

    def endless() -> Iterator[Image.Image]:
        while True:
            taken.append(len(taken) + 1)
            yield picture()

    stream = detector.stream(endless(), batch_size=2)
    assert [next(stream).picture for _ in range(3)] == ["picture 1", "picture 2", "picture 3"]
    assert taken == [1, 2, 3, 4]


@pytest.mark.parametrize("batch_size", [1, 2, 3, 8])
def test_a_batch_in_flight_changes_nothing(detector: Detector, monkeypatch: pytest.MonkeyPatch, batch_size: int):
    pictures = [picture(seed=seed) for seed in range(7)]
    expected = list(detector.stream(pictures, batch_size=batch_size))
    monkeypatch.setattr(detector, "_ahead", 1)  # as on a GPU
    assert list(detector.stream(pictures, batch_size=batch_size)) == expected


def test_on_a_gpu_two_batches_wait_even_where_nothing_has_a_face(detector: Detector, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(detector, "_ahead", 1)
    judged = []

    def answers(inputs: list[np.ndarray]) -> tuple[torch.Tensor, None]:
        judged.append(len(inputs))
        return torch.zeros(len(inputs), 2), None

    monkeypatch.setattr(detector, "_answers", answers)

    def cases() -> Iterator[tuple[Case, list[np.ndarray]]]:
        yield Case("a face", (64, 64)), [np.zeros((32, 32, 3), np.uint8)]
        while True:
            yield Case("none", (64, 64), faces=[]), []

    assert next(detector.judge(cases(), batch_size=2)).picture == "a face"
    assert judged == [1]


def test_a_batch_of_none_is_refused(detector: Detector):
    with pytest.raises(ValueError, match="batch_size is 0: it takes a number from 1"):
        detector([picture()], batch_size=0)


@pytest.mark.parametrize(
    ("score", "expected"),
    [(0.0, "real"), (0.2, "real"), (0.21, "uncertain"), (0.79, "uncertain"), (0.8, "generated"), (1.0, "generated")],
)
def test_the_verdict_is_read_at_the_thresholds(score: float, expected: str):
    assert verdict(score, FakeFaceConfig(threshold_real=0.2, threshold_generated=0.8)) == expected


def test_equal_thresholds_leave_nothing_uncertain():
    config = FakeFaceConfig(threshold_real=0.5, threshold_generated=0.5)
    assert [verdict(score, config) for score in (0.4999, 0.5, 0.5001)] == ["real", "generated", "generated"]


def test_a_clear_verdict_says_what_was_judged():
    result = calibrated(score=0.9, threshold_real=0.2, threshold_generated=0.8)(picture())
    assert (result.verdict, result.reasons) == ("generated", (CENTRE_JUDGED,))


def test_an_uncertain_verdict_says_why():
    result = calibrated(score=0.5, threshold_real=0.2, threshold_generated=0.8)(picture())
    assert result.verdict == "uncertain"
    assert result.reasons[1:] == ("the score lies between the thresholds 0.2 and 0.8: too close to call",)


@pytest.mark.parametrize(("size", "expected"), [((45, 45), "generated"), ((44, 200), "uncertain")])
def test_a_tiny_picture_is_uncertain(size: tuple[int, int], expected: str):
    result = calibrated(score=0.9)(Image.new("RGB", size))
    assert (result.score, result.verdict) == (pytest.approx(0.9), expected)
    too_small = "the picture is 44 x 200 pixels: under 45 is too small to tell"
    assert (too_small in result.reasons) == (expected == "uncertain")


def test_an_uncalibrated_model_says_so(detector: Detector):
    assert NOT_CALIBRATED in detector(picture()).reasons


def test_a_result_is_json_ready():
    result = Result("a.jpg", 0.25, "real", ("because",))
    assert json.loads(json.dumps(result.to_dict())) == {
        "picture": "a.jpg", "score": 0.25, "verdict": "real", "reasons": ["because"], "error": None, "faces": []
    }  # fmt: skip


def test_weights_that_give_no_number_are_refused_not_judged(tmp_path: Path):
    model = tiny_model()
    torch.nn.init.constant_(model.get_parameter("classifier.out.bias"), math.nan)
    broken = Detector(model, FakeFaceImageProcessor(size=32), name="models/broken")
    with pytest.raises(ModelFolderError, match="models/broken: its weights give no number as score; fetch it again"):
        broken(picture())
    with pytest.raises(ModelFolderError, match="models/broken"):
        broken([picture()])
    with pytest.raises(ModelFolderError, match="models/broken"):
        broken.explain(picture())


def test_a_model_in_training_mode_is_switched_to_evaluation():
    model = tiny_model("resnet50-cnn").train()
    judge = Detector(model, FakeFaceImageProcessor(size=32))
    assert judge(picture()).score == judge(picture()).score  # dropout and BatchNorm would change it
    assert not model.training


def test_bfloat16_keeps_batch_norm_in_float32(tmp_path: Path):
    judge = Detector.from_pretrained(tiny_folder(tmp_path, "resnet50-cnn"), device="cpu", dtype="bfloat16", faces=False)
    kinds = {name: value.dtype for name, value in judge.model.state_dict().items() if value.is_floating_point()}
    assert kinds["fakeface.trunk.conv1.weight"] == torch.bfloat16
    assert kinds["fakeface.trunk.bn1.running_var"] == kinds["classifier.norm1.weight"] == torch.float32
    assert judge(picture()).score == pytest.approx(
        Detector.from_pretrained(tmp_path, device="cpu", faces=False)(picture()).score, abs=0.05
    )


def test_the_quickest_type_scores_about_the_same_with_channels_last(tmp_path: Path):
    quick = Detector.from_pretrained(tiny_folder(tmp_path, "resnet50-cnn"), device="cpu", dtype="auto", faces=False)
    conv = quick.model.get_parameter("fakeface.trunk.layer1.0.conv2.weight")
    assert conv.dtype == fastest_dtype(torch.device("cpu"))
    assert conv.is_contiguous(memory_format=torch.channels_last)
    exact = Detector.from_pretrained(tmp_path, device="cpu", faces=False)
    assert quick(picture()).score == pytest.approx(exact(picture()).score, abs=0.05)


def test_of_several_crops_the_mean_logit_counts(detector: Detector):
    several = Detector(detector.model, detector.processor, crops=2)
    mirrored = picture().transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    scores = [result.score or 0.0 for result in detector([picture(), mirrored])]
    one, other = (math.log(score / (1 - score)) for score in scores)
    assert abs(one - other) > 0.1
    assert several(picture()).score == pytest.approx(1 / (1 + math.exp(-(one + other) / 2)), abs=1e-6)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0.9, 0.88, 0.95], "generated"),
        ([0.9, 0.79], "uncertain"),  # beyond the threshold of 0.8
        ([0.99, 0.99 - LARGEST_SPREAD - 0.01], "uncertain"),  # no threshold between, but far apart
        ([0.1, 0.11], "real"),
        ([0.5, 0.9], "uncertain"),
    ],
)
def test_re_encodings_that_disagree_leave_it_uncertain(scores: list[float], expected: str):
    judge = Detector(
        tiny_model(threshold_real=0.2, threshold_generated=0.7 if scores[0] == 0.99 else 0.8),
        FakeFaceImageProcessor(size=32),
        consistency=len(scores) - 1,
    )
    case, inputs = judge.preparer.open("a", picture())
    told = iter([[0.0, math.log(score / (1 - score))] for score in scores])
    judge.model.register_forward_hook(lambda *_: Logits([next(told) for _ in scores]))
    result = next(judge.judge([(case, inputs)]))
    assert (result.verdict, result.score) == (expected, pytest.approx(scores[0]))
    unstable = f"re-encoded it scores from {min(scores):.3f} to {max(scores):.3f}: "
    clear = 0.2 < scores[0] < 0.7
    assert any(reason.startswith(unstable) for reason in result.reasons) == (expected == "uncertain" and not clear)


class Logits:
    def __init__(self, rows: list[list[float]]):
        self.logits, self.distance = torch.tensor(rows), None


def test_each_face_has_its_own_crops_and_re_encodings():
    plain = finding(*BOXES)
    rich = Detector(plain.model, plain.processor, finder=Finder(*BOXES), crops=2, consistency=1)
    scene = picture(160, 128)
    alone = [Detector(plain.model, plain.processor, finder=Finder(box), crops=2, consistency=1) for box in BOXES]
    expected = [judge(scene).score for judge in alone]
    assert [face.score for face in rich(scene, batch_size=5).faces] == pytest.approx(expected, abs=1e-6)


def test_the_environment_names_the_default_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FAKEFACE_MODEL", str(tiny_folder(tmp_path / "mine", "logistic")))
    assert Detector.from_pretrained().config.architecture == "logistic"


def test_fast_chooses_among_the_shipped_models_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("FAKEFACE_MODEL", raising=False)
    monkeypatch.setattr("fakeface.utils.shipped.PACKAGE", tmp_path / "fakeface")
    tiny_folder(tmp_path / "checkpoints" / "fakeface-vit-b16-cnn", "logistic")
    tiny_folder(tmp_path / "checkpoints" / "fakeface-resnet50-cnn", "cnn")
    assert Detector.from_pretrained(faces=False).config.architecture == "logistic"
    assert Detector.from_pretrained(faces=False, fast=True).config.architecture == "cnn"
    with pytest.raises(OptionError, match="fast chooses among the shipped models; leave it out, or name no model"):
        Detector.from_pretrained(tmp_path / "checkpoints" / "fakeface-resnet50-cnn", fast=True)


@pytest.mark.parametrize("name", ["float33", "int8", "nn"])
def test_a_type_that_weights_cannot_have_is_refused(name: str, tmp_path: Path):
    with pytest.raises(ValueError, match=f"dtype is '{name}': it takes float32, bfloat16 or float16"):
        Detector.from_pretrained(tmp_path, dtype=name)


def test_an_explanation_carries_the_result_and_a_map_of_the_whole_picture(detector: Detector, tmp_path: Path):
    path = tmp_path / "wide.png"
    picture(128, 64).save(path)
    explanation = detector.explain(path)
    assert explanation.result.score == pytest.approx(detector(path).score, abs=1e-6)
    assert (explanation.result.picture, explanation.result.verdict) == (str(path), detector(path).verdict)
    assert (explanation.picture.size, explanation.map.shape) == ((128, 64), (64, 128))
    assert (explanation.label, explanation.method) == ("generated", "centred-cam")
    assert not explanation.map[:, :32].any()  # the model sees the centre square only
    assert not explanation.map[:, 96:].any()


def test_an_explanation_shows_the_square_that_the_model_saw(detector: Detector):
    scene = picture(128, 64)
    explanation = detector.explain(scene, method="hires-cam", layer="block1")
    assert (explanation.method, explanation.layer) == ("hires-cam", "block1")
    expected = detector.processor.to_array(explanation.crop)
    np.testing.assert_allclose(expected, detector.processor.to_array(scene), atol=1e-6)
    assert isinstance(detector.model, FakeFaceForImageClassification)
    _, maps = cam(detector.model, torch.from_numpy(expected)[None], method="hires-cam", layer="block1")
    np.testing.assert_allclose(explanation.crop_map, maps[0], atol=1e-5)
    assert (explanation.overlay().size, explanation.on_crop().size) == ((128, 64), (32, 32))
    np.testing.assert_array_equal(explanation.map, place(explanation.crop_map, (128, 64), (32, 0, 96, 64)))


def test_one_pass_of_the_trunk_gives_score_and_map():
    passes: list[int] = []
    alone = finding(BOXES[0])
    alone.model.get_submodule("fakeface.blocks.0").register_forward_hook(lambda *_: passes.append(1))
    expected = finding(BOXES[0])(picture(160, 128))
    assert alone.explain(picture(160, 128), layer="block3").result == expected
    assert len(passes) == 1


def far_apart(**settings: Any) -> tuple[Detector, float]:
    """A detector that calls both faces of `scene` real, and a limit between their distances."""
    model = tiny_model("vit-b16-cnn", familiar_distance=1.0, bias=-9.0, target_fpr=0.01)
    finder, processor = Finder(BOXES[0], (90, 60, 130, 110)), FakeFaceImageProcessor(size=32)
    with torch.inference_mode():
        for buffer in (model.fakeface.trunk.norm.running_mean, model.fakeface.trunk.norm.running_var):
            buffer.normal_(generator=torch.Generator().manual_seed(0)).abs_()
    detector = Detector(model, processor, finder=finder, **settings)
    case, inputs = detector.preparer.try_open("scene", scene())
    found = model(detector._pixel_values(list(inputs))).distance[:: case.views].tolist()
    assert abs(found[0] - found[1]) > 1e-3
    return detector, sum(found) / 2


def scene() -> Image.Image:
    return picture(160, 128)


@pytest.mark.parametrize("settings", [{}, {"crops": 2, "consistency": 1}])
def test_a_face_unlike_those_of_the_training_is_not_called_real(settings: dict[str, Any]):
    detector, limit = far_apart(**settings)
    detector.config.familiar_distance = limit
    faces = detector(scene()).faces
    reasons = {face.verdict: face.reasons for face in faces}
    assert reasons == {"uncertain": (UNFAMILIAR,), "real": ()}
    detector.config.familiar_distance = 1e9
    assert {face.verdict for face in detector(scene()).faces} == {"real"}
    assert detector(scene()).faces[0].score == faces[0].score
    detector.config.bias = 9.0
    detector.config.familiar_distance = 1e-9
    assert {face.verdict for face in detector(scene()).faces} == {"generated"}  # only `real` rests on what is known


def test_an_explanation_of_a_chosen_label_has_the_same_verdict():
    detector, _ = far_apart()
    detector.config.familiar_distance = 1e-9
    alone = Detector(detector.model, detector.processor, finder=Finder(BOXES[0]))
    assert alone.explain(scene(), label="generated").result == alone(scene())
    assert alone(scene()).verdict == "uncertain"


@pytest.mark.parametrize("label", [None, "real"])
def test_one_face_takes_one_pass_for_verdict_and_map(label: str | None):
    detector, _ = far_apart()
    alone = Detector(detector.model, detector.processor, finder=Finder(BOXES[0]))
    passes: list[None] = []
    trunk: Any = alone.model.get_submodule("fakeface.trunk")
    trunk.register_forward_hook(lambda *_: passes.append(None))
    explanation = alone.explain(scene(), label=label)
    assert len(passes) == 1
    assert explanation.result == alone(scene())
    assert explanation.label == (label or ("real" if explanation.result.verdict == "real" else "generated"))


def test_views_are_judged_together_and_the_face_itself_is_explained():
    several = Detector(tiny_model(), FakeFaceImageProcessor(size=32), finder=Finder(*BOXES), crops=2, consistency=1)
    scene = picture(160, 128)
    explanation = several.explain(scene, face=1)
    assert explanation.result == several(scene)
    assert np.array_equal(explanation.crop_map, finding(*BOXES).explain(scene, face=1).crop_map)
    assert explanation.crop == finding(*BOXES).explain(scene, face=1).crop


def test_an_explanation_takes_the_layer_asked_for(detector: Detector):
    with pytest.raises(ValueError, match="unknown layer 'attic': this model has "):
        detector.explain(picture(), layer="attic")


def test_an_explanation_of_a_refused_picture_raises(detector: Detector):
    with pytest.raises(PictureError, match=r"none\.jpg: no such file"):
        detector.explain("none.jpg")


class Finder(FaceFinder):
    """Finds the faces it is given, so that a test needs no face model; the real one is tested with its module."""

    def __init__(self, *boxes: tuple[float, float, float, float]):
        self.boxes = boxes

    def __call__(self, picture: Image.Image) -> list[Face]:
        eyes_over_mouth = ((0.0, 0.0), (2.0, 0.0), (1.0, 1.0), (0.0, 2.0), (2.0, 2.0))
        return [Face(box, 0.9, eyes_over_mouth) for box in self.boxes]


def finding(*boxes: tuple[float, float, float, float]) -> Detector:
    return Detector(tiny_model(), FakeFaceImageProcessor(size=32), finder=Finder(*boxes))


BOXES = ((60.0, 20.0, 100.0, 60.0), (10.0, 10.0, 45.0, 45.0), (0.0, 80.0, 20.0, 100.0))


def test_each_face_is_judged_by_its_crop_and_the_most_generated_large_one_decides():
    scene = picture(160, 128)
    result = finding(*BOXES)(scene)
    crops = [cut_face(scene, (left - h, top - h, right + h, bottom + h))
             for left, top, right, bottom in BOXES for h in [(right - left) * 0.2]]  # fmt: skip
    alone = [finding().processor.to_array(crop) for crop in crops]
    with torch.no_grad():
        expected = tiny_model()(torch.from_numpy(np.stack(alone))).logits.softmax(1)[:, 1].tolist()
    assert [face.score for face in result.faces] == pytest.approx(expected, abs=1e-6)
    assert [face.box for face in result.faces] == list(BOXES)
    assert result.score == pytest.approx(max(expected[:2]), abs=1e-6)
    assert "3 faces were judged, and the most generated one decides" in result.reasons
    assert result.faces[2].verdict == "uncertain"
    assert result.faces[2].reasons == ("the face is 20 pixels long: under 32 is too small to tell",)


def test_no_face_is_never_a_guess():
    result = finding()(picture())
    assert (result.score, result.verdict, result.faces, result.error) == (None, "no face", (), None)
    assert result.reasons == ("no face was found in the picture",)
    with pytest.raises(PictureError, match="no face was found in the picture, so there is nothing to explain"):
        finding().explain(picture())


def test_a_crowd_goes_through_in_batches_and_the_next_picture_shares_them(monkeypatch: pytest.MonkeyPatch):
    crowd = finding(*[(x, y, x + 32.0, y + 32.0) for x in range(0, 100, 20) for y in range(0, 100, 20)])
    sizes = []
    crowd.model.register_forward_pre_hook(lambda _, arguments: sizes.append(len(arguments[0])))
    results = crowd([picture(160, 128), picture(160, 128, seed=1)], batch_size=8)
    assert [len(result.faces) for result in results] == [25, 25]
    assert sizes == [8, 8, 8, 8, 8, 8, 2]


def test_of_a_crowd_only_so_many_faces_are_judged_and_the_result_says_so():
    few = Detector(tiny_model(), FakeFaceImageProcessor(size=32), finder=Finder(*BOXES), max_faces=2)
    result = few(picture(160, 128))
    assert [face.box for face in result.faces] == list(BOXES[:2])
    assert result.reasons[0] == "the picture has 3 faces: the 2 largest were judged"
    assert result.faces == finding(*BOXES)(picture(160, 128)).faces[:2]
    with pytest.raises(ValueError, match="max_faces is 0: it takes a number from 1"):
        Detector(tiny_model(), FakeFaceImageProcessor(size=32), max_faces=0)


@pytest.mark.parametrize(("threshold", "label"), [(0.0, "generated"), (1.0, "real")])
def test_an_explanation_without_a_label_argues_for_the_verdict(threshold: float, label: str):
    found = Detector(
        tiny_model(threshold_real=threshold, threshold_generated=threshold),
        FakeFaceImageProcessor(size=32),
        finder=Finder(*BOXES),
    ).explain(picture(160, 128), label=None)
    assert (found.result.verdict, found.label) == (label, label)
    assert found.face in (0, 1)
    deciding = found.result.faces[found.face]
    assert found.result.score == deciding.score


def test_a_face_is_explained_at_its_own_place():
    explanation = finding(*BOXES).explain(picture(160, 128), face=1)
    assert explanation.map.shape == (128, 160)
    assert not explanation.map[:, 64:].any()  # a square of 70 pixels about (27.5, 27.5)
    assert not explanation.map[64:].any()
    with pytest.raises(ValueError, match="face is 3: the picture has 3, counted from 0"):
        finding(*BOXES).explain(picture(160, 128), face=3)


def test_faces_are_looked_for_unless_told_otherwise(tmp_path: Path):
    folder = tiny_folder(tmp_path / "tiny", "logistic")
    assert Detector.from_pretrained(folder, device="cpu")(picture()).verdict == "no face"
    centre = Detector.from_pretrained(folder, device="cpu", faces=False)(picture())
    assert centre.score is not None
    assert centre.reasons[0] == CENTRE_JUDGED


def test_a_named_face_model_that_is_wrong_is_refused_not_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FAKEFACE_FACE_MODEL", str(tmp_path / "none.onnx"))
    with pytest.raises(FaceFinderError, match=r"none\.onnx: cannot be read"):
        Detector.from_pretrained(tiny_folder(tmp_path / "tiny", "logistic"), device="cpu")


# ---- faces levelled by their landmarks


def tilted(box: tuple[float, float, float, float], degrees: float) -> Face:
    """A face that fills its box, turned clockwise."""
    angle, side = np.radians(degrees), box[2] - box[0]
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = side * np.array([[-0.2, -0.15], [0.2, -0.15], [0.0, 0.05], [-0.15, 0.25], [0.15, 0.25]]) @ turn.T
    points += ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    return Face(box, 0.99, tuple(map(tuple, points.tolist())))


class Levelled(FaceFinder):
    """Finds the faces that it is given, with landmarks that need no levelling."""

    def __init__(self, *faces: Face):
        self.faces = faces

    def __call__(self, picture: Image.Image) -> list[Face]:
        return list(self.faces)

    def level(self, picture: Image.Image, face: Face) -> Face:
        return face


def levelling(*faces: Face, **settings: Any) -> Detector:
    model = tiny_model(face_cut="landmarks", face_margin=0.8, **settings)
    return Detector(model, FakeFaceImageProcessor(size=32), finder=Levelled(*faces))


def test_a_tilted_face_scores_as_the_upright_one_and_tells_its_square():
    scene, middle = picture(160, 160), (60.0, 60.0, 100.0, 100.0)
    upright = levelling(tilted(middle, 0))(scene)
    turned = levelling(tilted(middle, 90))(scene.transpose(Image.Transpose.ROTATE_270))
    assert turned.score == pytest.approx(upright.score, abs=0.02)
    (face,) = turned.faces
    assert face.square == aligned_square(tilted(middle, 90), 0.8).corners
    assert "square" not in turned.to_dict()["faces"][0]
    assert finding(*BOXES)(scene).faces[0].square is None


def test_the_map_of_a_tilted_face_lies_in_its_square():
    face = tilted((60.0, 60.0, 100.0, 100.0), 45)
    explanation = levelling(face).explain(picture(160, 160))
    corners = np.array(aligned_square(face, 0.8).corners)
    assert explanation.map.max() > 0.5
    rows, columns = np.nonzero(explanation.map)
    low, high = corners.min(axis=0), corners.max(axis=0)
    assert low[0] - 1 <= columns.min() <= columns.max() <= high[0]
    assert low[1] - 1 <= rows.min() <= rows.max() <= high[1]
    side = np.hypot(*(corners[1] - corners[0]))
    assert len(rows) < 1.1 * side**2 < np.prod(high - low)  # a turned square, not the upright one around it


def test_a_picture_judged_by_its_centre_is_too_small_by_the_cut_of_its_model():
    whole = Detector(tiny_model(face_cut="landmarks", face_margin=0.8), FakeFaceImageProcessor(size=32))
    assert whole(picture(36, 36)).reasons[1] == "the picture is 36 x 36 pixels: under 37 is too small to tell"


# ---- pictures of several faces


def test_the_more_faces_the_higher_must_the_score_be_of_a_generated_picture():
    alone = finding(*BOXES)(picture(160, 128))
    score = max(face.score for face in alone.faces[:2])
    lines = {"threshold_real": 0.0, "threshold_generated": score / 2}

    def judged(threshold: float, **settings: Any) -> Result:
        model = tiny_model(group_thresholds={"2": threshold, "50": 1.0}, **{**lines, **settings})
        return Detector(model, FakeFaceImageProcessor(size=32), finder=Finder(*BOXES))(picture(160, 128))

    strict, lax = judged(min(1.0, score * 1.01)), judged(score * 0.99)
    assert (strict.verdict, lax.verdict) == ("uncertain", "generated")
    # Two of the three faces are large enough to decide.
    assert any(f"2 faces makes a picture generated from a score of {score * 1.01:.6g}" in r for r in strict.reasons)
    assert [face.verdict for face in strict.faces] == [face.verdict for face in lax.faces]
    assert "generated" in [face.verdict for face in strict.faces]
    real = judged(1.0, threshold_real=1.0, threshold_generated=1.0)
    assert real.verdict == "real"


def test_group_thresholds_are_a_line_in_log_number_and_logit():
    config = FakeFaceConfig(
        architecture="cnn", image_size=32, threshold_generated=0.5, threshold_real=0.5,
        group_thresholds={"4": expit(2.0), "16": expit(6.0)},
    )  # fmt: skip
    logits = {1: 0.0, 2: 1.0, 4: 2.0, 8: 4.0, 16: 6.0, 64: 10.0}
    for number, expected in logits.items():
        assert logit(group_threshold(number, config)) == pytest.approx(expected, abs=1e-6)
    config.threshold_generated = expit(3.0)  # set higher by hand
    assert logit(group_threshold(4, config)) == pytest.approx(3.0)
    config.group_thresholds = None
    assert group_threshold(50, config) == config.threshold_generated


def webp(*frames: tuple[Image.Image, int]) -> bytes:
    """An animation of frames, each with its milliseconds."""
    buffer = io.BytesIO()
    pictures, times = zip(*frames, strict=True)
    options = {"save_all": True, "append_images": pictures[1:], "duration": list(times), "lossless": True}
    pictures[0].save(buffer, "WEBP", **options)
    return buffer.getvalue()


def test_of_an_animation_the_most_generated_frame_decides(detector: Detector):
    frames = [picture(seed=seed) for seed in range(3)]
    scores = [detector(frame).score or 0.0 for frame in frames]
    for times in ([10, 50, 900], [900, 50, 10], [50, 900, 10]):
        result = detector(webp(*zip(frames, times, strict=True)))
        assert result.score == pytest.approx(max(scores), abs=1e-5)
        told = "the one shown longest and 2 others were judged, and the most generated one decides"
        assert result.reasons[0] == f"an animation of 3 frames: {told}"


def test_frames_share_batches_and_stay_with_their_picture(detector: Detector):
    moving = [webp(*((picture(seed=3 * n + k), 100) for k in range(3))) for n in range(3)]
    pictures = [moving[0], picture(seed=50), moving[1], b"", moving[2]]
    alone = [result.score for result in map(detector, [pictures[0], pictures[1], pictures[2], pictures[4]])]  # pyright: ignore
    for batch_size in (1, 2, 16):
        found = [result.score for result in detector(pictures, batch_size=batch_size) if result.error is None]
        assert found == pytest.approx(alone, abs=1e-6)


def test_frames_count_as_the_faces_of_one_picture():
    judge = calibrated(score=0.96, threshold_generated=0.95, threshold_real=0.3, group_thresholds={"3": 0.99})  # pyright: ignore
    assert judge(picture()).verdict == "generated"
    result = judge(webp(*((picture(seed=seed), 100) for seed in range(3))))
    assert result.verdict == "uncertain"
    assert "the most generated of 3 faces makes a picture generated from a score of 0.99" in result.reasons[2]


def test_the_map_is_that_of_the_frame_that_decides(detector: Detector):
    frames = [picture(seed=seed) for seed in range(3)]
    best = max(range(3), key=lambda place: detector(frames[place]).score or 0.0)
    explained = detector.explain(webp(*((frame, 100) for frame in frames)), label="generated")
    assert np.array_equal(np.asarray(explained.picture), np.asarray(frames[best]))
    assert explained.result.reasons[0].startswith("an animation of 3 frames")
    assert np.allclose(explained.map, detector.explain(frames[best], label="generated").map, atol=1e-4)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (lambda seen: seen.point(lambda value: value // 16), "the picture is almost black: too dark to tell"),
        (lambda seen: seen.convert("1"), DOTS),
    ],
)
def test_real_does_not_hold_where_the_model_was_not_trained_for_it(changed: Any, reason: str):
    seen = changed(picture())
    assert calibrated(score=0.1, threshold_real=0.3, threshold_generated=0.9)(picture()).verdict == "real"
    judged = calibrated(score=0.1, threshold_real=0.3, threshold_generated=0.9)(seen)
    assert (judged.verdict, reason in judged.reasons) == ("uncertain", True)
    assert calibrated(score=0.95, threshold_real=0.3, threshold_generated=0.9)(seen).verdict == "generated"


class Frames(FaceFinder):
    """Finds a face in bright pictures, and none in others."""

    def __init__(self) -> None:
        pass

    def __call__(self, picture: Image.Image) -> list[Face]:
        landmarks = ((30.0, 30.0), (50.0, 30.0), (40.0, 40.0), (32.0, 50.0), (48.0, 50.0))
        return [Face((20, 20, 60, 60), 0.9, landmarks)] if np.asarray(picture).mean() > 40 else []


def test_frames_without_a_face_do_not_decide(detector: Detector):
    judge = Detector(detector.model, detector.processor, finder=Frames())
    dark = picture().point(lambda value: value // 8)  # pyright: ignore
    result = judge(webp((dark, 900), (picture(), 100)))
    assert (result.score, len(result.faces)) == (pytest.approx(judge(picture()).score, abs=1e-6), 1)
    assert judge(webp((dark, 900), (dark, 100))).verdict == "no face"
    with pytest.raises(PictureError, match="no face was found"):
        judge.explain(webp((dark, 900), (dark.rotate(90), 100)))
