"""What plainly cannot work is refused before anything slow is imported: a second, not ten."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from datasets import ClassLabel, Dataset, Features, Value

import fakeface
from fakeface.data.names import refuse_untold

SLOW = {"torch", "transformers", "datasets", "gradio", "sklearn", "pandas", "cv2", "timm"}
# All cases in one process, since the first slow import of any would show in those that follow.
RUN_ALL = f"""
import json, sys
from typer.testing import CliRunner
from fakeface.cli.commands import app
for words in json.load(sys.stdin):
    done = CliRunner().invoke(app, words)
    slow = sorted({SLOW!r} & sys.modules.keys())
    print(json.dumps([done.exit_code, done.stdout, done.stderr, slow]))
"""

CASES: dict[str, tuple[list[str], int, str]] = {
    "an unknown file": (["predict", "none.jpg"], 1, "none.jpg: no such file; check the path\n"),
    "without its command": (["none.jpg", "--no-faces"], 1, "none.jpg: no such file; check the path\n"),
    "an empty folder": (["predict", "empty"], 1, "empty: no pictures there\n"),
    "an unknown option": (["predict", "there.jpg", "--modle", "x"], 2, "No such option: --modle"),
    "an unknown command": (["scroe", "there.jpg"], 2, "No such command 'scroe'"),
    "a model that is not there": (["predict", "there.jpg", "-m", "./m"], 2, "./m: no such folder; check the path\n"),
    "a folder that is not a model": (["predict", "there.jpg", "-m", "empty"], 2, "empty: config.json is missing; "),
    "fast and a model": (["there.jpg", "--fast", "-m", "empty"], 2, "fast chooses among the shipped models; "),
    "fast and a cascade": (["there.jpg", "--fast", "--cascade"], 2, "fast takes one model, and a cascade takes two; "),
    "scores of fast and a cascade": (
        ["score", "there.jpg", "--out", "r.jsonl", "--fast", "--cascade"], 2, "fast takes one model, and a cascade"
    ),
    "a map without an ending": (
        ["explain", "there.jpg", "--out", "why"], 2,
        "why: nothing says which format it has; name a file such as why.png\n",
    ),
    "a map of no format": (
        ["explain", "there.jpg", "--out", "why.xyz"], 2,
        "why.xyz: .xyz is not a format of pictures; name a file such as why.png\n",
    ),
    "a map below a file": (
        ["explain", "there.jpg", "--out", "there.jpg/w.png"], 2, "there.jpg/w.png: cannot be written (Not a directory)"
    ),
    "a map of nothing": (["explain", "none.jpg", "--out", "w.png"], 1, "none.jpg: no such file; check the path\n"),
    "a label": (
        ["explain", "there.jpg", "--out", "w.png", "--label", "fake"], 2,
        "unknown label 'fake': choose one of real, generated\n",
    ),
    "results of no format": (["score", "there.jpg", "--out", "r.txt"], 2, "r.txt: results are written as "),
    "results in no folder": (["score", "there.jpg", "--out", "no/r.csv"], 2, "no: no such folder; make it first\n"),
    "results that are there": (["score", "there.jpg", "--out", "r.csv"], 2, "r.csv: is there already; "),
    "data that are not there": (["data", "audit", "nosuch/"], 2, "nosuch/: no such file or folder; check the path\n"),
    "folders that say nothing": (["data", "audit", "pets"], 2, "pets: no folder in it is called real or generated; "),
    "label names that say nothing": (
        ["evaluate", "model", "pets.parquet"], 2, "pets.parquet: the label names 'cat', 'dog' do not say which are real"
    ),
    "label names of held-out pictures": (
        ["evaluate", "model", "--data", "pets.parquet"], 2, "pets.parquet: the label names 'cat', 'dog' do not say"
    ),
    "label names of a glob": (
        ["evaluate", "someone/model", "pets*.parquet"], 2, "pets*.parquet: the label names 'cat', 'dog' do not say"
    ),
    "label names of a list": (["evaluate", "model", "pets.csv"], 2, "pets.csv: line 2: the label 'cat' says neither"),
    "label names to calibrate on": (
        ["calibrate", "model", "--data", "pets.parquet"], 2, "pets.parquet: the label names 'cat', 'dog' do not say"
    ),
    "label names to leave one out of": (
        ["evaluate", "--leave-one-generator-out", "plain.yaml", "--data", "pets.parquet"], 2,
        "pets.parquet: the label names 'cat', 'dog' do not say",
    ),
    "label names of an audit": (["data", "audit", "pets.jsonl"], 2, "pets.jsonl: line 1: the label 'cat' says neither"),
    "numbers that the recipe does not explain": (
        ["evaluate", "model", "--data", "bare.parquet"], 2, "bare.parquet: the labels are numbers, and nothing"
    ),
    "two things on numbers that it explains": (
        ["calibrate", "model", "--data", "bare.parquet", "--recipe", "cnn.yaml", "--faces", "--cascade", "model"], 2,
        "--faces and --cascade measure different things",
    ),
    "labels without names": (["data", "audit", "bare.parquet"], 2, "bare.parquet: the labels are numbers, and nothing"),
    "an order of labels": (["data", "audit", "bare.parquet", "--labels", "fake,real"], 2, "labels is 'fake', 'real'"),
    "a glob of nothing": (["data", "equalise", "x-*.parquet", "--out", "o"], 2, "x-*.parquet: no such file or folder"),
    "an audit below a file": (
        ["data", "audit", "empty", "--out", "there.jpg/a.html"], 2, "there.jpg/a.html: cannot be written"
    ),
    "a recipe that is not there": (
        ["data", "build", "no.yaml", "--root", "empty", "--out", "o"], 2, "no.yaml: not a readable YAML recipe"
    ),
    "a build below a file": (
        ["data", "build", "build.yaml", "--root", "empty", "--out", "there.jpg/o"], 2, "there.jpg/o: cannot be written"
    ),
    "evaluation on nothing": (["evaluate", "model", "no.parquet"], 2, "no.parquet: no such file or folder"),
    "evaluation of nothing": (["evaluate", "./m", "empty"], 2, "./m: no such folder; check the path\n"),
    "a report below a file": (
        ["evaluate", "model", "empty", "--out", "there.jpg/o"], 2, "there.jpg/o: cannot be written"
    ),
    "calibration on nothing": (["calibrate", "model", "--data", "./no"], 2, "./no: no such file or folder"),
    "calibration of two things": (
        ["calibrate", "model", "empty", "--labels", "real,generated", "--faces", "--cascade", "model"], 2,
        "--faces and --cascade measure different things; run one after the other\n",
    ),
    "a cascade of nothing": (
        ["calibrate", "model", "bare.parquet", "--labels", "real,generated", "--cascade", "./m"], 2,
        "./m: no such folder; check the path\n",
    ),
    "an export of nothing": (["export", "./m", "out"], 2, "./m: no such folder; check the path\n"),
    "ONNX on nothing": (["export", "onnx", "model", "out", "--data", "no/"], 2, "no/: no such file or folder"),
    "a push of nothing": (["push", "./m", "someone/model"], 2, "./m: no such folder; check the path\n"),
}  # fmt: skip


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    desk = tmp_path_factory.mktemp("desk")
    for folder in ("empty", "model"):
        (desk / folder).mkdir()
    (desk / "model" / "config.json").write_text("{}")
    (desk / "there.jpg").write_bytes(b"not read here")
    (desk / "r.csv").write_text("precious")
    for animal in ("cats", "dogs"):
        (desk / "pets" / animal).mkdir(parents=True)
        (desk / "pets" / animal / "1.jpg").touch()
    for name, label in (("pets", ClassLabel(names=["cat", "dog"])), ("bare", Value("int64"))):
        rows = {"image": ["1.jpg"], "label": [0]}
        Dataset.from_dict(rows, Features({"image": Value("string"), "label": label})).to_parquet(
            desk / f"{name}.parquet"
        )
    (desk / "pets.csv").write_text("path,label\npets/cats/1.jpg,cat\n")
    (desk / "pets.jsonl").write_text('{"path": "pets/cats/1.jpg", "label": "cat"}\n')
    (desk / "plain.yaml").write_text("architecture: cnn\n")
    (desk / "cnn.yaml").write_text("architecture: cnn\nlabels: [generated, real]\n")
    own = [{"source": "pictures", "name": "camera", "label": "real"}]
    (desk / "build.yaml").write_text(json.dumps({"sources": own}))
    ran = subprocess.run(
        [sys.executable, "-c", RUN_ALL],
        input=json.dumps([words for words, _, _ in CASES.values()]),
        env={"PYTHONPATH": str(Path(fakeface.__file__).parents[1]), "HF_HUB_OFFLINE": "1", "PATH": ""},
        cwd=desk,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr
    assert (desk / "r.csv").read_text() == "precious"
    return dict(zip(CASES, map(json.loads, ran.stdout.splitlines()), strict=True))


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_before_anything_slow_is_imported(case: str, done: dict[str, Any]):
    _, code, words = CASES[case]
    exit_code, shown, told, slow = done[case]
    assert (exit_code, shown, slow) == (code, "", [])
    assert words in told


@pytest.mark.parametrize("folders", [("real", "generated"), ("train/fake", "train/real"), ("RealFaces", "midjourney")])
def test_folders_that_say_it_are_left_in_peace(folders: tuple[str, str], tmp_path: Path):
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "1.jpg").touch()
    refuse_untold([str(tmp_path)])


def test_what_a_list_or_an_order_may_say_is_left_in_peace(tmp_path: Path):
    rows = Dataset.from_dict({"image": ["1.jpg"], "label": [0]})
    rows.to_parquet(tmp_path / "bare.parquet")
    refuse_untold([str(tmp_path / "bare.parquet"), str(tmp_path)], ["generated", "real"])
    (tmp_path / "listed").mkdir()
    (tmp_path / "listed" / "metadata.csv").write_text("file_name,label\n1.jpg,fake\n")
    refuse_untold([str(tmp_path / "listed")])
    rows.to_parquet(tmp_path / "rejects.parquet")
    (tmp_path / "built" / "data").mkdir(parents=True)
    (tmp_path / "built" / "build.json").write_text("{}")
    rows.to_parquet(tmp_path / "built" / "rejects.parquet")
    refuse_untold([str(tmp_path / "built")])
