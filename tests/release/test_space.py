"""The Space on the Hub: the app, the package that it was tried with, and the model that it serves."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hub.server import TOKEN, serve
from huggingface_hub import SpaceCard

import fakeface
from fakeface.release.space import SpaceError, write_space

PACKAGE = Path(fakeface.__file__).parent
# Every module of the app, on the package in the folder and no other.
OPEN = """
import importlib, pkgutil, sys
from pathlib import Path
here = Path.cwd()
sys.path[:] = [str(here), *(path for path in sys.path if path)]
sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in repr(finder)]
import fakeface
assert Path(fakeface.__file__).parent == here / "fakeface", fakeface.__file__
import app, fakeface.app
for module in pkgutil.iter_modules(fakeface.app.__path__):
    importlib.import_module(f"fakeface.app.{module.name}")
print("opened")
"""


def test_a_space_holds_the_app_and_its_own_package(repo: Path, tmp_path: Path):
    write_space(tmp_path / "space", "nobody/faces", repo / "space")
    names = {path.relative_to(tmp_path / "space").as_posix() for path in (tmp_path / "space").rglob("*")}
    assert {"app.py", "SHA256SUMS", "fakeface/app/style.css", "fakeface/recipe.py", "fakeface/py.typed"} <= names
    assert {"fakeface/app/examples/portrait.jpg", "fakeface/faces/yunet/face_detection_yunet_2023mar.onnx"} <= names
    assert not [name for name in names if name.startswith("fakeface/checkpoints/")]  # it serves a model of the Hub
    assert not [name for name in names if "__pycache__" in name]
    card = SpaceCard.load(tmp_path / "space" / "README.md").data.to_dict()
    assert (card["models"], card["sdk"], card["app_file"]) == (["nobody/faces"], "gradio", "app.py")
    lines = (tmp_path / "space" / "requirements.txt").read_text().splitlines()
    assert any(line.startswith("torch>=") for line in lines)
    assert any(line.startswith("c2pa-python") for line in lines)
    assert not [line for line in lines if line.startswith(("gradio", "fakeface")) or "extra" in line]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", OPEN], cwd=tmp_path / "space", env=environment, capture_output=True, text=True,
        timeout=300, check=False,
    )  # fmt: skip
    assert done.stdout == "opened\n", done.stderr


def test_the_command_pushes_it_once_and_names_its_model(repo: Path, tmp_path: Path):
    with serve() as hub:
        command = [sys.executable, "-m", "fakeface", "push", "space", "nobody/demo", "--model", "nobody/faces"]
        command += ["--source", str(repo / "space")]
        environment = {**hub.environment(tmp_path / "home"), "PYTHONPATH": str(PACKAGE.parent)}
        options = {"env": environment, "capture_output": True, "text": True, "timeout": 300, "cwd": tmp_path}
        listed = subprocess.run([*command, "--dry-run"], check=False, **options)
        assert listed.returncode == 0, listed.stderr
        assert "  fakeface/faces/finder.py\n" in listed.stdout
        assert listed.stdout.endswith("; nothing was sent\n")
        assert not hub.repositories
        first = subprocess.run(command, check=False, **options)
        assert (first.returncode, first.stderr) == (0, "")
        second = subprocess.run(command, check=False, **options)
        assert second.stdout == f"{hub.endpoint}/spaces/nobody/demo/tree/main: was there already\n"
        kept = hub.repositories["spaces/nobody/demo"]
    assert (kept.sdk, kept.variables) == ("gradio", {"FAKEFACE_MODEL": "nobody/faces"})
    assert len(kept.history) == 2
    assert kept.files["fakeface/recipe.py"].data == (PACKAGE / "recipe.py").read_bytes()
    assert TOKEN not in first.stdout + second.stdout


def test_without_a_checkout_the_cure_is_named(tmp_path: Path):
    with pytest.raises(
        SpaceError, match=r"has no app\.py; clone the repository, and push from there or name its space/"
    ):
        write_space(tmp_path / "space", "nobody/faces", tmp_path)
