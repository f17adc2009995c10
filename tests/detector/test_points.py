"""Operating points by name: their thresholds take the place of the model's own, and a model without them says so."""

from pathlib import Path

import pytest
from tiny import picture, tiny_folder

from fakeface.configuration_fakeface import FakeFaceConfig
from fakeface.detector.detector import Detector
from fakeface.detector.points import set_point
from fakeface.results import group_threshold
from fakeface.utils.errors import OptionError

POINTS = {
    "strict": {"fpr": 0.001, "threshold_generated": 0.99, "group_thresholds": {"2": 0.999}},
    "triage": {"fpr": 0.05, "threshold_generated": 0.3},
}
OWN = {"threshold_real": 0.4, "threshold_generated": 0.9, "target_fpr": 0.01, "group_thresholds": {"2": 0.95}}


def config(**more: object) -> FakeFaceConfig:
    return FakeFaceConfig(architecture="cnn", image_size=32, **{**OWN, "operating_points": POINTS, **more})


def test_a_point_brings_its_thresholds_for_one_face_and_for_several():
    strict, default, triage = config(), config(), config()
    for name, one in (("strict", strict), ("default", default), ("triage", triage)):
        set_point(one, name, "model")
    assert (strict.threshold_real, strict.threshold_generated, strict.target_fpr) == (0.4, 0.99, 0.001)
    assert (default.threshold_real, default.threshold_generated, default.target_fpr) == (0.4, 0.9, 0.01)
    assert (triage.threshold_real, triage.threshold_generated, triage.target_fpr) == (0.3, 0.3, 0.05)
    assert [group_threshold(2, one) for one in (strict, default, triage)] == [0.999, 0.95, 0.3]


def test_a_model_without_the_point_refuses_it_with_the_cure():
    with pytest.raises(OptionError, match=r"^my/model: was not calibrated for .* strict; set it with `fakeface calibr"):
        set_point(config(operating_points=None), "strict", "my/model")
    with pytest.raises(OptionError, match=r"operating point is 'lax'; choose one of strict, default, triage$"):
        set_point(config(), "lax", "my/model")


def test_a_detector_judges_at_the_point_it_was_opened_with(tmp_path: Path):
    score = Detector.from_pretrained(tiny_folder(tmp_path / "plain"), faces=False)(picture()).score
    assert score is not None
    thresholds = {"threshold_real": score / 4, "threshold_generated": score / 2, "target_fpr": 0.01}
    points = {"strict": {"fpr": 0.001, "threshold_generated": (1 + score) / 2}}
    folder = tiny_folder(tmp_path / "tiny", operating_points=points, **thresholds)  # pyright: ignore
    for point, expected in (("default", "generated"), ("strict", "uncertain")):
        assert Detector.from_pretrained(folder, faces=False, operating_point=point)(picture()).verdict == expected
    with pytest.raises(OptionError, match=r"tiny: was not calibrated for the operating point triage"):
        Detector.from_pretrained(folder, faces=False, operating_point="triage")
