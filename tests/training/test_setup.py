"""What is trained, as the recipe says."""

import hashlib
import json
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file

from fakeface import FakeFaceConfig, FakeFaceForImageClassification, FakeFaceImageProcessor
from fakeface.recipe import Recipe, RecipeError
from fakeface.training.run_folder import start_record
from fakeface.training.setup import build_model

TINY = {"architecture": "cnn", "image_size": 16, "pooling": "average", "small_epochs": 1}


def test_a_small_size_that_the_model_does_not_take_is_refused():
    with pytest.raises(RecipeError, match="small_size is 10: this model takes a multiple of 4"):
        build_model(Recipe(**TINY, small_size=10), Accelerator(cpu=True))
    assert build_model(Recipe(**TINY, small_size=8), Accelerator(cpu=True)).config.pooling == "average"


def start_folder(folder: Path, **settings) -> Path:
    FakeFaceForImageClassification(FakeFaceConfig(architecture="cnn", image_size=16, **settings)).save_pretrained(
        folder
    )
    FakeFaceImageProcessor(size=16, crop_fraction=0.875).save_pretrained(folder)
    return folder


def test_training_goes_on_from_a_model_folder_without_its_calibration(tmp_path):
    folder = start_folder(tmp_path / "start", temperature=2.0, bias=-1.0, threshold_generated=0.9)
    model = build_model(Recipe(architecture="cnn", image_size=16, start_from=str(folder)), Accelerator(cpu=True))
    start = load_file(folder / "model.safetensors")
    assert all(torch.equal(tensor, start[name]) for name, tensor in model.state_dict().items())
    assert (model.config.temperature, model.config.bias, model.config.threshold_generated) == (1.0, 0.0, 0.5)


def test_a_start_of_another_make_is_refused(tmp_path):
    folder = str(start_folder(tmp_path / "start"))
    accelerator = Accelerator(cpu=True)
    with pytest.raises(
        RecipeError, match="start is a cnn at 16 px, trunk_stages 3, pooling none, and its weights do not fit"
    ):
        build_model(Recipe(architecture="logistic", image_size=16, start_from=folder), accelerator)
    with pytest.raises(RecipeError, match=r"start_from: .*none"):
        build_model(Recipe(start_from=str(tmp_path / "none")), accelerator)


def test_a_start_that_was_shown_pictures_otherwise_is_refused(tmp_path):
    folder = start_folder(tmp_path / "start")
    recipe = Recipe(architecture="cnn", image_size=16, crop_fraction=0.5, start_from=str(folder))
    with pytest.raises(RecipeError, match=r"was trained with crop_fraction 0.875, and this run would take 0.5"):
        build_model(recipe, Accelerator(cpu=True))


def test_the_record_of_a_start_has_its_weights_and_what_they_saw(tmp_path):
    folder = start_folder(tmp_path / "start")
    sha256 = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert start_record(str(folder)) == {"weights_sha256": sha256, "generators": []}
    rows = [{"split": "validation", "generator": "pggan"}, {"split": "unseen", "generator": "stylegan2-e4e"}]
    (folder / "evaluation.json").write_text(json.dumps({"generators": rows}))
    (folder / "training.json").write_text(json.dumps({"start": {"generators": ["stylegan"]}}))
    assert start_record(str(folder))["generators"] == ["pggan", "stylegan"]
