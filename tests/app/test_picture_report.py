"""The report to keep of one picture: what is in it, that it is escaped, and that it asks for nothing."""

import hashlib
import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from tiny import picture, tiny_folder, tiny_model

from fakeface import Detector, Explanation, PictureError, Result
from fakeface.app import panels
from fakeface.app.picture_report import NO_RATE, Record, picture_report, record_file
from fakeface.images import Claim, Provenance
from fakeface.results import FaceResult

HOSTILE = '"><img src=https://evil.test/x onerror=alert(1)><script>alert(2)</script>'
MEASURED = {"generated": "One in a hundred.", "real": "Seven pass.", "uncertain": "Half are open."}
AT = datetime(2026, 11, 30, 23, 10, 5, tzinfo=timezone(timedelta(hours=1)))


def record(*verdicts: str, name: str = "a.jpg", face: int = 0, claims: tuple[Claim, ...] = ()) -> Record:
    """Of a picture with a face of each verdict; the first decides."""
    config = tiny_model().config
    config.threshold_real, config.threshold_generated = 0.3, 0.9
    scores = {"generated": 0.95, "real": 0.1, "uncertain": 0.5}
    faces = tuple(FaceResult((8 * n, 4, 8 * n + 30, 40), scores[told], told) for n, told in enumerate(verdicts))
    result = Result(name, scores[verdicts[0]], verdicts[0], ("a <reason>",), faces=faces)
    map = np.ones((80, 96), np.float32)
    found = Explanation(
        result, picture(), verdicts[face], "centred-cam", "last", map, picture(32, 32), map[:32, :32], face
    )
    words = panels.Words(config, MEASURED, model="fakeface 1, model tiny")
    return Record(found, picture(), Provenance("JPEG", 9, "ab" * 32, claims=claims), words, "cd" * 32, AT)


class Parts(HTMLParser):
    """Tags and attributes of a page, with its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Any]]) -> None:
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "action", "srcset", "data")]
        assert not [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_report_has_every_part():
    made = record("generated", "real", claims=(Claim("software", "Midjourney", "generated", "Midjourney"),))
    parts = Parts(picture_report(made))
    for words in (
        "Looks generated",
        "Score 0.950",
        "a <reason>",
        "One in a hundred.",
        "scores from 0.9",
        "a picture of 2 faces",
        "8, 4 to 38, 40",
        "Where it looks generated to the model, face 1 (centred-cam)",
        "much evidence for “generated”",
        "The file says it was made by Midjourney.",
        "96 x 80 pixels",
        "fakeface 1, model tiny",
        "cd" * 32,
        "ab" * 32,
        "2026-11-30 23:10:05+01:00",
        panels.WORDS["caveat"],
        "never accuse anyone",
    ):
        assert words in " ".join(parts.text.split()), words
    assert parts.tags.count("img") == 4  # picture, map on it, map on the face, key
    assert all(address.startswith("data:image/") for address in parts.addresses)


def test_a_picture_that_is_not_shrunk_is_not_said_to_be():
    assert "96 x 80 pixels</figcaption>" in picture_report(record("real"))


def test_where_the_verdict_is_open_or_there_is_no_face_there_is_no_map():
    assert Parts(picture_report(record("uncertain"))).tags.count("img") == 1
    nothing = replace(record("real"), found=Result("a.jpg", None, "no face", ("no face was found",)))
    parts = Parts(picture_report(nothing))
    assert parts.tags.count("img") == 1
    assert "No face found" in parts.text
    assert "What the verdict is worth" not in parts.text


def test_a_verdict_without_a_measured_rate_says_so():
    made = record("real")
    assert NO_RATE in picture_report(replace(made, words=replace(made.words, measured={})))


def test_what_comes_from_outside_is_escaped_and_nothing_is_asked_for():
    claims = (Claim(HOSTILE, HOSTILE), Claim("software", HOSTILE))
    made = record("generated", name=HOSTILE, claims=claims)
    made = replace(made, words=replace(made.words, model=HOSTILE))
    page = picture_report(made)
    parts = Parts(page)
    assert "script" not in parts.tags
    assert parts.tags.count("img") == 4
    assert HOSTILE in parts.text
    assert all(address.startswith("data:image/") for address in parts.addresses)
    assert not re.search(r"url\(|@import|<link|<iframe|<object|<base", page)
    assert "default-src 'none'" in page


@pytest.fixture
def detector(tmp_path: Path) -> Detector:
    folder = tiny_folder(tmp_path / "model", threshold_real=0.3, threshold_generated=0.9)
    return Detector.from_pretrained(folder, faces=False, device="cpu")


def test_a_file_is_read_once_and_told_with_its_hash_and_that_of_the_weights(detector: Detector, tmp_path: Path):
    info = PngInfo()
    info.add_text("Software", "Midjourney")
    picture().save(tmp_path / "a.png", pnginfo=info)
    made = record_file(detector, tmp_path / "a.png")
    assert made.provenance.sha256 == hashlib.sha256((tmp_path / "a.png").read_bytes()).hexdigest()
    assert made.weights == hashlib.sha256((tmp_path / "model" / "model.safetensors").read_bytes()).hexdigest()
    assert made.at.tzinfo is not None
    assert made.result.score == detector(tmp_path / "a.png").score
    page = unescape(picture_report(made))
    assert made.weights in page
    assert made.provenance.sha256 in page
    assert "The file says it was made by Midjourney." in page
    assert "model model" in page
    assert str(tmp_path / "model") not in page


def test_a_large_picture_is_shrunk(detector: Detector, tmp_path: Path):
    Image.new("RGB", (3000, 2000), (9, 90, 200)).save(tmp_path / "large.jpg")
    page = picture_report(record_file(detector, tmp_path / "large.jpg"))
    assert len(page) < 200_000
    assert "3000 x 2000 pixels, shown smaller" in page


def test_what_is_no_picture_has_no_report(detector: Detector, tmp_path: Path):
    (tmp_path / "a.jpg").write_text("no picture")
    with pytest.raises(PictureError, match=r"a\.jpg: "):
        record_file(detector, tmp_path / "a.jpg")
