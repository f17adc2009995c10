"""Trainings on everything once a recipe was measured: folds of sources, figures, thresholds, the record."""

import json
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from frozen_parts import recipe, rows, separable, training_part, transformer
from train_run import TINY, contents, make_pictures, run_train, weights_sha256

from fakeface.data.loading import DataError
from fakeface.evaluation.inputs import held_out, recipe_for
from fakeface.metrics.detection import rank_auc
from fakeface.model_folder.opening import load_model_folder
from fakeface.recipe import Recipe, RecipeError
from fakeface.release.card import fresh_report, write_card
from fakeface.training.data import take_faces
from fakeface.training.everything import folds_report, out_of_fold, source_folds
from fakeface.training.frozen import read_features


def test_sources_stay_whole_and_folds_hold_about_equally_many_of_a_label():
    rng = np.random.default_rng(0)
    sources = [f"source-{number}" for number in range(40) for _ in range(rng.integers(2, 60))]
    labels = [int(source.split("-")[1]) % 2 for source in sources]
    folds = source_folds(labels, sources, 5)
    assert all(
        len({fold for fold, its in zip(folds, sources, strict=True) if its == source}) == 1 for source in set(sources)
    )
    for label in (0, 1):
        counts = np.bincount(folds[np.array(labels) == label], minlength=5)
        assert counts.min() > 0.8 * counts.max()
    assert np.array_equal(folds, source_folds(labels, sources, 5))


def test_a_fold_is_judged_by_a_head_that_did_not_see_it():
    """In one source alone the labels are the wrong way round: whoever learnt of it would rank it right."""
    model, part = transformer(), training_part(80)
    features, labels = separable(80, seed=1)
    folds = np.repeat(np.arange(4), 20)
    features[:, folds == 2] = features[:, folds == 2][:, ::-1]  # labels alternate, so that this swaps them
    changes = {"epochs": 20, "learning_rate": 3e-3}
    margins = out_of_fold(model, features, None, part, folds, recipe(**changes), torch.device("cpu"))
    assert margins.shape == (2, 80)
    aucs = [rank_auc(labels[folds == fold], margins[0, folds == fold]) for fold in range(4)]
    assert aucs[2] < 0.2
    assert min(aucs[:2]) > 0.8


def test_figures_are_of_each_fold_by_itself():
    labels = np.tile([0, 1], 100)
    folds = np.repeat([0, 1], 100)
    clean = (
        labels + 10.0 * folds
    )  # perfect in each fold; pooled, half of fold 1's photographs would beat fold 0's faces
    report = folds_report(np.stack([clean, -clean]), labels, folds, np.where(labels == 1, "sdxl", "none").tolist())
    assert report["mean"] == {"clean": 1.0, "augmented": 0.0}
    assert [(row["fold"], row["view"], row["n_generated"]) for row in report["folds"]] == [
        (0, "clean", 50), (0, "augmented", 50), (1, "clean", 50), (1, "augmented", 50)
    ]  # fmt: skip
    assert {row["generator"] for row in report["generators"]} == {"sdxl"}


@pytest.mark.parametrize(
    "changes", [{"then_everything": True}, {"everything_epochs": 1}, {"frozen_views": 1, "everything_epochs": 1}]
)
def test_a_training_on_everything_needs_epochs_only_where_it_goes_on(changes):
    architecture = "vit-b16-cnn" if "frozen_views" in changes else "cnn"
    with pytest.raises(RecipeError, match=r"everything_epochs is \d: then_everything takes at least 1 without"):
        Recipe(architecture=architecture, **changes)


@pytest.mark.parametrize("changes", [{"hold_out": ["ffhq"]}, {"then_everything": True, "everything_epochs": 1}])
def test_who_learns_all_holds_nothing_out(changes):
    with pytest.raises(RecipeError, match="learn_all goes with neither hold_out nor then_everything"):
        Recipe(architecture="cnn", learn_all=True, **changes)


def test_a_run_goes_on_to_everything_and_its_record_says_what_was_measured(repo: Path, tmp_path: Path):
    rows(80).to_parquet(str(tmp_path / "faces.parquet"))
    run = tmp_path / "run"
    words = ["--architecture", "vit-b16-cnn", "--image-size", 32, "--crop-fraction", 1, "--trunk-blocks", 1]
    words += ["--pooling", "average", "--frozen-views", 2, "--face-cut", "landmarks", "--trunk-weights", "none"]
    words += ["--split-fractions", 0.2, 0.2, "--epochs", 8, "--head-batch", 16, "--batch-size", 8, "--workers", 0]
    words += ["--threads", 1, "--target-fpr", 0.2, "--then-everything", "--data", tmp_path / "faces.parquet"]
    done = run_train(repo, *words, "--output", run)
    assert done.returncode == 0, done.stderr
    splits = json.loads((run / "run.json").read_text())["data"]
    pictures = sum(part["pictures"] for name, part in splits.items() if name != "dropped")
    assert len(read_features(run / "features", 1)) == pictures > splits["train"]["pictures"]
    last = run / "everything" / "model"
    record = json.loads((last / "training.json").read_text())["everything"]
    assert (record["pictures"], record["measured_weights_sha256"]) == (pictures, weights_sha256(run / "model"))
    assert weights_sha256(last) != weights_sha256(run / "model")
    config = load_model_folder(str(last))[0].config
    assert (config.trunk_bits, config.temperature != 1.0, config.target_fpr) == (8, True, 0.2)
    for model in (last, run / "model"):  # both know what is familiar, whatever was calibrated since
        config = load_model_folder(str(model))[0].config
        assert (config.familiar_directions > 0, bool(config.familiar_distance)) == (True, True)
    assert fresh_report(last)["weights_sha256"] == weights_sha256(run / "model")  # the card's figures
    with pytest.raises(DataError, match="in the end these weights learned from all pictures"):  # for validation, too
        held_out(recipe_for(last, None, [str(tmp_path / "faces.parquet")]), last, to_calibrate=True)
    folds = json.loads((run / "folds.json").read_text())
    assert record["mean"] == folds["mean"]
    table = pd.read_csv(run / "folds.csv")
    aucs = [rank_auc(rows["label"].to_numpy(), rows["margin_clean"].to_numpy()) for _, rows in table.groupby("fold")]
    assert (len(table), np.mean(aucs)) == (pictures, pytest.approx(folds["mean"]["clean"]))


def test_found_faces_go_along_and_a_later_search_stays(tmp_path: Path):
    run, then = tmp_path / "run", tmp_path / "run" / "everything"
    run.mkdir()
    take_faces(run, then)  # of pictures that are no portraits there are none
    assert not then.exists()
    (run / "faces.parquet").write_bytes(b"found")
    take_faces(run, then)
    (run / "faces.parquet").write_bytes(b"found later")
    take_faces(run, then)
    assert (then / "faces.parquet").read_bytes() == b"found"


def test_a_run_goes_on_from_the_measured_model_with_what_was_held_out(repo: Path, tmp_path: Path):
    run = tmp_path / "run"
    words = [*TINY, "--data", make_pictures(tmp_path / "pictures"), "--hold-out", "source-2", "source-3"]
    words += ["--output", run, "--then-everything", "--everything-epochs", 2, "--half", "--target-fpr", 0.2]
    done = run_train(repo, *words, "--epochs", 2)
    assert done.returncode == 0, done.stderr
    first, then = (json.loads((place / "run.json").read_text()) for place in (run, run / "everything"))
    held = {name: part["pictures"] for name, part in first["data"].items()}
    seen = {name: part["pictures"] for name, part in then["data"].items()}
    tenth = held["unseen"] // 10  # stays out for validation, too
    assert (held["unseen"], seen["validation"]) == (80, held["validation"] + tenth)
    assert seen["train"] == held["train"] + held["test"] + held["unseen"] - tenth
    assert then["start"]["weights_sha256"] == weights_sha256(run / "model")
    last = run / "everything" / "model"
    record = json.loads((last / "training.json").read_text())
    assert record["recipe"]["hold_out"] == ["source-2", "source-3"]
    assert record["everything"] == then["data"]["train"] | {"measured_weights_sha256": weights_sha256(run / "model")}
    assert fresh_report(last)["weights_sha256"] == weights_sha256(run / "model") != weights_sha256(last)
    assert "**The figures are of the weights that training went on from**" in write_card(last).read_text()
    settings = recipe_for(last, None, [str(tmp_path / "pictures")])
    with pytest.raises(DataError, match="in the end these weights learned from all pictures of their data"):
        held_out(settings, last)
    assert held_out(settings, last, to_calibrate=True)[0]["validation"].num_rows == held["validation"]
    assert held_out(settings, run / "model")[0]["unseen"].num_rows == held["unseen"]
    kept = contents(run)
    done = run_train(repo, *words, "--epochs", 2, "--resume")  # the first training is not looked at again
    assert done.returncode == 0, done.stderr
    assert weights_sha256(last) == sha256(kept["everything/model/model.safetensors"]).hexdigest()
    assert (run / "evaluation.json").read_bytes() == kept["evaluation.json"]
