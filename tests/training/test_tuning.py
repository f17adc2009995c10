"""The last blocks of a trunk learn from what goes into them, and the model is of the same make afterwards."""

import copy
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from datasets import Dataset
from frozen_parts import recipe, rows, training_part, transformer
from torch import nn
from train_run import run_train

from fakeface.data.views import Pictures, View
from fakeface.image_processing_fakeface import FakeFaceImageProcessor
from fakeface.images.load import load_picture
from fakeface.metrics.detection import rank_auc
from fakeface.model_folder.opening import load_model_folder
from fakeface.modeling_fakeface import Int8Linear
from fakeface.recipe import Recipe, RecipeError, recipe_of
from fakeface.training.data import face_cutter
from fakeface.training.frozen import HEADS, Heads, collect_features, fit_head, margins_of
from fakeface.training.teacher import open_teacher
from fakeface.training.tuning import BATCH, RANK, LowRank, Tokens, features_anew, tune

CPU = torch.device("cpu")


def tuned(**changes: Any) -> Recipe:
    return recipe(trunk_blocks=[1, 2], tuned_blocks=1, tuning_draws=1280, epochs=4, **changes)


def collect(run: Path, model: Any, part: Dataset, chosen: Recipe) -> np.ndarray:
    view = View(FakeFaceImageProcessor(size=32, crop_fraction=1.0))
    return collect_features(run, chosen, model, part, view, Accelerator(cpu=True))


def test_what_goes_into_the_last_blocks_gives_what_comes_out_of_them(tmp_path: Path):
    model, part, chosen = transformer(blocks=[1, 2]), training_part(6), tuned()
    features = collect(tmp_path, model, part, chosen)
    tokens = Tokens(tmp_path, part["sha256"][:], 2)
    assert tokens.take([0, 1], np.array([3, 5])).shape == (2, 1 + 4, 768)  # the class token and 2 x 2 patches
    anew = features_anew(model, features, tokens, np.array([5, 0, 3]), 1)
    assert (anew.shape, anew.dtype) == ((2, 3, 4 * 768), np.float16)
    np.testing.assert_allclose(anew.astype(np.float32), features[:, [5, 0, 3]].astype(np.float32), rtol=0.05, atol=0.05)
    some = Tokens(tmp_path, part["sha256"][3:4], 2)  # of a part of the pictures, as a fold has them
    assert torch.equal(some.take([1], np.array([0])), tokens.take([1], np.array([3])))


def test_blocks_learn_what_the_features_before_did_not_tell(tmp_path: Path):
    model, part, chosen = transformer(blocks=[1, 2]), training_part(48), tuned()
    labels = np.array(part["label"][:])
    features = collect(tmp_path, model, part, chosen)
    tokens, learned = Tokens(tmp_path, part["sha256"][:], 2), np.arange(32)
    fit_head(model, features[:, learned], part.select(learned), chosen, CPU)
    before = copy.deepcopy(model.fakeface.trunk.vit.state_dict())
    losses = tune(model, features, tokens, learned, part, chosen, CPU)
    assert len(losses) == 1280 // BATCH
    assert np.mean(losses[-10:]) < np.mean(losses[:10])
    kinds = [type(layer) for layer in model.fakeface.trunk.vit.modules() if isinstance(layer, nn.Linear | Int8Linear)]
    assert (set(kinds), model.config.trunk_bits) == ({Int8Linear}, 8)
    for name, layer in model.fakeface.trunk.vit.named_modules():
        if isinstance(layer, Int8Linear):
            change = (layer.matrix() - before[f"{name}.weight"]).abs().amax(1) / layer.scale
            assert (change.max() > 1) == name.startswith("blocks.1."), (
                name
            )  # more than rounding, in the last block alone
    anew = features_anew(model, features, tokens, np.arange(48), 1)
    unseen = slice(32, 48)
    assert rank_auc(labels[unseen], margins_of(model, torch.from_numpy(anew[0, unseen]))) > 0.9
    # What is kept gives the scores that the whole model gives.
    processor = FakeFaceImageProcessor(size=32, crop_fraction=1.0)
    shown = [torch.from_numpy(processor.to_array(load_picture(row["image"]))) for row in part.select(range(4))]  # pyright: ignore
    with torch.no_grad():
        logits = model.eval()(pixel_values=torch.stack(shown)).logits
    kept = margins_of(model, torch.from_numpy(anew[0, :4]))
    np.testing.assert_allclose(kept, (logits[:, 1] - logits[:, 0]).numpy(), atol=0.1)


def test_an_update_is_nothing_at_first_and_of_low_rank():
    torch.manual_seed(0)
    linear, inputs = nn.Linear(40, 30), torch.randn(5, 40)
    expected = linear(inputs)
    update = LowRank(linear)
    assert torch.equal(update(inputs), expected)
    nn.init.normal_(update.up)
    change = update.up @ update.down
    assert torch.linalg.matrix_rank(change) == RANK
    torch.testing.assert_close(update(inputs), expected + inputs @ change.T)
    assert {name for name, its in update.named_parameters() if its.requires_grad} == {"up", "down"}


def test_the_heads_of_a_model_are_those_that_it_was_given():
    torch.manual_seed(0)
    model, heads = transformer(), Heads(2 * 768, 4, 0.3)
    nn.init.constant_(heads.bias, 0.7)
    heads.write(model)
    inputs = torch.randn(3, 2 * 768)
    torch.testing.assert_close(Heads.of(model).eval()(inputs), heads.eval()(inputs))
    assert heads(inputs).shape == (3, HEADS)


@pytest.mark.parametrize(
    "changes",
    [
        {"tuned_blocks": 5, "architecture": "vit-b16-cnn", "frozen_views": 1},  # nothing is before them
        {"tuned_blocks": 1, "architecture": "vit-b16-cnn", "frozen_views": 1, "trunk_blocks": [5, 9]},
        {"tuned_blocks": 1},
    ],
)
def test_blocks_that_cannot_be_tuned_are_refused(changes: dict[str, Any]):
    with pytest.raises(RecipeError, match=r"tuned_blocks is \d: it takes frozen_views and, in trunk_blocks, the block"):
        Recipe(**changes)


def test_a_run_tunes_and_goes_on_to_everything(repo: Path, tmp_path: Path):
    rows(80).to_parquet(str(tmp_path / "faces.parquet"))
    run = tmp_path / "run"
    words = ["--architecture", "vit-b16-cnn", "--image-size", 32, "--crop-fraction", 1, "--trunk-blocks", 1, 2]
    words += ["--tuned-blocks", 1, "--tuning-draws", 640, "--pooling", "average", "--frozen-views", 3]
    words += ["--face-cut", "landmarks", "--trunk-weights", "none", "--split-fractions", 0.2, 0.2, "--epochs", 4]
    words += ["--head-batch", 16, "--batch-size", 8, "--workers", 0, "--threads", 1, "--target-fpr", 0.2]
    words += ["--then-everything", "--data", tmp_path / "faces.parquet", "--output", run]
    done = run_train(repo, *words)
    assert done.returncode == 0, done.stderr
    assert len((run / "folds.csv").read_text().splitlines()) == 1 + 80
    for folder in (run / "model", run / "everything" / "model"):
        config = load_model_folder(str(folder))[0].config
        assert (config.trunk_bits, config.temperature != 1.0, bool(config.familiar_distance)) == (8, True, True)
    # Who learns from it is told what the tuned model gives.
    part = rows(80)
    hashes = [hashlib.sha256(row["image"]["bytes"]).hexdigest() for row in part]  # pyright: ignore
    part = part.add_column("sha256", hashes)  # pyright: ignore[reportCallIssue]
    teacher = open_teacher(Recipe(teacher=str(run)), part)
    seen = (~teacher.scores.isnan()).nonzero().flatten()[:8].tolist()
    model, processor = load_model_folder(str(run / "model"))
    pictures = Pictures(part, View(processor, cut=face_cutter(Recipe(**recipe_of(run / "model")), processor)))
    with torch.no_grad():
        logits = model.eval()(pixel_values=torch.stack([pictures[row]["pixel_values"] for row in seen])).logits
    np.testing.assert_allclose(teacher.scores[seen].numpy(), logits.softmax(1)[:, 1].numpy(), atol=0.03)
