"""Faces levelled by their landmarks: against the formula written out, on faces that lie in any direction."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from fakeface.faces import Face, Jitter, Square, align_face, aligned_square, surroundings

# Of an upright face one unit wide about (0, 0): right eye, left eye, nose, right and left corner of the mouth.
UPRIGHT = np.array([[-0.3, -0.2], [0.3, -0.2], [0.0, 0.1], [-0.25, 0.4], [0.25, 0.4]])


def face(centre: tuple[float, float], side: float, degrees: float = 0.0, scatter: float = 0.0) -> Face:
    """A face that is turned clockwise."""
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = side * UPRIGHT @ turn.T + centre + np.random.default_rng(0).normal(0, scatter, (5, 2))
    low, high = points.min(axis=0), points.max(axis=0)
    return Face((*low.tolist(), *high.tolist()), 1.0, tuple(map(tuple, points.tolist())))


def reference(picture: Image.Image, face: Face, size: int, margin: float, jitter: Jitter) -> np.ndarray:
    """The whole picture shrunk and then drawn, by the formulas of FFHQ's script, step by step."""
    points = np.array(face.landmarks)
    eye, mouth = (points[0] + points[1]) / 2, (points[3] + points[4]) / 2
    eye_to_eye, eye_to_mouth = points[1] - points[0], mouth - eye
    x = eye_to_eye - np.flipud(eye_to_mouth) * [-1, 1]
    x *= max(np.hypot(*eye_to_eye) * 2.0, np.hypot(*eye_to_mouth) * 1.8) / np.hypot(*x) * margin * jitter.scale
    angle = np.deg2rad(jitter.rotation)
    x = np.array([x[0] * np.cos(angle) - x[1] * np.sin(angle), x[0] * np.sin(angle) + x[1] * np.cos(angle)])
    y = np.flipud(x) * [-1, 1]
    centre = eye + eye_to_mouth * 0.1 + 2 * jitter.shift[0] * x + 2 * jitter.shift[1] * y
    shrink = min(1.0, size / (2 * np.hypot(*x)))
    shown = picture
    if shrink < 1:
        target = (max(1, round(picture.width * shrink)), max(1, round(picture.height * shrink)))
        shown = picture.resize(target, Image.Resampling.LANCZOS)
    scale = np.divide(shown.size, picture.size)
    corners = [(centre + a * x + b * y) * scale - 0.5 for a, b in ((-1, -1), (1, -1), (-1, 1))]
    drawn = [(-0.5, -0.5), (size - 0.5, -0.5), (-0.5, size - 0.5)]
    matrix = cv2.getAffineTransform(np.array(corners, np.float32), np.array(drawn, np.float32))
    image = cv2.warpAffine(
        np.asarray(shown), matrix, (size, size), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
    )
    return image[:, ::-1] if jitter.mirror else image


@pytest.fixture(scope="module")
def portrait(repo: Path) -> Image.Image:
    return Image.open(repo / "space" / "examples" / "portrait.jpg").convert("RGB")


def difference(one: np.ndarray | Image.Image, other: np.ndarray | Image.Image) -> np.ndarray:
    return np.abs(np.asarray(one).astype(int) - np.asarray(other).astype(int))


@pytest.mark.parametrize("degrees", [0, 13, -30, 45, 90, 180, 250])
@pytest.mark.parametrize("side", [20.0, 90.0, 260.0])
@pytest.mark.parametrize("centre", [(256.0, 200.0), (500.0, 40.0), (-30.0, 530.0)])
def test_a_face_is_drawn_as_the_formula_says(
    portrait: Image.Image, side: float, degrees: float, centre: tuple[float, float]
):
    tilted = face(centre, side, degrees, scatter=side / 50)
    for jitter in (Jitter(), Jitter(1.07, 4.0, (0.02, -0.03), mirror=True)):
        cut = align_face(portrait, tilted, 160, 0.8, jitter)
        apart = difference(cut, reference(portrait, tilted, 160, 0.8, jitter))
        # OpenCV rounds places to 1/32 pixel: a matrix that differs in its last digits may round another way.
        assert cut.size == (160, 160)
        assert np.percentile(apart, 99) <= 1
        assert apart.mean() < 0.3


def test_a_small_part_of_a_large_picture_is_shrunk_alone_to_the_same_pixels():
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    large = Image.fromarray(noise).resize((4000, 3000), Image.Resampling.BICUBIC)
    found = face((1204.3, 2881.7), 500.0, 20)
    read: list[Any] = []

    class Watched(Image.Image):
        def resize(self, size, resample=None, box=None, reducing_gap=None):
            read.append(size)
            return super().resize(size, resample, box, reducing_gap)

    watched = large.copy()
    watched.__class__ = Watched
    apart = difference(align_face(watched, found, 224, 0.8), reference(large, found, 224, 0.8, Jitter()))
    assert apart.max() <= 1
    assert len(read) == 1
    assert max(read[0]) < 400  # of the 559 x 419 pixels of the whole picture, shrunk as far


def test_an_upright_square_in_the_picture_is_its_pixels():
    rows, columns = np.mgrid[:200, :200].astype(np.uint8)
    numbered = Image.fromarray(np.stack([columns, rows, np.zeros_like(rows)], axis=2))
    square = aligned_square(face((100.0, 90.0), 40.0))
    assert square.side == pytest.approx(4 * 0.6 * 40)
    assert square.centre == pytest.approx((100, 82 + 2.4))
    cut = np.asarray(align_face(numbered, face((100.0, 90.0), 40.0), 96))
    left, top = (round(middle - 48) for middle in (100, 84.4))
    assert cut[0, 0, 0] == left
    assert cut[0, 0, 1] == pytest.approx(top, abs=1)
    assert cut[50, 95, 0] == left + 95
    mirrored = np.asarray(align_face(numbered, face((100.0, 90.0), 40.0), 96, jitter=Jitter(mirror=True)))
    assert np.array_equal(mirrored, cut[:, ::-1])


def test_outside_the_picture_stands_its_mirror_image():
    rows, columns = np.mgrid[:100, :100].astype(np.uint8)
    numbered = Image.fromarray(np.stack([columns, rows, np.zeros_like(rows)], axis=2))
    cut = np.asarray(align_face(numbered, face((20.0, 50.0), 40.0), 96))
    edge = int(np.argmin(cut[40, :, 0]))
    assert cut[40, edge - 15, 0] == pytest.approx(15, abs=1)
    assert cut[40, edge + 15, 0] == pytest.approx(15, abs=1)


def test_jitter_moves_turns_and_scales_the_square():
    exact = aligned_square(face((100.0, 100.0), 40.0, 25))
    moved = aligned_square(face((100.0, 100.0), 40.0, 25), jitter=Jitter(1.5, 10.0, (0.1, 0.0)))
    assert moved.side == pytest.approx(1.5 * exact.side)
    angle = [np.degrees(np.arctan2(square.half[1], square.half[0])) for square in (exact, moved)]
    assert angle == pytest.approx([25, 35])
    assert np.hypot(*np.subtract(moved.centre, exact.centre)) == pytest.approx(0.1 * moved.side)


def test_corners_go_round_the_upright_square():
    corners = Square((10.0, 20.0), (0.0, 5.0)).corners  # a quarter turned clockwise
    assert corners == ((15, 15), (15, 25), (5, 25), (5, 15))


@pytest.mark.parametrize("points", [[(50.0, 50.0)] * 5, [(900.0, 900.0)] * 5])
def test_landmarks_in_one_point_make_a_square_all_the_same(points: list[tuple[float, float]]):
    square = align_face(Image.new("RGB", (100, 80), "red"), Face((0, 0, 1, 1), 1.0, tuple(points)), 32, 0.8)
    assert np.asarray(square).reshape(-1, 3).tolist() == [[255, 0, 0]] * 32**2


def test_surroundings_give_nearly_the_same_cut(portrait: Image.Image):
    tilted = face((480.0, 300.0), 150.0, -20)
    part, seen = surroundings(portrait, tilted, 0.8)
    assert max(part.size) < 512
    assert difference(align_face(part, seen, 160, 0.8), align_face(portrait, tilted, 160, 0.8)).mean() < 1
    small, smaller = surroundings(portrait, tilted, 0.8, largest=100)
    assert max(small.size) == 100
    assert aligned_square(smaller).side < aligned_square(tilted).side / 2
    assert difference(align_face(small, smaller, 40, 0.8), align_face(portrait, tilted, 40, 0.8)).mean() < 4
