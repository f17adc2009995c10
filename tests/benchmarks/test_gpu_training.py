"""benchmarks/gpu_training.sh: its whole path on a CPU, going on after a stop, and what it takes along."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from frozen_parts import rows
from tiny import tiny_folder

from fakeface.configuration_fakeface import FakeFaceConfig
from fakeface.model_folder.opening import load_model_folder
from fakeface.modeling_fakeface import FakeFaceForImageClassification, Int8Linear, keep_in_int8
from fakeface.training.trunk import load_trunk

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures as the development data are laid out."""
    place, made = tmp_path_factory.mktemp("gpu"), rows(160)
    (place / "faces").mkdir()
    made.select(range(120)).to_parquet(place / "faces" / "pool-0.parquet")
    made.select(range(120, 160)).to_parquet(place / "faces" / "modern-0.parquet")
    return place


def run(repo: Path, place: Path, *words: str, **changes: str) -> str:
    settings = {"FACES": "faces", "RUNS": "runs", "OUT": "out"}
    environment = {**os.environ, **{name: str(place / folder) for name, folder in settings.items()}, **changes}
    script = str(repo / "benchmarks" / "gpu_training.sh")
    done = subprocess.run(["bash", script, *words], env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_trains_both_models_and_goes_on_after_a_stop(repo: Path, place: Path):
    settings = {"TINY": "1", "SEND": "fast thorough", "PYTHON": sys.executable, "ACCELERATE_USE_CPU": "true"}
    run(repo, place, **settings)
    for name in ("fast", "thorough"):
        pieces = sorted((place / "out").glob(f"{name}-weights.tar.gz-*"))
        assert max(piece.stat().st_size for piece in pieces) <= 15 * 2**20
        (place / name).mkdir()
        packed = b"".join(piece.read_bytes() for piece in pieces)
        subprocess.run(["tar", "xz", "-C", place / name], input=packed, check=True)
        model, _ = load_model_folder(str(place / name))
        assert model.config.architecture == {"fast": "resnet50-cnn", "thorough": "vit-b16-cnn"}[name]
        assert "AUC" in (place / "out" / f"{name}.md").read_text()
    (place / "runs" / "fast" / "everything" / "model" / "training.json").unlink()
    assert "going on from" in run(repo, place, **settings)
    logged = (place / "out" / "seconds.txt").read_text().splitlines()
    assert [line.partition(":")[0] for line in logged] == ["thorough model", "fast model", "fast model"]


def test_what_it_takes_along_stands_in_the_pieces(repo: Path, place: Path):
    if not (repo / ".git").exists():
        pytest.skip("no git checkout")
    (place / "resnet.safetensors").write_bytes(b"weights")
    run(repo, place, "pack", str(place / "pieces"), RESNET=str(place / "resnet.safetensors"))
    pieces = sorted((place / "pieces").iterdir())
    assert max(piece.stat().st_size for piece in pieces) <= 60 * 2**20
    whole = b"".join(piece.read_bytes() for piece in pieces)
    listed = subprocess.run(["tar", "t"], input=whole, capture_output=True, check=True).stdout.decode().split()
    wanted = {"train.py", "configs/vit-b16-cnn.yaml", "benchmarks/gpu_training.sh", "fakeface/recipe.py"}
    wanted |= {"checkpoints/fakeface-vit-b16-cnn/model.safetensors", "weights/resnet.safetensors"}
    assert wanted | {"faces/pool-0.parquet", "faces/modern-0.parquet"} <= set(listed)


def test_the_trunk_comes_out_of_a_model_folder_as_it_went_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from trunk_weights import main

    folder, out = tiny_folder(tmp_path / "model", "vit-b16-cnn"), tmp_path / "clip.safetensors"
    monkeypatch.setattr(sys, "argv", ["trunk_weights.py", str(folder), str(out)])
    main()
    fresh = FakeFaceForImageClassification(
        FakeFaceConfig(architecture="vit-b16-cnn", image_size=32, trunk_blocks=[1], pooling="average")
    )
    report = load_trunk(fresh, out)
    assert report.missing == report.unused == ()
    keep_in_int8(fresh.fakeface.trunk.vit)
    kept, _ = load_model_folder(str(folder))
    for name, module in kept.fakeface.trunk.vit.named_modules():
        if isinstance(module, Int8Linear):
            assert torch.equal(module.weight, fresh.fakeface.trunk.vit.get_submodule(name).weight)
