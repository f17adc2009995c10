"""Faces of a dataset's rows: those that they bring along, and those found once and kept."""

import io
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, Features, Sequence, Value
from datasets import Image as Picture
from PIL import Image

from fakeface.data.faces import face_of_row, faceless, main_face, only_faces, with_faces
from fakeface.data.loading import DataError, open_dataset
from fakeface.faces import Face, FaceFinder

LANDMARKS = [10.0, 12.0, 20.0, 12.0, 15.0, 16.0, 11.0, 20.0, 19.0, 20.0]


class Bright(FaceFinder):
    """The face is where the picture is bright; counts how often it looked."""

    def __init__(self):
        self.looks = 0

    def __call__(self, picture: Image.Image) -> list[Face]:
        self.looks += 1
        rows, columns = np.nonzero(np.asarray(picture.convert("L")) > 128)
        if not len(rows):
            return []
        box = (float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1))
        return [Face(box, 0.99, tuple((box[0] + x, box[1] + y) for x, y in ((2, 2), (6, 2), (4, 4), (2, 6), (6, 6))))]


def encoded(place: int | None) -> dict[str, object]:
    pixels = np.zeros((48, 48, 3), np.uint8)
    if place is not None:
        pixels[place : place + 8, place : place + 8] = 255
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return {"bytes": buffer.getvalue(), "path": None}


def rows(places: list[int | None], **columns: list) -> Dataset:
    data = {
        "image": [encoded(place) for place in places],
        "label": [0] * len(places),
        "source": ["here"] * len(places),
        "sha256": [f"{number:064x}" for number in range(len(places))],
    }
    dataset = Dataset.from_dict({**data, **columns})
    return dataset.cast_column("image", Picture(decode=False))


def test_faces_are_found_once_and_kept(tmp_path: Path):
    kept, finder = tmp_path / "run" / "faces.parquet", Bright()
    dataset = with_faces(rows([4, None, 20]), kept=kept, finder=finder)
    assert dataset["face_box"][:] == [[4, 4, 8, 8], None, [20, 20, 8, 8]]
    assert dataset["face_landmarks"][2] == [22, 22, 26, 22, 24, 24, 22, 26, 26, 26]
    assert faceless(dataset) == [f"here {1:064x}"[:21]]
    assert only_faces(dataset)["sha256"][:] == [f"{0:064x}", f"{2:064x}"]
    assert only_faces(dataset.select([2, 1, 0]))["sha256"][:] == [f"{2:064x}", f"{0:064x}"]
    assert faceless(dataset.select([2, 0])) == []
    assert finder.looks == 3
    again = with_faces(rows([4, None, 20, 30]), kept=kept, finder=finder)
    assert again["face_box"][:] == [[4, 4, 8, 8], None, [20, 20, 8, 8], [30, 30, 8, 8]]
    assert finder.looks == 4
    assert pq.read_table(kept).num_rows == 4


def test_what_another_finder_found_does_not_count(tmp_path: Path):
    kept, finder = tmp_path / "faces.parquet", Bright()
    with_faces(rows([4]), kept=kept, finder=finder)
    pq.write_table(pq.read_table(kept).replace_schema_metadata({"finder": "another"}), kept)
    with_faces(rows([4]), kept=kept, finder=finder)
    kept.write_bytes(b"cut off")
    with_faces(rows([4]), kept=kept, finder=finder)
    assert finder.looks == 3


def test_rows_that_know_their_face_keep_it():
    finder = Bright()
    dataset = rows([4, 20], face_box=[[1.0, 2.0, 3.0, 4.0], None], face_landmarks=[LANDMARKS, None])
    found = with_faces(dataset, finder=finder)
    assert found["face_box"][:] == [[1, 2, 3, 4], [20, 20, 8, 8]]
    assert found["face_landmarks"][0] == LANDMARKS
    assert finder.looks == 1
    assert with_faces(found, finder=finder)["face_box"][:] == found["face_box"][:]
    assert finder.looks == 1


@pytest.mark.parametrize("landmarks", [[1.0] * 9, [float("nan")] * 10])
def test_broken_landmarks_are_refused(landmarks: list[float]):
    dataset = rows([4], face_box=[[1.0, 2.0, 3.0, 4.0]], face_landmarks=[landmarks])
    with pytest.raises(DataError, match="row 0: face_box takes 4 numbers and face_landmarks 10"):
        with_faces(dataset, finder=Bright())


def test_landmarks_far_outside_their_picture_are_refused():
    row = {"face_box": [0.0, 0.0, 8.0, 8.0], "face_landmarks": LANDMARKS}
    assert face_of_row(row, (48, 48)).landmarks[1] == (20, 12)
    assert face_of_row(row, (48, 48)).box == (0, 0, 8, 8)
    with pytest.raises(DataError, match="lie outside the picture of 7 x 48 pixels"):
        face_of_row(row, (7, 48))


def test_the_face_is_the_one_nearest_to_the_centre_of_those_nearly_as_long():
    def face(left: float, side: float) -> Face:
        return Face((left, 40 - side / 2, left + side, 40 + side / 2), 0.9, ())

    large, middle, small = face(0, 30), face(45, 20), face(38, 10)
    assert main_face([large, middle, small], (80, 80)) is middle
    assert main_face([large, small], (80, 80)) is large
    assert main_face([], (80, 80)) is None


def test_shards_with_faces_and_others_open_together(tmp_path: Path):
    features = Features({"image": Picture(decode=False), "label": ClassLabel(names=["real", "generated"])})
    faces = Features({"face_box": Sequence(Value("float32"), 4), "face_landmarks": Sequence(Value("float32"), 10)})
    Dataset.from_dict({"image": [encoded(4)], "label": [0]}, features=features).to_parquet(
        str(tmp_path / "old.parquet")
    )
    Dataset.from_dict(
        {"image": [encoded(4)], "label": [1], "face_box": [[4.0, 4.0, 8.0, 8.0]], "face_landmarks": [LANDMARKS]},
        features=Features({**features, **faces}),
    ).to_parquet(str(tmp_path / "new.parquet"))
    opened = open_dataset([str(tmp_path / "old.parquet"), str(tmp_path / "new.parquet")])
    assert opened["face_landmarks"][:] == [None, LANDMARKS]


def test_several_processes_find_what_one_does(repo: Path, shared: Path):
    finder = FaceFinder.from_pretrained(shared / "weights" / "face_detection_yunet_2023mar.onnx")
    names = ("portrait", "tiny", "coffee")
    images = [{"bytes": (repo / "space" / "examples" / f"{name}.jpg").read_bytes(), "path": None} for name in names]
    dataset = Dataset.from_dict({"image": images, "source": ["a"] * 3, "sha256": [name * 12 for name in names]})
    one, two = (with_faces(dataset, workers, finder=finder) for workers in (1, 2))
    assert one["face_landmarks"][:] == two["face_landmarks"][:]
    assert [row is None for row in one["face_box"]] == [False, False, True]
