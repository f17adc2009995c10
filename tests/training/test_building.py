"""What is trained, as the recipe says."""

import hashlib
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file

from fakeface import FakeFaceConfig, FakeFaceForImageClassification, FakeFaceImageProcessor
from fakeface.recipe import Recipe, RecipeError
from fakeface.training.building import build_model
from fakeface.training.run_folder import start_sha256

TINY = {"architecture": "cnn", "image_size": 16, "pooling": "average", "small_epochs": 1}


def test_a_small_size_that_the_model_does_not_take_is_refused():
    with pytest.raises(RecipeError, match="small_size is 10: this model takes a multiple of 4"):
        build_model(Recipe(**TINY, small_size=10), Accelerator(cpu=True))
    assert build_model(Recipe(**TINY, small_size=8), Accelerator(cpu=True)).config.pooling == "average"


def start_folder(folder: Path, **settings) -> Path:
    FakeFaceForImageClassification(FakeFaceConfig(architecture="cnn", image_size=16, **settings)).save_pretrained(
        folder
    )
    FakeFaceImageProcessor(size=16).save_pretrained(folder)
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
    with pytest.raises(RecipeError, match="start is a cnn at 16 px, pooling none, and its weights do not fit"):
        build_model(Recipe(architecture="logistic", image_size=16, start_from=folder), accelerator)
    with pytest.raises(RecipeError, match=r"start_from: .*none"):
        build_model(Recipe(start_from=str(tmp_path / "none")), accelerator)


def test_the_record_of_a_run_names_the_weights_that_it_started_from(tmp_path):
    folder = start_folder(tmp_path / "start")
    assert start_sha256(str(folder)) == hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
