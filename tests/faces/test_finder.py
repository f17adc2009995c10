"""Face crops by the box to the pixel, and what is found in pictures made of the development data's faces."""

import io
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fakeface.app.samples import EXAMPLES
from fakeface.faces import (
    FILE,
    Face,
    FaceFinder,
    FaceFinderError,
    align_face,
    aligned_square,
    cut_face,
    face_square,
    set_upright,
)
from fakeface.faces.finder import _part_around

LANDMARKS = ((30.0, 40.0), (50.0, 40.0), (40.0, 50.0), (32.0, 60.0), (48.0, 60.0))


def face(box: tuple[float, float, float, float] = (20, 20, 60, 80)) -> Face:
    return Face(box, 0.9, LANDMARKS)


def numbered(width: int, height: int) -> Image.Image:
    """Every pixel tells its column in red and its row in green."""
    rows, columns = np.mgrid[:height, :width].astype(np.uint8)
    return Image.fromarray(np.stack([columns, rows, np.zeros_like(rows)], axis=2))


def test_the_square_is_the_margin_times_the_longer_side_about_the_centre():
    assert face_square(face()) == (-2, 8, 82, 92)
    assert face_square(face(), margin=2.0) == (-20, -10, 100, 110)
    assert face_square(face(), margin=1.0) == (10, 20, 70, 80)


def test_a_crop_inside_the_picture_is_its_pixels():
    crop = np.asarray(cut_face(numbered(100, 90), (10.4, 20.4, 40.4, 50.4)))
    assert crop.shape == (30, 30, 3)
    assert crop[0, 0].tolist() == [10, 20, 0]
    assert crop[-1, -1].tolist() == [39, 49, 0]


def test_a_crop_across_the_edge_repeats_it_and_stretches_nothing():
    crop = np.asarray(cut_face(numbered(100, 90), (-10, 60, 30, 100)))
    assert crop.shape == (40, 40, 3)
    assert crop[0, :12, 0].tolist() == [*[0] * 10, 0, 1]
    assert crop[:, 20, 1].tolist() == [*range(60, 90), *[89] * 10]


def test_a_large_crop_is_shrunk_with_its_padding_in_proportion():
    crop = np.asarray(cut_face(numbered(200, 200), (-100, -100, 300, 300), largest=40))
    assert crop.shape == (40, 40, 3)
    assert (crop[:10, :, 1] == crop[10, 0, 1]).all()
    assert crop[20, 20].tolist() == pytest.approx([102, 102, 0], abs=3)


@pytest.mark.parametrize("box", [(199.0, 199.0, 999.0, 999.0), (-799.0, -799.0, 1.0, 1.0)])
def test_a_crop_that_hardly_touches_the_picture_still_has_its_size(box: tuple[float, float, float, float]):
    assert cut_face(numbered(200, 200), box, largest=40).size == (40, 40)


def test_a_square_outside_the_picture_is_refused():
    with pytest.raises(ValueError, match="lies outside the picture of 100 x 90 pixels"):
        cut_face(numbered(100, 90), (100, 0, 120, 20))


def test_small_faces_in_a_small_picture_are_found(find: FaceFinder, portraits: list[Image.Image]):
    """At their own size one in six is seen; enlarged, all of them."""
    for portrait in portraits:
        scene = Image.new("RGB", (200, 200), "grey")
        scene.paste(portrait.resize((16, 16)), (120, 40))
        (found,) = find(scene)
        assert centre(found) == pytest.approx((128, 48), abs=4)


@pytest.mark.parametrize("turn", [Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270])
def test_a_turned_face_is_set_upright(turn: Image.Transpose):
    # Given a face that lies in the picture as after that turn; points turn about (40, 40)
    quarter = {Image.Transpose.ROTATE_90: 1, Image.Transpose.ROTATE_180: 2, Image.Transpose.ROTATE_270: 3}[turn]
    points = [(x - 40, y - 40) for x, y in LANDMARKS]
    for _ in range(quarter):
        points = [(y, -x) for x, y in points]
    turned = Face((0, 0, 80, 80), 0.9, tuple((x + 40, y + 40) for x, y in points))
    upright = numbered(80, 80)
    assert set_upright(upright.transpose(turn), turned).tobytes() == upright.tobytes()


def test_an_upright_face_is_left_alone():
    assert face().turns == 0


def test_a_missing_file_is_named_with_the_cure(tmp_path: Path):
    with pytest.raises(FaceFinderError, match=r"none\.onnx: cannot be read .*; name no file"):
        FaceFinder.from_pretrained(tmp_path / "none.onnx")


def test_another_file_is_refused_before_opencv_sees_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / FILE).write_bytes(b"not the model")
    monkeypatch.setenv("FAKEFACE_FACE_MODEL", str(tmp_path / FILE))
    with pytest.raises(FaceFinderError, match="its sha256 differs"):
        FaceFinder.from_pretrained()


def test_an_install_without_its_face_model_says_to_install_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("fakeface.faces.finder.SHIPPED", tmp_path / FILE)
    with pytest.raises(FaceFinderError, match=r"cannot be read .*; install fakeface again"):
        FaceFinder.from_pretrained()


def test_the_given_file_goes_before_the_named_one_and_that_before_the_packages_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("FAKEFACE_FACE_MODEL", str(tmp_path / "named.onnx"))
    with pytest.raises(FaceFinderError, match=r"given\.onnx"):
        FaceFinder.from_pretrained(tmp_path / "given.onnx")
    with pytest.raises(FaceFinderError, match=r"named\.onnx"):
        FaceFinder.from_pretrained()
    monkeypatch.delenv("FAKEFACE_FACE_MODEL")
    (found,) = FaceFinder.from_pretrained()(Image.open(EXAMPLES / "portrait.jpg"))
    assert centre(found) == pytest.approx((223, 120), abs=3)


@pytest.fixture(scope="module")
def find() -> FaceFinder:
    return FaceFinder.from_pretrained()


@pytest.fixture(scope="module")
def portraits(shared: Path) -> list[Image.Image]:
    """Six faces of 280 px pictures, upright."""
    rows = pq.read_table(shared / "faces" / "pool-00000-of-00008.parquet", columns=["image", "source"]).to_pylist()
    data = [row["image"]["bytes"] for row in rows if row["source"] == "generated-photos"][:6]
    return [Image.open(io.BytesIO(each)).convert("RGB") for each in data]


def centre(found: Face) -> tuple[float, float]:
    left, top, right, bottom = found.box
    return (left + right) / 2, (top + bottom) / 2


@pytest.mark.parametrize("side", [60, 280, 4000])
def test_faces_of_30_to_2000_pixels_are_found(side: int, find: FaceFinder, portraits: list[Image.Image]):
    (found,) = find(portraits[0].resize((side, side)))
    assert centre(found) == pytest.approx((side / 2, side / 2), abs=side / 8)
    assert found.confidence > 0.8


@pytest.mark.parametrize("turn", [Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270])
def test_a_face_in_a_turned_scene_is_found_where_it_is(
    turn: Image.Transpose, find: FaceFinder, portraits: list[Image.Image]
):
    scene = Image.new("RGB", (900, 600), "grey")
    scene.paste(portraits[0], (600, 100))
    (found,) = find(scene.transpose(turn))
    assert (
        found.turns
        == {Image.Transpose.ROTATE_90: 3, Image.Transpose.ROTATE_180: 2, Image.Transpose.ROTATE_270: 1}[turn]
    )
    expected = {
        Image.Transpose.ROTATE_90: (240, 160),
        Image.Transpose.ROTATE_180: (160, 360),
        Image.Transpose.ROTATE_270: (360, 740),
    }[turn]
    assert centre(found) == pytest.approx(expected, abs=35)


def test_a_group_is_found_whole_and_each_face_once_the_largest_first(find: FaceFinder, portraits: list[Image.Image]):
    scene = Image.new("RGB", (1800, 400), "grey")
    for place, portrait in enumerate(portraits):
        side = 280 - 40 * place
        scene.paste(portrait.resize((side, side)), (300 * place, 60))
    found = find(scene)
    assert [round(centre(each)[0]) // 300 for each in found] == [0, 1, 2, 3, 4, 5]


def test_noise_has_no_face(find: FaceFinder):
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    assert find(Image.fromarray(noise).resize((600, 400))) == []


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (3000, 2)])
def test_an_odd_size_has_no_face_and_breaks_nothing(size: tuple[int, int], find: FaceFinder):
    assert find(Image.new("RGB", size)) == []


@pytest.mark.parametrize("size", [(1, 500), (3000, 2)])
def test_views_too_flat_for_a_face_are_not_looked_at(size: tuple[int, int], find: FaceFinder, monkeypatch):
    """OpenCV 4.13 found faces at random there, now and then."""
    monkeypatch.setattr(FaceFinder, "_detector", lambda self: pytest.fail("it was looked at"))
    assert find(Image.new("RGB", size)) == []


def test_threads_share_a_finder_and_processes_get_a_copy(find: FaceFinder, portraits: list[Image.Image]):
    alone = [find(portrait) for portrait in portraits]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(find, portraits * 2)) == alone * 2
    assert pickle.loads(pickle.dumps(find))(portraits[0]) == alone[0]


@pytest.fixture(scope="module")
def portrait(repo: Path) -> Image.Image:
    return Image.open(repo / "space" / "examples" / "portrait.jpg").convert("RGB")


def turned(picture: Image.Image, degrees: float) -> Image.Image:
    """Clockwise, with more picture around it."""
    return picture.rotate(-degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=(110, 110, 110))


@pytest.mark.parametrize("degrees", [-45, -30, 20, 30, 45])
def test_a_tilted_face_is_levelled(degrees: float, find: FaceFinder, portrait: Image.Image):
    """YuNet alone sees the one turned by 30 degrees at 6 or 7."""
    upright = aligned_square(find(portrait)[0])
    scene = turned(portrait, degrees)
    found = find(scene)[0]
    square = aligned_square(find.level(scene, found))
    assert square.tilt - upright.tilt == pytest.approx(degrees, abs=8)
    assert square.side == pytest.approx(upright.side, rel=0.2)
    angle = np.radians(degrees)
    x, y = np.subtract(upright.centre, 256)
    middle = (x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle))
    away = np.subtract(square.centre, np.add(middle, np.divide(scene.size, 2)))
    assert np.hypot(*away) < 0.06 * upright.side


@pytest.mark.parametrize("degrees", [0, 25, 90])
def test_a_large_picture_shows_the_face_where_the_small_one_does(
    degrees: float, find: FaceFinder, portrait: Image.Image
):
    """It is shrunk before it is looked at, and only the part around the face is looked at again."""
    small = Image.new("RGB", (1000, 900), "grey")
    small.paste(turned(portrait, degrees), (280, 180))
    large = small.resize((5000, 4500), Image.Resampling.BICUBIC)
    near, far = (find.level(picture, find(picture)[0]) for picture in (small, large))
    away = np.subtract(far.landmarks, np.multiply(near.landmarks, 5))
    assert np.abs(away).max() < 0.04 * far.side


def test_levelled_looks_take_the_part_around_the_face_twice_as_sharp_as_they_need():
    picture = numbered(4000, 3000)
    found = Face((1900, 1300, 2100, 1600), 0.9, ((1925, 1400), (2075, 1400), (2000, 1475), (1938, 1525), (2062, 1525)))
    part, times, start = _part_around(picture, found)
    assert (times, start) == (3, (1040, 452))  # the square is 960 pixels long, about (2000, 1412.5)
    assert part.size == (640, 640)
    assert _part_around(picture, found.moved((0.5, 0.5))) == (picture, 1, (0, 0))


def test_upside_down_faces_are_set_upright_and_upright_ones_left(find: FaceFinder, shared: Path):
    """YuNet sees one in six of them as upright ones, whose mouth is where the eyes are."""
    rows = pq.read_table(shared / "faces" / "modern-00000-of-00003.parquet", columns=["image"]).to_pylist()[:400:4]
    right = {0: 0, 180: 0}
    for row in rows:
        picture = Image.open(io.BytesIO(row["image"]["bytes"])).convert("RGB")
        for turn in right:
            turned = picture.transpose(Image.Transpose.ROTATE_180) if turn else picture
            tilt = aligned_square(find.level(turned, find(turned)[0])).tilt
            right[turn] += abs((tilt - turn + 180) % 360 - 180) < 60
    assert min(right.values()) >= 98  # of 100


@pytest.mark.parametrize("quarter", [90, 180, 270])
def test_a_quarter_turn_gives_the_same_cut(quarter: int, find: FaceFinder, portrait: Image.Image):
    scene = portrait.rotate(-quarter, expand=True)
    upright = np.asarray(align_face(portrait, find(portrait)[0], 64, 0.8), float)
    found = np.asarray(align_face(scene, find.level(scene, find(scene)[0]), 64, 0.8), float)
    assert np.corrcoef(upright.ravel(), found.ravel())[0, 1] > 0.99


def test_an_upright_face_that_is_seen_surely_is_not_looked_at_again(
    find: FaceFinder, portrait: Image.Image, monkeypatch: pytest.MonkeyPatch
):
    found = find(portrait)[0]
    monkeypatch.setattr(FaceFinder, "_detector", lambda self: pytest.fail("it was looked at"))
    assert find.level(portrait, found) is found
