"""The command line of train.py: what is refused before torch is imported, and what the help page explains."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fakeface.configuration_fakeface import ARCHITECTURES
from fakeface.modeling_fakeface import TRUNKS
from fakeface.recipe import ARCHITECTURES as OF_RECIPES
from fakeface.recipe import Recipe, explanations, parse_recipe
from fakeface.training.command import WITH_TRUNK

SLOW = {"torch", "accelerate", "transformers", "datasets", "timm"}
RUN_ALL = f"""
import json, runpy, sys
for words in json.load(sys.stdin):
    sys.argv = ["train.py", *words]
    try:
        runpy.run_path(SCRIPT, run_name="__main__")
    except SystemExit as end:
        print(json.dumps([end.code, sorted({SLOW!r} & sys.modules.keys())]))
"""
DATA = ["--data", "data"]
CASES = {
    "no data": ([], "no data given: name parquet files, an image folder or a Hub dataset"),
    "data that are not there": (["--data", "nosuch/"], "nosuch/: no such file or folder; check the path"),
    "a wrong architecture": ([*DATA, "--architecture", "vit"], "unknown architecture 'vit': choose one of logistic, "),
    "trunk weights that are not there": ([*DATA, "--trunk-weights", "x.safetensors"], "x.safetensors: no such file; "),
    "trunk weights of another kind": ([*DATA, "--trunk-weights", "x.pth"], "x.pth: trunk weights must be a .safetens"),
    "a start that is not there": ([*DATA, "--start-from", "./model"], "./model: no such folder; check the path"),
    "a list that is not there": ([*DATA, "--leave-out", "no.txt"], "no.txt cannot be read as text"),
    "a run folder below a file": ([*DATA, "--output", "file/run"], "file/run: cannot be written (Not a directory); "),
    "a run folder that is taken": ([*DATA, "--output", "taken"], "output taken already holds a run: add --resume"),
    "an unknown option": ([*DATA, "--epoch", "3"], "unknown argument '--epoch'; did you mean '--epochs'?"),
}


@pytest.fixture(scope="module")
def done(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    desk = tmp_path_factory.mktemp("desk")
    for folder in ("data", "taken"):
        (desk / folder).mkdir()
    (desk / "taken" / "run.json").write_text("{}")
    (desk / "file").touch()
    ran = subprocess.run(
        [sys.executable, "-c", RUN_ALL.replace("SCRIPT", repr(str(repo / "train.py")))],
        input=json.dumps([words for words, _ in CASES.values()]),
        env={**os.environ, "PYTHONPATH": str(repo)},
        cwd=desk,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr
    return dict(zip(CASES, map(json.loads, ran.stdout.splitlines()), strict=True))


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_before_anything_slow_is_imported(case: str, done: dict[str, Any]):
    told, slow = done[case]
    assert slow == []
    assert told.startswith(f"train.py: {CASES[case][1]}")


def test_the_help_page_imports_nothing_slow(repo: Path):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", str(repo / "train.py"), "--help"],
        env={**os.environ, "PYTHONPATH": str(repo)}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "side of the model's input in pixels (default: 160)" in " ".join(done.stdout.split())
    assert not SLOW & {line.rsplit("|", 1)[1].strip().split(".")[0] for line in done.stderr.splitlines() if "|" in line}


def test_every_key_is_explained(capsys: pytest.CaptureFixture[str]):
    told = explanations()
    assert told.keys() == Recipe.__dataclass_fields__.keys()
    assert {heading for heading, _ in told.values()} == {"model", "data", "optimisation", "running"}
    assert [key for key, (_, words) in told.items() if len(words) < 5] == []
    assert told["frozen_views"][1].startswith("Views of each picture (as it is, then augmented ones) that a trunk")
    assert told["frozen_views"][1].endswith("0 trains all of the model.")
    with pytest.raises(SystemExit):
        parse_recipe(["--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert [key for key, (_, words) in told.items() if " ".join(words.split()) not in shown.replace("- ", "-")] == []


def test_what_is_known_without_torch_is_what_is_there():
    assert set(OF_RECIPES) == set(ARCHITECTURES)
    assert set(WITH_TRUNK) == set(TRUNKS)


def test_under_the_launcher_the_refusal_is_the_last_thing_said(repo: Path, tmp_path: Path):
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "-q", "--cpu", "--num_processes", "1"]
    done = subprocess.run(
        [*launcher, str(repo / "train.py"), "--data", "nosuch/"],
        env={**os.environ, "PYTHONPATH": str(repo)}, cwd=tmp_path, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "train.py: nosuch/: no such file or folder; check the path"
    assert "Traceback" not in done.stderr
