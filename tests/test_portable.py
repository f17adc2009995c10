"""What only Unix has is not needed: everything imports without it, and a single process scores."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import picture, tiny_folder

import fakeface

PACKAGE = Path(fakeface.__file__).parent
UNIX_ONLY = {"fcntl", "grp", "posix", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty"}
IMPORT_ALL = """
import importlib, sys
for module in sys.argv[1:]:
    importlib.import_module(module)
try:
    import fcntl
except ImportError:
    print("all imported without it")
"""


@pytest.fixture(scope="module")
def without_fcntl(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which no Python process, nor one that it starts, can import `fcntl`."""
    folder = tmp_path_factory.mktemp("blocked")
    (folder / "sitecustomize.py").write_text("import sys\nsys.modules['fcntl'] = None\n")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(PACKAGE.parent)])}


def run(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=400, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_no_module_imports_what_only_unix_has():
    needed = {}
    for path in PACKAGE.rglob("*.py"):
        tree = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        names = {alias.name for node in tree if isinstance(node, ast.Import) for alias in node.names}
        tree = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        names |= {str(node.module) for node in tree if isinstance(node, ast.ImportFrom) and not node.level}
        needed[path.relative_to(PACKAGE).as_posix()] = names & UNIX_ONLY
    assert {path: names for path, names in needed.items() if names} == {}


def test_every_module_imports_without_fcntl(without_fcntl: dict[str, str]):
    paths = [path.relative_to(PACKAGE.parent).with_suffix("") for path in sorted(PACKAGE.rglob("*.py"))]
    modules = [".".join(path.parts).removesuffix(".__init__") for path in paths if path.name != "__main__"]
    assert run(without_fcntl, "-c", IMPORT_ALL, *modules) == "all imported without it\n"


def test_a_single_process_scores_without_fcntl(without_fcntl: dict[str, str], tmp_path: Path):
    (tmp_path / "pictures").mkdir()
    picture().save(tmp_path / "pictures" / "a.png")
    model, out = tiny_folder(tmp_path / "tiny"), tmp_path / "scores.csv"
    command = ("score", str(tmp_path / "pictures"), "--out", str(out), "--model", str(model), "--workers", "1")
    assert run(without_fcntl, "-m", "fakeface", *command, "--no-faces").startswith(f"{out}: 1 pictures")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pictures", "scores.csv", "scores.rejects.csv", "tiny"]
    assert out.read_text(encoding="utf-8").count("a.png") == 1
