"""Where to compute."""

import os

import pytest
import torch

from fakeface.detector.runtime import fastest_dtype, hardware, pick_device


@pytest.mark.parametrize("name", ["tpu", "not a device", "cuda:99"])
def test_a_device_that_is_not_here_is_refused(name: str):
    with pytest.raises(ValueError, match=f"no device '{name}' here: use .*cpu"):
        pick_device(name)


def test_the_device_is_a_gpu_where_there_is_one():
    gpu = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else None
    assert pick_device().type == (gpu or "cpu")


@pytest.mark.parametrize(
    ("abilities", "expected"),
    [
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"amx_bf16": True}, torch.bfloat16),
        ({"sve_bf16": True}, torch.bfloat16),
        ({"avx512_f": True, "avx512_bf16": False}, torch.float32),
        ({}, torch.float32),
    ],
)
def test_16_bits_only_where_the_processor_multiplies_them(
    abilities: dict[str, bool], expected: torch.dtype, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: abilities, raising=False)
    assert fastest_dtype(torch.device("cpu")) == expected


def test_an_older_torch_that_cannot_tell_gets_32_bits(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert fastest_dtype(torch.device("cpu")) == torch.float32


def test_hardware_is_told_in_words(monkeypatch: pytest.MonkeyPatch):
    for cores, told in ({0}, "1 CPU core"), ({0, 3, 5}, "3 CPU cores"):
        monkeypatch.setattr(os, "sched_getaffinity", lambda process, cores=cores: cores, raising=False)
        assert hardware(torch.device("cpu")) == told
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"name of {device}")
    assert hardware(torch.device("cuda", 0)) == "name of cuda:0"
