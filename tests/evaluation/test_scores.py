"""Every picture in every view, once, whatever stopped the run before."""

import numpy as np
import pytest
import torch
from datasets import DatasetDict
from planted import planted
from tiny import tiny_folder

from fakeface.data.loading import checked
from fakeface.delivery.sweep import SWEEP
from fakeface.evaluation.cache import ScoreCache
from fakeface.evaluation.scores import score_splits
from fakeface.evaluation.subjects import open_subject


@pytest.fixture(scope="module")
def subject(tmp_path_factory):
    return open_subject(str(tiny_folder(tmp_path_factory.mktemp("model") / "tiny")), device="cpu")


@pytest.fixture(scope="module")
def splits():
    dataset, _ = checked(planted(22))
    return DatasetDict({"validation": dataset.select(range(10)), "test": dataset.select(range(10, 22))})


@pytest.fixture
def passes(subject, monkeypatch):
    """Sizes of the batches that went through the model."""
    sizes = []
    forward = subject.forward

    def counted(inputs: torch.Tensor) -> torch.Tensor:
        sizes.append(len(inputs))
        return forward(inputs)

    object.__setattr__(subject, "forward", counted)
    yield sizes
    object.__setattr__(subject, "forward", forward)


def test_a_row_for_each_picture_and_view(subject, splits):
    found = score_splits(subject, splits, batch_size=4)
    assert found.columns.tolist() == ["split", "view", "sha256", "label", "source", "generator", "phash", "score"]
    assert found.groupby(["split", "view"]).size().to_dict() == {
        ("validation", "clean"): 10, ("validation", "delivered"): 10, ("test", "clean"): 12, ("test", "delivered"): 12
    }  # fmt: skip
    assert found["score"].between(0, 1).all()
    clean, delivered = (np.asarray(found[found["view"] == view]["score"]) for view in ("clean", "delivered"))
    assert np.abs(clean - delivered).max() > 1e-4


def test_the_sweep_spares_validation(subject, splits):
    found = score_splits(subject, splits, sweep=True, batch_size=12)
    assert set(found[found["split"] == "test"]["view"]) == {"clean", "delivered", *SWEEP}
    assert set(found[found["split"] == "validation"]["view"]) == {"clean", "delivered"}
    test = found[found["split"] == "test"].set_index("view")["score"]
    assert test["rescale 1"].tolist() == test["clean"].tolist()


def test_single_steps_are_taken_of_validation_too(subject, splits):
    found = score_splits(subject, splits, steps=["JPEG 30"], batch_size=12)
    assert set(found[found["split"] == "validation"]["view"]) == {"clean", "delivered", "JPEG 30"}


def test_a_stopped_run_goes_on_to_the_same_scores(subject, splits, passes, tmp_path):
    whole = score_splits(subject, splits, batch_size=4)
    assert sum(passes) == 44
    score_splits(subject, splits, batch_size=4, cache=ScoreCache(tmp_path, subject.digest))
    (file,) = tmp_path.iterdir()
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:30]) + lines[30][:40])  # killed in the middle of a line
    passes.clear()
    again = score_splits(subject, splits, batch_size=4, cache=ScoreCache(tmp_path, subject.digest))
    assert again.equals(whole)
    # 9 of the 12 clean test pictures were known, so their last batch is missing, and the 12 delivered ones.
    assert passes == [4, 4, 4, 4]
    passes.clear()
    assert score_splits(subject, splits, batch_size=4, cache=ScoreCache(tmp_path, subject.digest)).equals(whole)
    assert passes == []


def test_other_deliveries_are_scored_anew(subject, splits, passes, tmp_path):
    cache = ScoreCache(tmp_path, subject.digest)
    score_splits(subject, splits, batch_size=4, cache=cache)
    passes.clear()
    score_splits(subject, splits, batch_size=4, cache=cache, seed=1)
    assert sum(passes) == 22


def test_the_number_of_workers_changes_nothing(subject, splits):
    one, other = (score_splits(subject, splits, batch_size=4, workers=workers) for workers in (0, 2))
    assert one.equals(other)
