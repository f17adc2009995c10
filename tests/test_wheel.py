"""The wheel holds the package, the models and nothing else of the repository, and works without network."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest
from gradio_client import Client, handle_file
from serving import free_port, wait_for

from fakeface.app.samples import EXAMPLES
from fakeface.configuration_fakeface import CODE_VERSION

DIST_INFO = f"fakeface-{CODE_VERSION}.dist-info"
FACE = (178, 63, 269, 176)  # the box in the portrait


@pytest.fixture(scope="module")
def wheel(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    # hatchling itself, not a build front end: it is in the lock, so nothing is fetched.
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    done = subprocess.run(command, cwd=repo, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        return Parser().parsestr(archive.read(f"{DIST_INFO}/METADATA").decode())


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of processes that have the wheel's package, and that reach no other machine."""
    site = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    # The tests' own rule about the network, in every process.
    rule = f"import sys; sys.path.append({str(Path(__file__).parent)!r}); import conftest"
    (site / "sitecustomize.py").write_text(rule)
    environment = {**os.environ, "PYTHONPATH": str(site), "CUDA_VISIBLE_DEVICES": ""}
    environment.pop("FAKEFACE_MODEL", None)
    show = [sys.executable, "-c", "import fakeface; print(fakeface.__version__, fakeface.__file__)"]
    shown = subprocess.run(show, cwd=site.parent, env=environment, capture_output=True, text=True, check=True).stdout
    assert shown.split() == [CODE_VERSION, str(site / "fakeface" / "__init__.py")]
    return environment


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with nothing but a portrait in it."""
    shutil.copy(EXAMPLES / "portrait.jpg", tmp_path)
    return tmp_path


def files_of(root: Path) -> set[str]:
    paths = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return {path.as_posix() for path in paths if "__pycache__" not in path.parts}


def test_it_holds_exactly_the_package_the_models_and_its_metadata(names: set[str], repo: Path):
    in_dist_info = {name for name in names if name.startswith(f"{DIST_INFO}/")}
    package = {f"fakeface/{name}" for name in files_of(repo / "fakeface")}
    models = {f"fakeface/checkpoints/{name}" for name in files_of(repo / "checkpoints")}
    examples = {f"fakeface/app/examples/{name}" for name in files_of(repo / "space" / "examples")}
    # The card's template and train.py stand at the top of the repository, where people look for them.
    scripts = {"fakeface/model_card.md", "fakeface/scripts/train.py"}
    assert names - in_dist_info == package | models | examples | scripts
    assert {"fakeface/__init__.py", "fakeface/py.typed"} < names
    licences = ("licenses/LICENSE", "licenses/fakeface/faces/yunet/LICENSE")
    assert in_dist_info == {
        f"{DIST_INFO}/{name}" for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt", *licences)
    }


def test_it_brings_models_face_model_and_page(names: set[str]):
    assert {
        "fakeface/app/examples/portrait.jpg",
        "fakeface/app/style.css",
        "fakeface/checkpoints/fakeface-resnet50-cnn/model.safetensors",
        "fakeface/checkpoints/fakeface-vit-b16-cnn/model.safetensors",
        "fakeface/faces/yunet/LICENSE",
        "fakeface/faces/yunet/face_detection_yunet_2023mar.onnx",
    } < names


def test_predict_judges_the_found_face_in_a_folder_of_its_own(installed: dict[str, str], folder: Path):
    command = [sys.executable, "-m", "fakeface", "predict", "--json", "portrait.jpg"]
    done = subprocess.run(command, cwd=folder, env=installed, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads(done.stdout)
    (face,) = result["faces"]
    assert face["box"] == pytest.approx(FACE, abs=3)
    assert result["verdict"] in ("real", "generated", "uncertain")
    assert [path.name for path in folder.iterdir()] == ["portrait.jpg"]


def test_the_demo_answers_in_a_folder_of_its_own(
    installed: dict[str, str], folder: Path, tmp_path_factory: pytest.TempPathFactory
):
    port, log = free_port(), tmp_path_factory.mktemp("demo") / "log.txt"
    command = [sys.executable, "-m", "fakeface", "demo", "--port", str(port)]
    environment = {**installed, "GRADIO_TEMP_DIR": str(log.parent / "uploads")}
    with (
        log.open("w") as output,
        subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output) as server,
    ):
        try:
            address = f"http://127.0.0.1:{port}/"
            wait_for(address, server, log)
            client = Client(address, verbose=False)
            result = client.predict(handle_file(folder / "portrait.jpg"), api_name="/predict")
        finally:
            server.terminate()
    (face,) = result["faces"]
    assert face["box"] == pytest.approx(FACE, abs=3)
    assert result["verdict"] in ("real", "generated", "uncertain")
    assert "Traceback" not in log.read_text()


def test_it_installs_the_command(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        entry_points = archive.read(f"{DIST_INFO}/entry_points.txt").decode()
    assert entry_points.split() == ["[console_scripts]", "fakeface", "=", "fakeface.cli:main"]


def test_it_states_licence_and_python(metadata: Message):
    assert metadata["License-Expression"] == "Apache-2.0 AND MIT"
    assert metadata["Requires-Python"] == ">=3.10"


def test_it_pins_no_dependency_from_above(metadata: Message):
    dependencies = [line.split(";")[0].strip() for line in metadata.get_all("Requires-Dist", [])]
    assert {"accelerate", "datasets", "evaluate", "gradio", "huggingface-hub", "timm", "torch", "transformers"} <= {
        text.split(">=")[0] for text in dependencies
    }
    assert [text for text in dependencies if any(mark in text for mark in ("<", "==", "~=", "@"))] == []
