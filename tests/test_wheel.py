"""The wheel holds the package, all of it, and nothing of the rest of the repository."""

import subprocess
import sys
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def wheel(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    # hatchling itself, not a build front end: it is in the lock, so nothing is fetched.
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    done = subprocess.run(command, cwd=repo, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        return Parser().parsestr(archive.read("fakeface-0.1.0.dist-info/METADATA").decode())


def test_it_holds_exactly_the_package_and_its_metadata(wheel: Path, repo: Path):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    in_dist_info = {name for name in names if name.startswith("fakeface-0.1.0.dist-info/")}
    package = {
        path.relative_to(repo).as_posix()
        for path in (repo / "fakeface").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    # The card's template stands at the top of the repository, where people look for it.
    assert names - in_dist_info == package | {"fakeface/model_card.md"}
    assert {"fakeface/__init__.py", "fakeface/py.typed"} < names
    assert in_dist_info == {
        f"fakeface-0.1.0.dist-info/{name}"
        for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")
    }


def test_it_installs_the_command(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        entry_points = archive.read("fakeface-0.1.0.dist-info/entry_points.txt").decode()
    assert entry_points.split() == ["[console_scripts]", "fakeface", "=", "fakeface.cli:main"]


def test_it_states_licence_and_python(metadata: Message):
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.10"


def test_it_pins_no_dependency_from_above(metadata: Message):
    dependencies = [line.split(";")[0].strip() for line in metadata.get_all("Requires-Dist", [])]
    assert {"accelerate", "datasets", "evaluate", "gradio", "huggingface-hub", "timm", "torch", "transformers"} <= {
        text.split(">=")[0] for text in dependencies
    }
    assert [text for text in dependencies if any(mark in text for mark in ("<", "==", "~=", "@"))] == []
