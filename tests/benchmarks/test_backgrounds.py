"""benchmarks/backgrounds.py: the oval, what is put behind it, who is paired with whom, and a model that peeks."""

import re

import numpy as np
import pytest
from backgrounds import (
    CHANGES,
    auc_change,
    background_table,
    changed,
    face_mask,
    on_background,
    on_blurred,
    partners,
)
from PIL import Image
from planted import planted
from tiny import tiny_folder

from fakeface import Detector
from fakeface.faces import Face, aligned_square
from fakeface.metrics.detection import rank_auc


def face_at(x: float, y: float, scale: float = 1.0) -> Face:
    """An upright face whose eyes are 40 pixels apart, its point between the eyes at (x, y)."""
    places = ((-20, 0), (20, 0), (0, 22), (-16, 44), (16, 44))
    landmarks = tuple((x + scale * dx, y + scale * dy) for dx, dy in places)
    return Face((x - 40 * scale, y - 40 * scale, x + 40 * scale, y + 80 * scale), 0.9, landmarks)


def grey(value: int, size: tuple[int, int] = (200, 220)) -> Image.Image:
    return Image.new("RGB", size, (value, value, value))


def test_the_oval_covers_the_landmarks_and_not_the_corners():
    face = face_at(100, 90)
    mask = np.asarray(face_mask((200, 220), face))
    assert mask.shape == (220, 200)
    assert all(mask[round(y), round(x)] == 255 for x, y in face.landmarks)
    assert mask[5, 5] == mask[215, 195] == 0
    assert 0 < np.mean((mask > 0) & (mask < 255)) < 0.2  # the soft border
    side = aligned_square(face).side
    assert np.mean(mask) / 255 * 200 * 220 == pytest.approx(np.pi * 0.28 * 0.38 * side**2, rel=0.05)


def test_the_oval_turns_with_the_face():
    upright, picture = face_at(100, 110), (220, 220)
    turned = Face(upright.box, 0.9, tuple((220 - y, x) for x, y in upright.landmarks))  # a quarter turn
    masks = [np.asarray(face_mask(picture, face), int) for face in (upright, turned)]
    assert np.abs(np.rot90(masks[0], -1) - masks[1]).max() <= 40  # half a pixel of the border


def test_the_face_stays_and_all_else_is_blurred():
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (220, 200, 3), np.uint8))
    face = face_at(100, 90)
    blurred, mask = np.asarray(on_blurred(noise, face), int), np.asarray(face_mask((200, 220), face))
    assert np.array_equal(blurred[mask == 255], np.asarray(noise)[mask == 255])
    assert blurred[mask == 0].std() < 20 < 70 < np.asarray(noise)[mask == 0].std()


def test_the_other_face_lies_beneath_the_one_that_is_kept():
    face, others_face = face_at(100, 90), face_at(60, 50, 0.5)
    other = np.zeros((150, 160, 3), np.uint8)
    other[..., 0] = np.asarray(face_mask((160, 150), others_face))  # red where the other one's face is
    found = np.asarray(on_background(grey(0), face, Image.fromarray(other), others_face), int)
    mask = np.asarray(face_mask((200, 220), face), int)
    assert found.shape == (220, 200, 3)
    assert found[mask == 255].max() == 0  # the kept face is black all over
    assert found[mask == 0].max() <= 25  # and nothing of the other's looks out from behind it
    assert on_background(grey(0), face, grey(200), others_face).getpixel((2, 2)) == (200, 200, 200)


def test_partners_are_others_of_the_same_label_and_any_of_the_other():
    labels = np.array([0] * 7 + [1] * 3)
    same, other = partners(labels, np.random.default_rng(0))
    assert (labels[same] == labels).all()
    assert (labels[other] != labels).all()
    assert (same != np.arange(10)).all()
    assert sorted(same) == list(range(10))
    assert np.bincount(other, minlength=10)[7:].min() == 2


def test_a_model_that_looks_at_the_background_alone_turns_round():
    labels = np.array([0, 1] * 20)
    rng = np.random.default_rng(1)
    # Background and face of generated pictures are brighter.
    faces = [face_at(100, 90)] * 40
    pictures = [
        (grey(int(100 + 60 * label + rng.integers(-20, 20))), face) for label, face in zip(labels, faces, strict=True)
    ]
    versions = list(changed(pictures, labels))
    corner = np.array([[version.getpixel((3, 3))[0] for version, _ in row] for row in versions], float)  # pyright: ignore
    middle = np.array([[version.getpixel((100, 100))[0] for version, _ in row] for row in versions], float)  # pyright: ignore
    by_corner, by_middle = ([rank_auc(labels, scores[:, i]) for i in range(4)] for scores in (corner, middle))
    assert by_corner[:3] == [1, 1, 1]
    assert by_corner[3] == 0
    assert by_middle == [1, 1, 1, 1]
    assert auc_change(labels, corner[:, 0], corner[:, 3]) == (-1, -1, -1)
    assert auc_change(labels, middle[:, 0], middle[:, 2]) == (0, 0, 0)
    noisy = corner[:, 0] + rng.normal(0, 60, 40)
    change, low, high = auc_change(labels, corner[:, 0], noisy)
    assert low < change < high < 0


@pytest.mark.parametrize("face_cut", ["box", "landmarks"])
def test_a_real_model_judges_every_version(tmp_path, face_cut):
    detector = Detector.from_pretrained(tiny_folder(tmp_path, face_cut=face_cut), faces=False)
    rows = planted(12, side=lambda label, rng: 64)
    labels = np.array(rows["label"])

    def finder(picture):
        return [face_at(32, 25, 0.3)] if picture.size == (64, 64) else []

    text = background_table(detector, finder, rows, labels)  # pyright: ignore[reportArgumentType]
    head, _, *lines = text.splitlines()
    assert head == "| 12 faces | AUC | against the pictures as they are |"
    assert [line.split(" | ")[0].strip("| ") for line in lines] == list(CHANGES)
    assert re.fullmatch(r"\| .* \| [01]\.\d{3} \(.*\) \| [+-]0\.\d{3} \([+-].* to [+-].*\) \|", lines[-1])
