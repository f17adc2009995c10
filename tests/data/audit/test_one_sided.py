"""One-sided transforms, on models whose answer is known."""

import io
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from planted import noise

from fakeface.data.audit.one_sided import TRANSFORMS, half_size, one_sided
from fakeface.image_processing_fakeface import FakeFaceImageProcessor


def rows(n=24):
    out = []
    for seed in range(n):
        buffer = io.BytesIO()
        noise(64, seed).save(buffer, "PNG")
        out.append({"image": {"bytes": buffer.getvalue(), "path": None}})
    return out


def detector(logit) -> Any:
    """A detector whose logit of `generated` is a function of pixels (n, 3, 32, 32) from 0 to 1."""

    def model(pixel_values):
        value = logit(pixel_values)
        return SimpleNamespace(logits=torch.stack([torch.zeros_like(value), value], dim=1))

    model.device = torch.device("cpu")
    processor = FakeFaceImageProcessor(size=32, image_mean=(0, 0, 0), image_std=(1, 1, 1))
    return SimpleNamespace(model=model, processor=processor)


LABELS = np.arange(24) % 2


def test_a_model_that_looks_at_light_is_found_out():
    found = {
        row["transform"]: row for row in one_sided(detector(lambda x: 40 * x.mean((1, 2, 3)) - 20), rows(), LABELS)
    }
    darker = found["darker"]
    assert darker["shift_real"] < -0.2
    assert darker["auc_real_changed"] > darker["auc"] + 0.15
    assert darker["auc_generated_changed"] < darker["auc"] - 0.15
    assert abs(found["mirrored"]["shift_real"]) < 0.01
    assert found["mirrored"]["auc_real_changed"] == pytest.approx(found["mirrored"]["auc"], abs=0.03)


def test_a_model_that_looks_at_nothing_is_moved_by_nothing():
    for row in one_sided(detector(lambda x: 0 * x.mean((1, 2, 3))), rows(9), LABELS[:9]):
        assert (row["shift_real"], row["shift_generated"]) == (0, 0)
        assert row["auc_real_changed"] == row["auc"] == 0.5
        assert row["auc_interval"] == (0.5, 0.5)


def test_every_transform_changes_a_picture_and_keeps_its_mode():
    picture = noise(64, 0)
    for name, transform in TRANSFORMS.items():
        changed = transform(picture)
        assert changed.mode == "RGB", name
        assert changed.tobytes() != picture.tobytes(), name
    assert half_size(picture).size == (32, 32)
