"""Importing is quick, and the imports inside the package run in one direction."""

import ast
import importlib
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import fakeface

PACKAGE = Path(fakeface.__file__).parent
ROOT = "fakeface"
# Each room imports from the floors before its own, and from no other; docs/architecture.md says what the rooms are.
FLOORS = (
    ("utils", "configuration_fakeface", "image_processing_fakeface"),
    ("images", "metrics", "results", "modeling_fakeface"),
    ("delivery", "reports", "faces"),
    ("model_folder", "explain", "recipe"),
    ("hub", "detector"),
    ("data",),
    ("score", "evaluation", "visualise"),
    ("release", "aggregated_cnns"),
    ("app",),
    ("cli", "training"),
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}

SLOW = {"torch", "torchvision", "timm", "transformers", "datasets", "gradio", "evaluate", "sklearn"}
REMOTE_CODE = ("configuration_fakeface", "modeling_fakeface", "image_processing_fakeface")
# huggingface_hub is transformers' own dependency: whoever loads the folder has it.
REMOTE_CODE_MAY_IMPORT = {"torch", "timm", "transformers", "huggingface_hub", "numpy", "PIL", *sys.stdlib_module_names}
PICTURE_OPENERS = {"Image.open", "ImageFile.Parser", "cv2.imread", "cv2.imdecode", "io.read_image", "io.decode_image"}


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


# Without what `python -m` runs, which stands above all rooms.
# What a wheel takes along from elsewhere in the repository; it belongs to no room.
FROM_REPOSITORY = {"checkpoints", "model_card.md", "scripts"}
FILES = {
    module_name(path): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.name != "__main__.py" and path.relative_to(PACKAGE).parts[0] not in FROM_REPOSITORY
}
MODULES = list(FILES)


def imports(path: Path) -> set[str]:
    """Every name a module imports, anywhere in it: absolute dotted names; relative ones resolved to `fakeface.…`."""
    found = set()
    home = [ROOT, *path.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = home[: len(home) - node.level + 1] if node.level else []
            module = ".".join([*base, *(node.module.split(".") if node.module else [])])
            found |= {f"{module}.{alias.name}" for alias in node.names}
    return found


def handed_out(package: str) -> dict[str, str]:
    """The modules of a package by the names it hands out, as its `__init__` lists them for type checkers."""
    return {name.rpartition(".")[2]: name.rpartition(".")[0] for name in imports(FILES[package])}


def imported_modules(module: str) -> set[str]:
    """The modules of the package that one imports; a name that a package hands out counts as its home's."""
    found = set()
    for name in imports(FILES[module]):
        home, _, last = name.rpartition(".")
        if name in FILES:
            found.add(name)
        elif home in FILES:
            is_package = FILES[home].name == "__init__.py"
            found.add(handed_out(home).get(last, home) if is_package and home != module else home)
    return found - {module}


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else module


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


@pytest.mark.parametrize("module", MODULES)
def test_nothing_imports_what_stands_outside_the_package(module: str):
    assert {
        name for name in imports(FILES[module]) if name.split(".")[0] in ("train", "space", "app", "tests")
    } == set()


def test_every_room_has_its_floor():
    assert {room_of(module) for module in MODULES} == {*FLOOR_OF, ROOT}
    assert len(FLOOR_OF) == sum(map(len, FLOORS))


@pytest.mark.parametrize("module", MODULES)
def test_imports_lead_down_to_lower_floors(module: str):
    room = room_of(module)
    if room == ROOT:  # it hands out what the rooms have
        return
    others = {found for found in imported_modules(module) if room_of(found) != room}
    upward = {found for found in others - {ROOT} if FLOOR_OF[room_of(found)] >= FLOOR_OF[room]}
    assert upward == set()
    # At the front door the rooms ask for nothing but the version.
    from_root = {name for name in imports(FILES[module]) if name.rpartition(".")[0] == ROOT and name not in FILES}
    assert from_root <= {f"{ROOT}.__version__"}


@pytest.mark.parametrize("package", [module for module in MODULES if FILES[module].name == "__init__.py"])
def test_a_package_hands_out_what_it_lists(package: str):
    room = importlib.import_module(package)
    listed = set(getattr(room, "__all__", ()))
    assert {name for name in listed if not hasattr(room, name)} == set()
    # What type checkers see is what there is; `lazy_names` itself is for the package alone.
    own = {name for name, home in handed_out(package).items() if home.startswith(f"{package}.")}
    assert own - {"registration", "lazy_names"} == listed & own
    assert not hasattr(room, "no_such_name")


def test_no_modules_import_each_other_in_a_circle():
    # Packages hand names out lazily, so a package itself is not part of a circle; what it hands out may be.
    graph = {module: imported_modules(module) for module in MODULES if FILES[module].name != "__init__.py"}
    list(TopologicalSorter(graph).static_order())  # raises CycleError, which names the circle


def test_the_top_of_the_package_fits_a_screen():
    remote_code = {f"{name}.py" for name in REMOTE_CODE}
    entries = {path.name for path in PACKAGE.iterdir()} - remote_code - FROM_REPOSITORY - {"__pycache__"}
    assert len(entries) <= 24, sorted(entries)


def test_only_the_room_of_images_opens_pictures():
    # load.py is the door, frames.py the way to decode.py, the room behind it; deep.py reads what Pillow cannot.
    openers = {
        module
        for module in MODULES
        for node in ast.walk(ast.parse(FILES[module].read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and ".".join(ast.unparse(node).split(".")[-2:]) in PICTURE_OPENERS
    }
    decoders = {module for module in MODULES if "fakeface.images.decode.PictureFile" in imports(FILES[module])}
    assert openers == {"fakeface.images.decode", "fakeface.images.deep"}
    assert decoders == {"fakeface.images.frames"}
