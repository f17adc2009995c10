"""Importing is quick, and the imports inside the package run in one direction."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import fakeface

PACKAGE = Path(fakeface.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

SLOW = {"torch", "torchvision", "timm", "transformers", "datasets", "gradio", "evaluate", "sklearn"}
REMOTE_CODE = ("configuration_fakeface", "modeling_fakeface", "image_processing_fakeface")
# huggingface_hub is transformers' own dependency: whoever loads the folder has it.
REMOTE_CODE_MAY_IMPORT = {"torch", "timm", "transformers", "huggingface_hub", "numpy", "PIL", *sys.stdlib_module_names}
PICTURE_OPENERS = {"Image.open", "ImageFile.Parser", "cv2.imread", "cv2.imdecode", "io.read_image", "io.decode_image"}


def imports(path: Path) -> set[str]:
    """Every name a module imports, anywhere in it: absolute dotted names; relative ones resolved to `fakeface.…`."""
    found = set()
    home = ["fakeface", *path.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = home[: len(home) - node.level + 1] if node.level else []
            module = ".".join([*base, *(node.module.split(".") if node.module else [])])
            found |= {f"{module}.{alias.name}" for alias in node.names}
    return found


def top_level_imported(command: list[str]) -> set[str]:
    """Top-level modules that a Python command imported, read off the interpreter's own import log."""
    done = subprocess.run([sys.executable, "-X", "importtime", *command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr[-2000:]
    return {line.rsplit("|", 1)[1].strip().split(".")[0] for line in done.stderr.splitlines() if "|" in line}


def test_importing_fakeface_imports_nothing_slow():
    assert SLOW & top_level_imported(["-c", "import fakeface"]) == set()


def test_help_works_and_imports_nothing_slow():
    script = Path(sys.executable).with_name("fakeface")
    assert SLOW & top_level_imported([str(script), "--help"]) == set()
    shown = subprocess.run([script, "--help"], capture_output=True, text=True, check=True, timeout=60)
    assert "predict" in shown.stdout


@pytest.mark.parametrize("name", REMOTE_CODE)
def test_remote_code_stands_alone(name: str):
    # Transformers copies these files out of the package; anything else they import would be missing there.
    siblings = tuple(f"fakeface.{sibling}." for sibling in REMOTE_CODE)
    others = {found for found in imports(PACKAGE / f"{name}.py") if not found.startswith(siblings)}
    assert {found.split(".")[0] for found in others} - REMOTE_CODE_MAY_IMPORT == set()


# What `python -m` runs is the command, and `accelerate launch -m fakeface.score`; nothing else may stand on it.
@pytest.mark.parametrize(
    "path",
    [path for path in MODULES if path.relative_to(PACKAGE).as_posix() not in ("__main__.py", "score.py")],
    ids=lambda path: path.relative_to(PACKAGE).as_posix(),
)
def test_nothing_imports_the_outermost_layer(path: Path):
    outermost = {
        name
        for name in imports(path)
        if name.split(".")[0] in ("train", "space", "app") or f"{name}.".startswith("fakeface.cli.")
    }
    assert outermost == set()


def test_only_images_opens_pictures():
    # images.py is the door; decoding.py is the room behind it.
    openers = {
        path.relative_to(PACKAGE).as_posix()
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and ".".join(ast.unparse(node).split(".")[-2:]) in PICTURE_OPENERS
    }
    decoders = {path.relative_to(PACKAGE).as_posix() for path in MODULES if "fakeface.decoding.decode" in imports(path)}
    assert openers == {"decoding.py"}
    assert decoders == {"images.py"}
