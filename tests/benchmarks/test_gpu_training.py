"""benchmarks/gpu_training.sh: its whole path on a CPU, going on after a stop, and what it takes along."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from frozen_parts import rows

from fakeface.model_folder.opening import load_model_folder

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
    (place / "runs" / "fast" / "evaluation.md").unlink()
    assert "going on from" in run(repo, place, **settings)
    logged = (place / "out" / "seconds.txt").read_text().splitlines()
    assert [line.partition(":")[0] for line in logged] == ["thorough model", "fast model", "fast model"]


def test_what_it_takes_along_stands_in_the_pieces(repo: Path, place: Path):
    if not (repo / ".git").exists():
        pytest.skip("no git checkout")
    trunks = {"CLIP": place / "clip.safetensors", "RESNET": place / "resnet50.safetensors"}
    for trunk in trunks.values():
        trunk.write_bytes(b"weights")
    run(repo, place, "pack", str(place / "pieces"), **{name: str(trunk) for name, trunk in trunks.items()})
    pieces = sorted((place / "pieces").iterdir())
    assert max(piece.stat().st_size for piece in pieces) <= 60 * 2**20
    whole = b"".join(piece.read_bytes() for piece in pieces)
    listed = subprocess.run(["tar", "t"], input=whole, capture_output=True, check=True).stdout.decode().split()
    wanted = {"train.py", "configs/vit-b16-cnn.yaml", "benchmarks/gpu_training.sh", "fakeface/recipe.py"}
    wanted |= {"weights/clip.safetensors", "weights/resnet50.safetensors"}
    assert wanted | {"faces/pool-0.parquet", "faces/modern-0.parquet"} <= set(listed)
