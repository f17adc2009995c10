"""What is trained, as the recipe says."""

import pytest
from accelerate import Accelerator

from fakeface.recipe import Recipe, RecipeError
from fakeface.training.building import build_model

TINY = {"architecture": "cnn", "image_size": 16, "pooling": "average", "small_epochs": 1}


def test_a_small_size_that_the_model_does_not_take_is_refused():
    with pytest.raises(RecipeError, match="small_size is 10: this model takes a multiple of 4"):
        build_model(Recipe(**TINY, small_size=10), Accelerator(cpu=True))
    assert build_model(Recipe(**TINY, small_size=8), Accelerator(cpu=True)).config.pooling == "average"
