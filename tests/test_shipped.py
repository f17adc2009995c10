"""The shipped checkpoint, used as its users use it: on whole pictures, with the real face finder."""

import io

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from fakeface import Detector, FaceFinder


def test_found_faces_are_cut_as_the_training_pictures_were(repo, shared):
    """Crops of twice YuNet's box once showed faces a third smaller than in training: most generated ones passed."""
    rows = pq.read_table(shared / "faces" / "pool-00000-of-00008.parquet", columns=["image", "source"]).to_pylist()
    files = [row["image"]["bytes"] for row in rows if row["source"] == "generated-photos"][:16]
    pictures = [Image.open(io.BytesIO(file)) for file in files]
    folder = repo / "checkpoints" / "fakeface-resnet50-cnn"
    finder = FaceFinder.from_pretrained(shared / "weights" / "face_detection_yunet_2023mar.onnx")
    found = Detector.from_pretrained(folder, device="cpu", faces=finder)(pictures)
    whole = Detector.from_pretrained(folder, device="cpu", faces=False)(pictures)
    scores = np.array([[one.score, other.score] for one, other in zip(found, whole, strict=True)])
    assert abs(np.subtract(*scores.mean(axis=0))) < 0.1
