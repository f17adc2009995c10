"""How far a face may be from those of the training, of a trunk that has learned; `test_frozen` has one that has not."""

from pathlib import Path

import numpy as np
import pytest
import torch
from frozen_parts import rows, training_part
from tiny import tiny_model
from train_run import run_train, weights_sha256

from fakeface.model_folder.opening import load_model_folder
from fakeface.training.familiar import DIRECTIONS, learn_familiar


def test_one_photograph_in_a_hundred_is_further_away_and_generated_ones_do_not_count():
    model, part = tiny_model("resnet50-cnn", pooling="average"), training_part(400)
    generator = np.random.default_rng(0)
    features = generator.normal(3, np.linspace(0.5, 8, 256), (2, 400, 256)).astype(np.float16)
    generated = np.array(part["label"][:]) == 1
    features[:, generated] += 20  # which lies in one direction, and is left out
    features[:, generated, ::2] *= 1.5
    learn_familiar(model, features, part)
    flat = features.reshape(-1, 256).astype(np.float64)
    standard = (flat - flat.mean(0)) / flat.std(0)
    directions = np.linalg.svd(standard, full_matrices=False)[2][:DIRECTIONS]
    distances = np.square(standard - standard @ directions.T @ directions).mean(1)
    photographs = distances[np.tile(~generated, 2)]
    limit = model.config.familiar_distance
    assert limit is not None
    assert (photographs > limit * 1.02).mean() < 0.01
    assert (photographs > limit * 0.98).mean() >= 0.01
    maps = torch.from_numpy(features[0]).float()[:, :, None, None].expand(-1, -1, 2, 2)
    np.testing.assert_allclose(model.fakeface.familiar(maps).numpy(), distances[:400], rtol=0.03)


def test_a_run_learns_it_and_one_that_starts_from_it_learns_it_anew(repo: Path, tmp_path: Path):
    rows(80).to_parquet(str(tmp_path / "faces.parquet"))
    words = ["--architecture", "resnet50-cnn", "--image-size", 32, "--crop-fraction", 1, "--trunk-stages", 1]
    words += ["--pooling", "average", "--face-cut", "landmarks", "--trunk-weights", "none", "--half", "--epochs", 1]
    words += ["--split-fractions", 0.2, 0.2, "--batch-size", 8, "--workers", 0, "--threads", 1, "--measure", "false"]
    words += ["--target-fpr", 0.2, "--data", tmp_path / "faces.parquet"]
    first, then = tmp_path / "first", tmp_path / "then"
    for run, more in ((first, []), (then, ["--start-from", first / "model"])):
        done = run_train(repo, *words, *more, "--output", run)
        assert done.returncode == 0, done.stderr
    assert weights_sha256(first / "model") != weights_sha256(then / "model")
    models = [load_model_folder(str(run / "model"))[0] for run in (first, then)]
    limits = [model.config.familiar_distance or 0.0 for model in models]
    assert limits[0] != limits[1]
    assert min(limits) > 0
    for model, limit in zip(models, limits, strict=True):
        with torch.no_grad():
            near, far = (model(torch.full((1, 3, 32, 32), value)).distance for value in (0.0, 40.0))
        assert near < far
        assert far > limit


@pytest.mark.parametrize("architecture", ["logistic", "cnn"])
def test_a_model_without_a_trunk_tells_no_distance(architecture: str):
    assert tiny_model(architecture)(torch.zeros(1, 3, 32, 32)).distance is None
