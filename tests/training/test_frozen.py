"""A head trained on features that the trunk gave once: what is kept, how a stop goes on, and what the head learns."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from datasets import Dataset
from frozen_parts import recipe, rows, separable, training_part, transformer
from PIL import Image
from train_run import run_train, weights_sha256

from fakeface.data.views import View
from fakeface.image_processing_fakeface import FakeFaceImageProcessor
from fakeface.metrics.detection import rank_auc
from fakeface.model_folder.opening import load_model_folder
from fakeface.modeling_fakeface import TransformerTrunk
from fakeface.recipe import RecipeError
from fakeface.training import frozen
from fakeface.training.familiar import DIRECTIONS, learn_familiar
from fakeface.training.frozen import HEADS, collect_features, fit_head, read_features

# ---- the features


def collect(run: Path, model: Any, part: Dataset, **changes: Any) -> np.ndarray:
    view = View(FakeFaceImageProcessor(size=32, crop_fraction=1.0))
    return collect_features(run, recipe(**changes), model, part, view, Accelerator(cpu=True))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pictures the trunk was asked for, call by call."""
    calls: list[int] = []
    raw = TransformerTrunk.raw

    def counted(self: TransformerTrunk, pixel_values: torch.Tensor) -> torch.Tensor:
        calls.append(len(pixel_values))
        return raw(self, pixel_values)

    monkeypatch.setattr(TransformerTrunk, "raw", counted)
    return calls


def test_features_are_averages_of_the_trunks_map_of_each_view(tmp_path: Path):
    model, part = transformer(), training_part(3)
    found = collect(tmp_path, model, part)
    assert (found.shape, found.dtype) == ((2, 3, 2 * 768), np.float16)
    processor = FakeFaceImageProcessor(size=32, crop_fraction=1.0)
    pictures = [Image.open(io.BytesIO(row["image"]["bytes"])) for row in part]  # pyright: ignore
    with torch.no_grad():
        pixels = torch.from_numpy(np.stack([processor.to_array(picture) for picture in pictures]))
        expected = model.fakeface.trunk.raw(pixels).mean((2, 3)).numpy()
    rounded, augmented = (np.abs(view.astype(np.float32) - expected).max() for view in found)
    assert rounded < 0.1  # kept in 16 bits, and made in 16 bits where the processor multiplies them
    assert augmented > 3 * rounded
    kept = read_features(tmp_path / "features", 1)
    assert list(kept) == part["sha256"][:]
    assert np.array_equal(np.stack(list(kept.values())), found[1])


def test_after_a_stop_the_trunk_is_asked_for_what_is_missing_alone(tmp_path: Path, monkeypatch, asked: list[int]):
    monkeypatch.setattr(frozen, "CHUNK", 2)
    model, part = transformer(), training_part(5)
    counted = TransformerTrunk.raw

    def stopped(self: TransformerTrunk, pixel_values: torch.Tensor) -> torch.Tensor:
        if sum(asked) >= 4:
            raise KeyboardInterrupt
        return counted(self, pixel_values)

    monkeypatch.setattr(TransformerTrunk, "raw", stopped)
    with pytest.raises(KeyboardInterrupt):
        collect(tmp_path / "run", model, part)
    monkeypatch.setattr(TransformerTrunk, "raw", counted)
    assert list(read_features(tmp_path / "run" / "features", 0)) == part["sha256"][:4]
    asked.clear()
    found = collect(tmp_path / "run", model, part)
    assert sum(asked) == 1 + 5  # the last of the first view, and the second view
    assert [path for path in (tmp_path / "run" / "features").iterdir() if path.name.startswith(".")] == []
    asked.clear()
    again = collect(tmp_path / "run", model, part.select([4, 2, 0]))
    assert (sum(asked), np.array_equal(again, found[:, [4, 2, 0]])) == (0, True)
    undisturbed = collect(tmp_path / "other", model, part)
    np.testing.assert_allclose(found.astype(np.float32), undisturbed.astype(np.float32), rtol=0.01, atol=0.01)


# ---- the head


def head_margins(model: Any, features: np.ndarray) -> np.ndarray:
    """The `generated` minus the `real` logit of averaged maps (n, channels), as the whole model gives them."""
    with torch.no_grad():
        maps = torch.from_numpy(features).float()[:, :, None, None]
        logits = model.eval().classify(model.fakeface.blocks(model.fakeface.trunk.norm(maps)))
    return (logits[:, 1] - logits[:, 0]).numpy()


def test_a_head_learns_what_can_be_told_apart_and_sees_it_in_new_pictures():
    model, part = transformer(), training_part(80)
    features, labels = separable(80, seed=1)
    assert labels.tolist() == part["label"][:]
    losses = fit_head(model, features, part, recipe(epochs=10, learning_rate=3e-3), torch.device("cpu"))
    assert len(losses) == 10 * 2 * 80 // 32
    assert np.mean(losses[-10:]) < 0.75 * losses[0]
    flat = features.reshape(-1, 2 * 768).astype(np.float64)
    np.testing.assert_allclose(model.fakeface.trunk.norm.running_mean.numpy(), flat.mean(0), rtol=1e-4)
    np.testing.assert_allclose(model.fakeface.trunk.norm.running_var.numpy(), flat.var(0), rtol=1e-3)
    learn_familiar(model, features, part)
    standard = (flat - flat.mean(0)) / np.sqrt(flat.var(0) + model.fakeface.trunk.norm.eps)
    directions = np.linalg.svd(standard, full_matrices=False)[2][:DIRECTIONS]
    left = standard - standard @ directions.T @ directions
    photographs = np.square(left).mean(1)[np.tile(np.array(part["label"][:]) == 0, len(features))]
    # Of 80 views of photographs a hundredth is the farthest.
    assert model.config.familiar_distance == pytest.approx(photographs.max(), rel=0.02)
    fresh, labels = separable(200, seed=2)
    assert rank_auc(labels, head_margins(model, fresh[0]).astype(np.float64)) > 0.98


def test_the_heads_side_by_side_are_one_head_afterwards(monkeypatch: pytest.MonkeyPatch):
    taught: list[torch.Tensor] = []

    class Remembered(torch.optim.AdamW):
        def __init__(self, params: Any, *args: Any, **options: Any):
            taught.extend(params)
            super().__init__(taught, *args, **options)

    monkeypatch.setattr(torch.optim, "AdamW", Remembered)
    model, (features, _) = transformer(), separable(80, seed=1)
    fit_head(model, features, training_part(80), recipe(epochs=2, learning_rate=3e-3), torch.device("cpu"))
    weight, bias, second, shift = (tensor.detach() for tensor in taught)
    assert (second.shape, shift.shape) == ((HEADS, 4), (HEADS,))
    norm = model.fakeface.trunk.norm
    inputs = (torch.from_numpy(features[0]).float() - norm.running_mean) / (norm.running_var + norm.eps).sqrt()
    hidden = torch.relu(inputs @ weight.T + bias).unflatten(1, (HEADS, 4))
    margins = (hidden * second).sum(2) + shift
    assert margins.std(1).min() > 0  # they differ from each other
    np.testing.assert_allclose(head_margins(model, features[0]), margins.mean(1).numpy(), rtol=1e-3, atol=1e-4)


def test_the_same_seed_gives_the_same_head():
    features, _ = separable(80, seed=1)
    heads = []
    for seed in (0, 0, 1):
        model = transformer()
        fit_head(model, features, training_part(80), recipe(epochs=1, seed=seed), torch.device("cpu"))
        heads.append(model.fakeface.blocks[0].weight.detach())
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


def test_one_view_is_enough():
    model, (features, _) = transformer(), separable(80, seed=1)
    changes = {"frozen_views": 1, "epochs": 2}
    losses = fit_head(model, features[:1], training_part(80), recipe(**changes), torch.device("cpu"))
    assert len(losses) == 2 * 80 // 32
    assert np.isfinite(losses).all()


# ---- the run


def test_a_run_leaves_a_calibrated_model_in_8_bits_and_goes_on_from_its_features(repo: Path, tmp_path: Path):
    rows(60).to_parquet(str(tmp_path / "faces.parquet"))
    run = tmp_path / "run"
    words = ["--architecture", "vit-b16-cnn", "--image-size", 32, "--crop-fraction", 1, "--trunk-blocks", 1]
    words += ["--pooling", "average", "--frozen-views", 2, "--face-cut", "landmarks", "--trunk-weights", "none"]
    words += ["--split-fractions", 0.3, 0, "--epochs", 8, "--head-batch", 16, "--batch-size", 8, "--workers", 0]
    words += [
        "--threads",
        1,
        "--target-fpr",
        0.2,
        "--half",
        "--measure",
        "false",
        "--data",
        tmp_path / "faces.parquet",
        "--output",
        run,
    ]
    done = run_train(repo, *words)
    assert done.returncode == 0, done.stderr
    pictures = json.loads((run / "run.json").read_text())["data"]["train"]["pictures"]
    features = {path.name: path.read_bytes() for path in (run / "features").iterdir()}
    assert features.keys() == {"made-of.json", "view-0-00000.npz", "view-1-00000.npz"}
    assert len(read_features(run / "features", 1)) == pictures
    with (run / "curves.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 8 * 2 * pictures // 16
    model, processor = load_model_folder(str(run / "model"))
    config = model.config
    assert (config.trunk_bits, config.trunk_blocks, config.face_cut, config.face_margin) == (8, [1], "landmarks", 1.0)
    assert (config.temperature != 1.0, config.target_fpr) == (True, 0.2)
    assert processor.image_mean == pytest.approx([0.4815, 0.4578, 0.4082], abs=1e-4)  # CLIP's
    assert (run / "model" / "model.safetensors").stat().st_size < 30_000_000
    weights = weights_sha256(run / "model")
    done = run_train(repo, *words, "--resume")
    assert done.returncode == 0, done.stderr
    assert {path.name: path.read_bytes() for path in (run / "features").iterdir()} == features
    assert weights_sha256(run / "model") == weights


def test_features_of_another_cut_or_trunk_are_refused(tmp_path: Path):
    frozen.refuse_others(tmp_path / "features", recipe())
    frozen.refuse_others(tmp_path / "features", recipe(epochs=3))
    with pytest.raises(RecipeError, match=r"features: made with face_margin 1\.0, not 0\.8; name another output"):
        frozen.refuse_others(tmp_path / "features", recipe(face_margin=0.8))
