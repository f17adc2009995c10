"""What a run folder refuses: other data, and recipes that its checkpoints do not fit."""

import hashlib
import json
import shutil
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from datasets import Dataset, DatasetDict
from tiny import tiny_folder

from fakeface.data.loading import DataError
from fakeface.recipe import Recipe, RecipeError
from fakeface.training.run_folder import describe_run

ACCELERATOR: Any = SimpleNamespace(num_processes=1, device=torch.device("cpu"), mixed_precision="no", print=print)


def part(*hashes: str) -> Dataset:
    same = {"label": 0, "source": "a", "generator": "none"}
    return Dataset.from_list([{"sha256": hash_, **same} for hash_ in hashes])


def describe(run, recipe: Recipe, training: Dataset) -> None:
    describe_run(run, recipe, training, DatasetDict({"test": part("z")}), [], ACCELERATOR)


def test_a_resumed_run_stands_on_the_same_data(tmp_path):
    describe(tmp_path, Recipe(), part("a", "b"))
    describe(tmp_path, Recipe(resume=True), part("a", "b"))
    with pytest.raises(DataError, match="its run was started on other data; what differs is train"):
        describe(tmp_path, Recipe(resume=True), part("a", "c"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ema": 0.9}, "ema 0.0, not 0.9"),
        ({"compile": True}, "compile False"),
        ({"start_from": "other"}, "start_from '', not 'other'"),
    ],
)
def test_a_recipe_that_the_checkpoints_do_not_fit_is_refused(changes, said, tmp_path):
    describe(tmp_path, Recipe(), part("a", "b"))
    with pytest.raises(RecipeError, match=f"its run was started with {said}.*; resume with that"):
        describe(tmp_path, Recipe(resume=True, **changes), part("a", "b"))


def test_a_resumed_run_keeps_the_record_of_its_start(tmp_path):
    run, start = tmp_path / "run", tiny_folder(tmp_path / "start")
    describe(run, Recipe(start_from=str(start)), part("a", "b"))
    sha256 = hashlib.sha256((start / "model.safetensors").read_bytes()).hexdigest()
    shutil.rmtree(start)
    describe(run, Recipe(start_from=str(start), resume=True), part("a", "b"))
    assert json.loads((run / "run.json").read_text())["start"] == {"weights_sha256": sha256, "generators": []}


def test_a_changed_key_is_said(tmp_path, capsys):
    describe(tmp_path, Recipe(), part("a", "b"))
    describe(tmp_path, Recipe(resume=True, learning_rate=0.01), part("a", "b"))
    assert "changed since the run was last started: learning_rate 0.001 -> 0.01" in capsys.readouterr().out
