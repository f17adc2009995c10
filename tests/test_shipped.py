"""The shipped checkpoint, used as its users use it: on whole pictures, with the real face finder."""

import io
from pathlib import Path

import gradio
import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from fakeface import Detector
from fakeface.app.samples import shipped_samples
from fakeface.detector.doubts import UNFAMILIAR


def test_found_faces_are_cut_as_the_training_pictures_were(repo, shared):
    """Crops of twice YuNet's box once showed faces a third smaller than in training: most generated ones passed."""
    rows = pq.read_table(shared / "faces" / "pool-00000-of-00008.parquet", columns=["image", "source"]).to_pylist()
    files = [row["image"]["bytes"] for row in rows if row["source"] == "generated-photos"][:16]
    pictures = [Image.open(io.BytesIO(file)) for file in files]
    folder = repo / "checkpoints" / "fakeface-resnet50-cnn"
    found = Detector.from_pretrained(folder, device="cpu")(pictures)
    whole = Detector.from_pretrained(folder, device="cpu", faces=False)(pictures)
    scores = np.array([[one.score, other.score] for one, other in zip(found, whole, strict=True)])
    assert abs(np.subtract(*scores.mean(axis=0))) < 0.1


def test_the_default_finds_faces_of_today_and_leaves_photographs_alone(repo, shared):
    """Of the modern set, the sources that no training saw. Judged as users' pictures are: found, levelled and cut."""
    rows = pq.read_table(shared / "faces" / "modern-00000-of-00003.parquet", columns=["image", "label", "split_hint"])
    unseen = [row for row in rows.to_pylist() if row["split_hint"] == "unseen-source"]
    kept = [row for label in (0, 1) for row in [row for row in unseen if row["label"] == label][:16]]
    detector = Detector.from_pretrained(repo / "checkpoints" / "fakeface-vit-b16-cnn", device="cpu")
    results = detector([row["image"]["bytes"] for row in kept])
    scores = np.array([result.score for result in results])
    assert [result.verdict for result in results[:16]].count("generated") == 0
    assert (scores[:16, None] < scores[None, 16:]).mean() > 0.8  # AUC; 0.93 on all of them


def test_the_default_does_not_call_a_rendered_face_real(repo):
    """Groot, of a film: by its score alone it would be real."""
    rendered = Path(gradio.__file__).parent / "media_assets" / "images" / "groot.jpeg"
    result = Detector.from_pretrained(device="cpu")(rendered)
    assert (result.verdict, UNFAMILIAR in result.reasons) == ("uncertain", True)
    photograph = Detector.from_pretrained(device="cpu")(repo / "space" / "examples" / "portrait.jpg")
    assert (photograph.verdict, UNFAMILIAR in photograph.reasons) == ("real", False)


def test_both_make_a_cascade(repo):
    """Once its bounds were of another fast model than the one that shipped."""
    detector = Detector.from_pretrained(cascade=True, device="cpu")
    results = detector([repo / "space" / "examples" / name for name in ("portrait.jpg", "generated.jpg")])
    assert [result.verdict for result in results] == ["real", "generated"]


def test_the_default_judges_the_pictures_to_try_as_they_are_described():
    """As docs/space.md tells of them; the second generated one is hard for it."""
    detector = Detector.from_pretrained(device="cpu")
    verdicts = {name: detector(path).verdict for name, path in shipped_samples()}
    assert verdicts == {
        "Portrait": "real",
        "Generated": "generated",
        "Generated, too": "uncertain",
        "Tiny copy": "uncertain",
        "No face": "no face",
    }
