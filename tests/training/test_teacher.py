"""A student that a teacher's features and scores teach: the loss, whose features they are, and a run."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset
from frozen_parts import training_part, transformer
from train_run import TINY, make_pictures, run_train

from fakeface.data.loading import open_dataset, prepare_splits
from fakeface.image_processing_fakeface import FakeFaceImageProcessor
from fakeface.model_folder.opening import load_model_folder
from fakeface.model_folder.saving import save_model_folder
from fakeface.modeling_fakeface import keep_in_int8
from fakeface.recipe import Recipe, RecipeError
from fakeface.training.frozen import FEATURES, margins_of, write_features
from fakeface.training.teacher import FEATURE_WEIGHT, SCORE_SHARE, Teacher, open_teacher


def test_a_picture_that_the_teacher_has_not_seen_is_taught_by_its_label_alone():
    logits, labels = torch.randn(3, 2), torch.tensor([0, 1, 1])
    teacher = Teacher(torch.zeros(5, 4).half(), torch.full((5,), torch.nan), width=6)
    loss = teacher(torch.randn(3, 6, 2, 2), logits, labels, torch.tensor([4, 0, 2]), smoothing=0.1)
    assert torch.allclose(loss, torch.nn.functional.cross_entropy(logits, labels, label_smoothing=0.1))
    loss.backward()
    assert not teacher.read.weight.grad.any()  # pyright: ignore


def test_the_loss_asks_for_the_teachers_features_and_for_a_share_of_its_score():
    torch.manual_seed(0)
    features, scores = torch.randn(5, 4).half(), torch.tensor([0.1, 0.2, torch.nan, 0.8, 0.9])
    teacher = Teacher(features, scores, width=6)
    feature_map, logits, labels, rows = torch.randn(2, 6, 3, 3), torch.randn(2, 2), torch.tensor([0, 1]), [3, 2]
    loss = teacher(feature_map, logits, labels, torch.tensor(rows), smoothing=0.0)
    asked = [SCORE_SHARE * 0.8, 1.0]  # of the second picture only the label is known
    log = logits.log_softmax(1)
    cross = -np.mean([float((1 - a) * log[i, 0] + a * log[i, 1]) for i, a in enumerate(asked)])
    read = teacher.read(feature_map.mean((2, 3))[0]).detach()
    error = float((read - features[3].float()).square().mean())
    assert loss.item() == pytest.approx(cross + FEATURE_WEIGHT * error, rel=1e-5)


def taught_run(run: Path, part: Dataset, seen: list[int]) -> torch.Tensor:
    """A finished run with frozen_views that saw some of the pictures, without training one; its features of those."""
    model = transformer()
    features = np.random.default_rng(0).normal(3, 2, (len(part), 2 * 768)).astype(np.float16)
    with torch.no_grad():
        model.fakeface.trunk.norm.running_mean.fill_(3.0)
        model.fakeface.trunk.norm.running_var.fill_(4.0)
        model.classifier.out.weight.copy_(torch.randn_like(model.classifier.out.weight) * 0.1)
    keep_in_int8(model.fakeface.trunk.vit)
    model.config.trunk_bits = 8
    save_model_folder(run / "model", model, FakeFaceImageProcessor(size=32, crop_fraction=1.0))
    write_features(run / FEATURES, 0, [part["sha256"][row] for row in seen], features[seen])
    return torch.from_numpy(features)


def test_features_are_standardised_and_found_by_the_picture_they_are_of(tmp_path: Path):
    part = training_part(4)
    raw = taught_run(tmp_path / "run", part, seen=[3, 0])
    teacher = open_teacher(Recipe(teacher=str(tmp_path / "run")), part)
    assert teacher.scores.isnan().tolist() == [False, True, True, False]
    assert torch.allclose(teacher.features[3].float(), (raw[3].float() - 3) / 2, atol=5e-3)
    model, _ = load_model_folder(str(tmp_path / "run" / "model"))
    assert np.allclose(torch.logit(teacher.scores[[0, 3]].double()), margins_of(model, raw[[0, 3]]), atol=1e-4)


def test_a_folder_that_teaches_nothing_is_refused(tmp_path: Path):
    with pytest.raises(RecipeError, match="holds no finished run with frozen_views; name the folder of one"):
        open_teacher(Recipe(teacher=str(tmp_path)), training_part(2))
    taught_run(tmp_path / "run", training_part(8), seen=[6, 7])
    with pytest.raises(RecipeError, match="saw none of the pictures to train on"):
        open_teacher(Recipe(teacher=str(tmp_path / "run")), training_part(2))
    with pytest.raises(RecipeError, match="teacher takes architecture: resnet50-cnn"):
        Recipe(architecture="cnn", teacher="runs/thorough")


def test_a_taught_run_learns_resumes_and_leaves_the_teacher_behind(repo: Path, tmp_path: Path):
    pictures = make_pictures(tmp_path / "pictures")
    splits, _ = prepare_splits(open_dataset([str(pictures)]), **Recipe().split_options())
    taught_run(tmp_path / "teacher", splits["train"], seen=list(range(0, len(splits["train"]), 2)))
    words = [*TINY, "--data", pictures, "--measure", "false", "--teacher", tmp_path / "teacher", "--output"]
    words += [tmp_path / "run", "--architecture", "resnet50-cnn", "--image-size", 32, "--trunk-stages", 1]
    words += ["--trunk-weights", "none", "--pooling", "average", "--ema", 0.5]
    done = run_train(repo, *words, "--epochs", 1)
    assert done.returncode == 0, done.stderr
    done = run_train(repo, *words, "--epochs", 2, "--resume")
    assert done.returncode == 0, done.stderr
    model, _ = load_model_folder(str(tmp_path / "run" / "model"))
    assert not [name for name, _ in model.named_parameters() if "read" in name]
    assert json.loads((tmp_path / "run" / "run.json").read_text())["recipe"]["teacher"] == str(tmp_path / "teacher")
    done = run_train(repo, *words, "--epochs", 2, "--resume", "--teacher", "")
    assert "was started with teacher" in done.stderr
