"""Features of one row: what they are called, where they come from, and what happens where there is none."""

import io
import math

import pytest
from PIL import Image
from planted import noise

from fakeface.data.audit.features import LANDMARKS, Features, face_outline
from fakeface.delivery.augment import Augmentation, deliver, sample_rng
from fakeface.detector.preparation import Preparer
from fakeface.faces import Face, FaceFinder


def row(**more):
    buffer = io.BytesIO()
    noise(96, 0).save(buffer, "JPEG", quality=70)
    return {"image": {"bytes": buffer.getvalue(), "path": None}, **more}


LANDMARKS_AT = ((38.0, 43.0), (58.0, 43.0), (48.0, 48.0), (40.0, 58.0), (56.0, 58.0))
FACE = Face((28.0, 28.0, 68.0, 68.0), 0.99, LANDMARKS_AT)


def test_the_kinds_of_numbers():
    found = Features()(row(), 0)
    kinds = {".".join(key.split(".")[:2]) for key in found["values"] if not key.startswith("background")}
    assert found["refused"] == ""
    assert len(found["phash"]) == 16
    assert kinds == {
        "file.format", "file.jpeg", "file.metadata", "stored.size", "stored.bytes", "stored.light", "stored.colour",
        "stored.sharpness", "stored.grey", "fed.light", "fed.colour", "fed.sharpness", "fed.grey", "fed.bytes",
    }  # fmt: skip
    assert (found["values"]["file.jpeg.quality"], found["values"]["stored.size.width"]) == (70, 96)


def test_recorded_facts_are_taken_where_they_are():
    values = Features()(row(native_width=1024, native_format="PNG", native_jpeg_quality=None), 0)["values"]
    native = {key: value for key, value in values.items() if key.startswith("native.")}
    assert native["native.width"] == 1024
    assert math.isnan(native["native.jpeg_quality"])
    other = Features()(row(native_format="JPEG"), 0)["values"]
    assert native["native.format"] != other["native.format"]


def test_face_positions_are_measured_from_the_middle():
    values = Features(find_faces=lambda picture: [FACE])(row(), 0)["values"]
    assert values["face.nose_x"] == values["face.nose_y"] == 0
    assert values["face.right_eye_x"] == pytest.approx(-10 / 96)
    assert values["face.right_mouth_y"] == pytest.approx(10 / 96)
    assert values["face.side"] == pytest.approx(40 / 96)
    assert face_outline((28.0, 28.0, 68.0, 68.0)) == (24.0, 24.0, 72.0, 72.0)


def test_a_picture_without_a_face_has_no_position():
    values = Features(find_faces=lambda picture: [])(row(), 0)["values"]
    assert all(math.isnan(values[f"face.{name}_x"]) for name in LANDMARKS)
    assert math.isnan(values["face.side"])


def test_what_is_fed_can_be_prepared():
    plain = Features()(row(), 5)["values"]
    blurred = Augmentation(rescale=0, save=0, noise=0, blur=1, blur_sigma=(8, 8), thumbnail=0, second_save=0)
    prepared = Features(prepare=lambda picture, index: deliver(picture, sample_rng(0, 0, index), blurred))(row(), 5)
    assert prepared["values"]["fed.sharpness.laplacian"] < plain["fed.sharpness.laplacian"] - 0.5
    assert prepared["values"]["stored.sharpness.laplacian"] == plain["stored.sharpness.laplacian"]


class Finder(FaceFinder):
    """Sees the faces that it is told to see."""

    def __init__(self, *faces: Face):
        super().__init__(b"")
        self.faces = list(faces)

    def __call__(self, picture: Image.Image) -> list[Face]:
        return self.faces

    def level(self, picture: Image.Image, face: Face) -> Face:
        return face


def test_what_a_model_is_fed_is_its_cut_of_the_face():
    # Given a white face on black, which a model sees without its surroundings
    picture = Image.new("RGB", (96, 96))
    picture.paste((255, 255, 255), (8, 8, 88, 88))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    cut = Preparer(32, face_margin=0.5, finder=Finder(FACE), face_cut="landmarks")
    shown: list[tuple[int, int]] = []

    def find(picture: Image.Image) -> list[Face]:
        shown.append(picture.size)
        return [
            Face((8.0, 8.0, 24.0, 24.0), 0.99, ((12.0, 12.0), (20.0, 12.0), (16.0, 16.0), (13.0, 20.0), (19.0, 20.0)))
        ]

    # When it is measured
    values = Features(find_faces=find, cut=cut)({"image": {"bytes": buffer.getvalue(), "path": None}}, 0)["values"]

    # Then positions and light are those of the model's square, and the file stays what it is
    assert shown == [(32, 32)]
    assert values["face.side"] == 0.5
    assert values["fed.light.mean"] > values["stored.light.mean"] * 1.3
    assert values["stored.size.width"] == 96


def test_a_picture_without_a_face_feeds_a_model_nothing():
    cut = Preparer(32, finder=Finder(), face_cut="landmarks")
    assert Features(cut=cut)(row(), 3)["refused"] == "row 3: no face was found in it"


def test_a_broken_picture_is_refused_by_name():
    found = Features()({"image": {"bytes": b"no picture", "path": None}}, 7)
    assert found["refused"].startswith("row 7: not a picture")
    assert found["values"] == {}


def test_a_hash_of_another_kind_is_not_taken():
    mine = Features()(row(), 0)["phash"]
    assert Features()(row(phash="0123456789abcdef"), 0)["phash"] == "0123456789abcdef"
    assert Features()(row(phash="something else"), 0)["phash"] == mine
