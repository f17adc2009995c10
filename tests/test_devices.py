"""Where to compute."""

import pytest
import torch

from fakeface.devices import pick_device


@pytest.mark.parametrize("name", ["tpu", "not a device", "cuda:99"])
def test_a_device_that_is_not_here_is_refused(name: str):
    with pytest.raises(ValueError, match=f"no device '{name}' here: use .*cpu"):
        pick_device(name)


def test_the_device_is_a_gpu_where_there_is_one():
    gpu = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else None
    assert pick_device().type == (gpu or "cpu")
