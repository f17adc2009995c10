"""What the model is shown of a picture, made without torch."""

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from tiny import picture, tiny_model

from fakeface.delivery.channels import send
from fakeface.detector import preparation
from fakeface.detector.detector import Detector
from fakeface.detector.preparation import Preparer
from fakeface.faces import Face, FaceFinder, align_face, surroundings
from fakeface.image_processing_fakeface import FakeFaceImageProcessor


def inputs(preparer: Preparer, subject: Image.Image) -> list[np.ndarray]:
    return list(preparer.open("a", subject)[1])


@pytest.mark.parametrize("fraction", [1.0, 0.875, 0.7])
@pytest.mark.parametrize("size", [(96, 80), (33, 61), (32, 32), (280, 280)])
def test_the_model_gets_what_the_processor_makes_bit_for_bit(size: tuple[int, int], fraction: float):
    processor = FakeFaceImageProcessor(size=32, crop_fraction=fraction)
    subject = picture(*size) if size[0] > 33 else picture(64, 64).resize(size)
    detector = Detector(tiny_model(), processor)
    values = detector._pixel_values(inputs(detector.preparer, subject))
    assert values.numpy().tobytes() == processor.to_array(subject)[None].tobytes()


def test_crops_are_the_centre_its_mirror_image_then_corners():
    subject = picture(160, 80)
    crops = inputs(Preparer(32, 0.5, crops=10), subject)
    assert [crop.shape for crop in crops] == [(32, 32, 3)] * 10
    assert np.array_equal(crops[1], np.asarray(ImageOps.mirror(Image.fromarray(crops[0]))))
    boxes = [(60, 20, 100, 60), (40, 0, 80, 40), (80, 40, 120, 80), (80, 0, 120, 40), (40, 40, 80, 80)]
    for crop, box in zip(crops[::2], boxes, strict=True):
        assert np.array_equal(crop, np.asarray(subject.resize((32, 32), Image.Resampling.BICUBIC, box=box)))
    assert np.array_equal(inputs(Preparer(32, 0.5, crops=2), subject), crops[:2])


def test_corners_differ_from_a_centre_that_is_everything():
    crops = inputs(Preparer(32, 1.0, crops=9), picture(80, 80))
    assert len({crop.tobytes() for crop in crops}) == 9


def test_re_encodings_are_the_same_ones_for_every_picture_and_in_every_order():
    preparer = Preparer(32, consistency=3)
    alone = inputs(preparer, picture(80, 80))
    inputs(preparer, picture(80, 80, seed=1))
    assert np.array_equal(inputs(preparer, picture(80, 80)), alone)
    assert len({crop.tobytes() for crop in alone}) == 4
    sent = send(picture(80, 80), np.random.default_rng((preparation._SEED, 1)))
    assert np.array_equal(alone[2], inputs(Preparer(32), sent)[0])


def test_a_case_is_complete_with_all_its_views():
    case, arrays = Preparer(32, crops=2, consistency=1).open("a", picture())
    assert (len(list(arrays)), case.views, case.complete) == (4, 4, False)
    case.logits += [[0.0, 1.0]] * 4
    assert case.complete


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"crops": 0}, "crops is 0: it takes a number from 1 to 10"),
        ({"crops": 11}, "crops is 11: it takes a number from 1 to 10"),
        ({"consistency": -1}, "consistency is -1: it takes a number from 0 to 100"),
    ],
)
def test_numbers_out_of_range_are_refused(settings: dict[str, int], words: str):
    with pytest.raises(ValueError, match=words):
        Preparer(32, **settings)  # pyright: ignore[reportArgumentType]


def test_a_refused_picture_is_a_case_that_survives_the_way_between_processes():
    case, arrays = Preparer(32).try_open("cut.jpg", b"\xff\xd8\xff")
    case = pickle.loads(pickle.dumps(case))
    assert (case.error.reason, case.complete, list(arrays)) == ("truncated", True, [])


def test_workers_need_no_torch():
    code = "import sys, fakeface.detector.preparation; sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    environment = {"PYTHONPATH": str(Path(preparation.__file__).parents[2])}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0


class Finder(FaceFinder):
    """Finds one face, a little tilted; the real one is tested with its module."""

    FACE = Face((60, 20, 100, 62), 0.99, ((68.0, 38.0), (90.0, 34.0), (80.0, 46.0), (72.0, 54.0), (91.0, 51.0)))

    def __init__(self):
        pass

    def __call__(self, picture: Image.Image) -> list[Face]:
        return [self.FACE]

    def level(self, picture: Image.Image, face: Face) -> Face:
        return face


def levelled(fraction: float = 1.0, **settings: int) -> list[np.ndarray]:
    preparer = Preparer(32, fraction, 0.8, Finder(), face_cut="landmarks", **settings)
    return inputs(preparer, picture(160, 128))


def test_a_face_is_cut_by_its_landmarks_where_the_model_wants_it():
    scene, face = picture(160, 128), Finder.FACE
    (whole,) = levelled()
    assert np.array_equal(whole, np.asarray(align_face(scene, face, 32, 0.8)))
    (inner,) = levelled(0.875)
    assert np.array_equal(inner, np.asarray(align_face(scene, face, 32, 0.8 * 0.875)))


def test_crops_of_a_levelled_face_are_those_of_its_square():
    crops = levelled(crops=10)
    large = align_face(picture(160, 128), Finder.FACE, 320, 0.8)
    own = inputs(Preparer(32, crops=10), large)  # of the same square, drawn large
    for crop, expected in zip(crops, own, strict=True):
        assert np.abs(crop.astype(int) - expected).mean() < 2.5
    assert all(np.array_equal(one[:, ::-1], other) for one, other in zip(crops[::2], crops[1::2], strict=True))


def test_re_encodings_of_a_levelled_face_are_of_what_lies_around_it():
    scene, face = picture(160, 128), Finder.FACE
    first, *sent = levelled(consistency=2)
    assert np.array_equal(first, np.asarray(align_face(scene, face, 32, 0.8)))
    part, seen = surroundings(scene, face, 0.8, largest=280)
    delivered = send(part, np.random.default_rng((0x5EED, 1)))
    scale = (delivered.width / part.width, delivered.height / part.height)
    assert np.array_equal(sent[1], np.asarray(align_face(delivered, seen.moved(scale), 32, 0.8)))
    assert len(levelled(consistency=2, crops=3)) == 9
