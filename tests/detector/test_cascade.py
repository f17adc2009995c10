"""A cascade: each result is the fast model's where it is sure, else the thorough one's; in order, in little memory."""

import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tiny import picture, tiny_folder, tiny_model

from fakeface.detector.cascade import FAST_WAS_SURE, MOST_WAITING, Bounds, judge_in_turn
from fakeface.detector.detector import Detector
from fakeface.detector.preparation import Case
from fakeface.faces import Face, FaceFinder
from fakeface.image_processing_fakeface import FakeFaceImageProcessor
from fakeface.images.load import Opened
from fakeface.model_folder.fingerprint import fingerprint
from fakeface.results import FaceResult, Result
from fakeface.utils.errors import OptionError

LINES = {"threshold_real": 0.4, "threshold_generated": 0.6, "target_fpr": 0.01}
PICTURES = [picture(160, 128, seed) for seed in range(40)]
BOX, OTHER = (60.0, 20.0, 100.0, 60.0), (10.0, 10.0, 45.0, 45.0)


class Finder(FaceFinder):
    """Finds the same faces in every picture, counts how often it is asked, and levels by moving a landmark."""

    def __init__(self, *boxes: tuple[float, float, float, float]):
        self.boxes, self.asked = boxes, 0

    def __call__(self, picture: Image.Image) -> list[Face]:
        self.asked += 1
        places = np.array([(9, 12), (27, 12), (18, 20), (12, 28), (24, 28)])
        return [Face(box, 0.9, tuple(map(tuple, (places + box[:2]).tolist()))) for box in self.boxes]

    def level(self, picture: Image.Image, face: Face) -> Face:
        return replace(face, landmarks=((face.landmarks[0][0], face.landmarks[0][1] + 2), *face.landmarks[1:]))


def pair(finder: FaceFinder | None, **settings: Any) -> tuple[Detector, Detector]:
    """A fast and a thorough tiny detector that cut faces differently."""
    processor = FakeFaceImageProcessor(size=32)
    fast = Detector(tiny_model("cnn", **LINES), processor, name="fast", finder=finder, **settings)
    own = {"face_cut": "landmarks", "face_margin": 0.8}
    return fast, Detector(tiny_model("logistic", **LINES, **own), processor, name="own", finder=finder, **settings)


def cascade(fast: Detector, own: Detector, bounds: Bounds, **settings: Any) -> Detector:
    finder = own.preparer.finder
    return Detector(own.model, own.processor, name="own", finder=finder, first=fast, bounds=bounds, **settings)


def sure(result: Result) -> Result:
    return replace(result, reasons=(*result.reasons, FAST_WAS_SURE))


@pytest.mark.parametrize("boxes", [None, (BOX,), (BOX, OTHER), ()])
def test_each_result_is_that_of_one_model_and_the_order_stays(boxes: tuple[tuple[float, ...], ...] | None):
    finder = None if boxes is None else Finder(*boxes)  # pyright: ignore[reportArgumentType]
    fast, own = pair(finder)
    bounds = Bounds(0.3, 0.7)
    firsts, owns = fast(PICTURES), own(PICTURES)
    expected = [
        (sure(one) if one.score is not None else one) if bounds.decide(one, len(boxes or (BOX,))) else other
        for one, other in zip(firsts, owns, strict=True)
    ]
    found = cascade(fast, own, bounds)(PICTURES, batch_size=4)
    for one, other in zip(found, expected, strict=True):
        assert replace(one, score=None, faces=()) == replace(other, score=None, faces=())
        assert one.score == pytest.approx(other.score, abs=1e-5)
        assert [face.verdict for face in one.faces] == [face.verdict for face in other.faces]
    decided = sum(FAST_WAS_SURE in one.reasons for one in found)
    assert (0 < decided < len(PICTURES)) if boxes != () else decided == 0


def test_faces_are_found_once_and_cut_for_each_model():
    finder = Finder(BOX)
    fast, own = pair(finder)
    case, inputs = cascade(fast, own, Bounds(0.3, 0.7)).preparer.open("one", PICTURES[0])
    arrays = list(inputs)
    assert finder.asked == 1
    then = vars(case)["then"]
    for mine, alone in ((arrays, fast), (then[1], own)):
        expected = list(alone.preparer.open("one", PICTURES[0])[1])
        assert len(mine) == len(expected) == 1
        np.testing.assert_array_equal(mine[0], expected[0])


def test_refused_pictures_and_single_ones_go_through(tmp_path: Path):
    fast, own = pair(None)
    both = cascade(fast, own, Bounds(0.3, 0.7))
    (tmp_path / "text.jpg").write_text("no picture")
    results = both([PICTURES[0], tmp_path / "text.jpg", PICTURES[1]])
    assert [result.error is None for result in results] == [True, False, True]
    assert both(PICTURES[0]).score == pytest.approx(results[0].score, abs=1e-5)
    assert both.explain(PICTURES[0]).result.score == pytest.approx(own(PICTURES[0]).score, abs=1e-5)
    assert pickle.loads(pickle.dumps(both.preparer)) == both.preparer


def test_crops_and_re_encodings_are_those_of_both_models():
    settings = {"crops": 2, "consistency": 1}
    fast, own = pair(Finder(BOX), **settings)
    nothing = cascade(fast, own, Bounds(0.0, 2.0), **settings)
    scores = [result.score for result in nothing(PICTURES[:5])]
    assert scores == pytest.approx([result.score for result in own(PICTURES[:5])], abs=1e-5)


# ---- animations


def moving(*seeds: int) -> Opened:
    """An animation of so many frames."""
    return Opened(tuple(PICTURES[seed] for seed in seeds), ("an animation",))


@pytest.mark.parametrize("boxes", [None, (BOX,), (BOX, OTHER), ()])
def test_an_animation_is_judged_by_one_model_in_all_its_frames(boxes: tuple[tuple[float, ...], ...] | None):
    finder = None if boxes is None else Finder(*boxes)  # pyright: ignore[reportArgumentType]
    fast, own = pair(finder)
    both, bounds = cascade(fast, own, Bounds(0.45, 0.55)), Bounds(0.45, 0.55)
    animations = [moving(seed, seed + 1, seed + 2) for seed in range(0, 36, 3)]
    subjects = 3 * len(boxes if boxes is not None else (BOX,))
    firsts, owns = fast(animations), own(animations)
    stands = [bounds.decide(one, subjects) for one in firsts]
    for one, first, second, kept in zip(both(animations, batch_size=4), firsts, owns, stands, strict=True):
        expected = first if kept else second
        assert one.score == pytest.approx(expected.score, abs=1e-5)
        assert one.verdict == expected.verdict
        assert one.reasons[0] == "an animation"
        assert (FAST_WAS_SURE in one.reasons) is (kept and one.score is not None)


def test_in_frames_too_a_high_score_is_likelier_by_chance():
    fast, own = pair(None)
    first = fast.config
    first.threshold_real, first.threshold_generated = 0.0, 0.01
    both = cascade(fast, own, Bounds(0.0, 0.01))
    still, animation = both([PICTURES[0], moving(0, 1)])
    assert FAST_WAS_SURE in still.reasons
    assert FAST_WAS_SURE not in animation.reasons
    assert animation.score == pytest.approx(own(moving(0, 1)).score, abs=1e-5)


def test_faces_of_each_frame_are_found_once():
    finder = Finder(BOX)
    fast, own = pair(finder)
    case, inputs = cascade(fast, own, Bounds(0.3, 0.7)).preparer.open("one", moving(0, 1, 2))
    assert finder.asked == case.subjects == len(list(inputs)) == len(vars(case)["then"][1]) == 3


def test_an_animation_is_explained_by_the_thorough_model():
    fast, own = pair(Finder(BOX))
    found = cascade(fast, own, Bounds(0.5, 0.5)).explain(moving(0, 1, 2))
    alone = own.explain(moving(0, 1, 2))
    assert found.result.score == pytest.approx(alone.result.score, abs=1e-5)
    assert FAST_WAS_SURE not in found.result.reasons
    np.testing.assert_array_equal(np.asarray(found.picture), np.asarray(alone.picture))
    np.testing.assert_allclose(found.map, alone.map, atol=1e-5)


# ---- what the fast model may decide


def judged(score: float, verdict: str, faces: int = 1) -> Result:
    return Result("a", score, verdict, faces=(FaceResult((0, 0, 1, 1), score, verdict),) * faces)


@pytest.mark.parametrize(
    ("result", "stands"),
    [
        (judged(0.10, "real"), True),
        (judged(0.11, "real"), False),
        (judged(0.10, "uncertain"), False),  # too small, or re-encodings disagree
        (judged(0.95, "generated"), True),
        (judged(0.94, "generated"), False),
        (judged(0.99, "uncertain"), False),
        (judged(0.10, "real", faces=9), True),
        (judged(0.99, "generated", faces=2), False),  # only the thorough model knows how likely that is by chance
        (judged(0.99, "generated", faces=0), True),  # its centre
        (Result("a", None, "no face"), True),
        (Result("a", None, None, error="a: broken"), True),
    ],
)
def test_what_stands(result: Result, stands: bool):
    assert Bounds(0.10, 0.95).decide(result, max(1, len(result.faces))) is stands


def test_bounds_that_cross_are_refused():
    with pytest.raises(OptionError, match=r"bounds of a cascade are 0.9 and 0.1: they are two scores from 0 to 1"):
        Bounds(0.9, 0.1)


def test_no_more_than_so_many_pictures_wait_for_the_thorough_model():
    taken = 0

    def cases() -> Iterator[tuple[Case, Iterator[np.ndarray]]]:
        nonlocal taken
        while taken < 200:
            taken += 1
            yield both.preparer.open("a", PICTURES[0])

    fast, own = pair(None)
    both = cascade(fast, own, Bounds(0.3, 0.7))
    asked: list[int] = []

    def second(cases: Any, batch_size: int) -> Iterator[Result]:
        asked.append(len(cases))
        return own.judge(cases, batch_size)

    class First(Bounds):
        """Undecided about the first picture, sure of all others."""

        def decide(self, result: Result, subjects: int) -> bool:
            return taken > 1

    results = judge_in_turn(fast.judge, second, First(0.3, 0.7), cases(), 1)
    next(results)
    assert taken <= MOST_WAITING + 2
    assert len([*results]) == 199
    assert sum(asked) == 1


# ---- how one is opened


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A fast and a thorough folder as they are shipped; the thorough one has bounds for the fast one."""
    monkeypatch.delenv("FAKEFACE_MODEL", raising=False)
    monkeypatch.setattr("fakeface.utils.shipped.PACKAGE", tmp_path / "fakeface")
    fast = tiny_folder(tmp_path / "checkpoints" / "fakeface-resnet50-cnn", "cnn", **LINES)
    stored = {
        "first": fingerprint(str(fast), tiny_model("cnn", **LINES).config),
        "real_up_to": 0.25,
        "generated_from": 0.75,
    }
    points = {"strict": {"fpr": 0.001, "threshold_generated": 0.9}}
    own = tiny_folder(
        tmp_path / "checkpoints" / "fakeface-vit-b16-cnn", "logistic", cascade=stored, operating_points=points, **LINES
    )
    return fast, own


def test_the_shipped_pair_is_opened_with_its_bounds(folders: tuple[Path, Path]):
    both = Detector.from_pretrained(cascade=True, faces=False, crops=2)
    assert both.first is not None
    assert (both.first.name, both.name) == tuple(map(str, folders))
    assert both.bounds == Bounds(0.25, 0.75)
    assert both.first.preparer.crops == both.preparer.crops == 2
    given = Detector.from_pretrained(cascade=folders[0], bounds=(0.1, 0.9), faces=False)
    assert given.bounds == Bounds(0.1, 0.9)


def test_at_another_point_the_fast_model_calls_nothing_generated(folders: tuple[Path, Path]):
    strict = Detector.from_pretrained(cascade=True, faces=False, operating_point="strict")
    assert strict.bounds.real_up_to == 0.25
    assert not strict.bounds.decide(judged(1.0, "generated"), 1)
    assert strict.config.threshold_generated == 0.9


def test_a_cascade_that_cannot_be_is_refused_with_the_cure(folders: tuple[Path, Path]):
    fast, own = folders
    with pytest.raises(OptionError, match=r"cnn: has no bounds for a cascade; fit them with `fakeface calibrate MODEL"):
        Detector.from_pretrained(fast, cascade=True, faces=False)
    other = tiny_folder(fast.parent / "other", "cnn", temperature=2.0, **LINES)
    with pytest.raises(OptionError, match=r"bounds for a cascade were fitted to another fast model; fit them"):
        Detector.from_pretrained(own, cascade=other, faces=False)
    with pytest.raises(OptionError, match="fast takes one model, and a cascade takes two"):
        Detector.from_pretrained(fast=True, cascade=True)
    with pytest.raises(OptionError, match="bounds are those of a cascade"):
        Detector.from_pretrained(own, bounds=(0.1, 0.9))
