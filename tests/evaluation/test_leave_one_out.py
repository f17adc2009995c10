"""Leaving one out: real trainings of a tiny model by train.py, and what is made of them."""

import contextlib
import dataclasses
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from datasets import Dataset, concatenate_datasets
from filelock import FileLock
from planted import planted

from fakeface.data.loading import DataError
from fakeface.evaluation.leave_one_out import REPORT, SCRIPTS, _alone_in, _made_of, find_script, leave_one_out, plan
from fakeface.recipe import Recipe, read_recipe
from fakeface.utils.errors import OptionError

# Runs train.py as it is, notes what for, and fails where it is told to.
SCRIPT = """
import os, runpy, sys, yaml
recipe = yaml.safe_load(open(sys.argv[1]))
with open({noted!r}, "a") as file:
    print(*recipe["hold_out"] or ["everything"], file=file)
if os.path.exists({broken!r}) and recipe["hold_out"] == ["gan-b"]:
    sys.exit("no power")
runpy.run_path({train!r}, run_name="__main__")
"""
TINY = {"architecture": "cnn", "image_size": 16, "epochs": 1, "batch_size": 16, "workers": 0, "threads": 1}


def pictures(sources: dict[str, str]) -> Dataset:
    """240 pictures, their sources renamed; the generator of a generated one is its source."""
    named = planted(240, side=lambda label, rng: 32)
    return named.map(
        lambda row: {
            "source": sources.get(row["source"], row["source"]),
            "generator": sources.get(row["source"], row["source"]) if row["label"] else "none",
        }
    )


@pytest.fixture(scope="module")
def place(repo, tmp_path_factory) -> Path:
    """A folder with 60 pictures of each of two generators and 120 photographs of one source, and a script to train."""
    folder = tmp_path_factory.mktemp("place")
    pictures({"camera-b": "camera-a"}).to_parquet(folder / "data.parquet")
    files = {"noted": folder / "noted", "broken": folder / "broken", "train": repo / "train.py"}
    (folder / "script.py").write_text(SCRIPT.format(**{name: str(file) for name, file in files.items()}))
    return folder


def recipe_of(folder: Path, **changes) -> Recipe:
    return Recipe(**{**TINY, "data": [str(folder / "data.parquet")], **changes})


def run(place: Path, **changes) -> tuple[dict, list[str]]:
    said: list[str] = []
    options = {"device": "cpu", "workers": 0, "tell": said.append}
    report, _ = leave_one_out(recipe_of(place, **changes), place / "script.py", place / "out", "the command", **options)
    return report, said


@pytest.fixture(scope="module")
def report(place) -> dict:
    """The report of a run of which a training failed at first."""
    (place / "broken").touch()
    with pytest.raises(ValueError, match=r"1 of 3 trainings failed, the first: .*train\.log: .*\(no power\); what is"):
        run(place)
    (place / "broken").unlink()
    assert [row["generator"] for row in json.loads((place / "out" / REPORT).read_text())["generators"]] == ["gan-a"] * 2
    return run(place)[0]


def test_a_failed_training_is_made_up_for_and_nothing_else_trained_again(place, report):
    assert (place / "noted").read_text().split() == ["everything", "gan-a", "gan-b", "gan-b"]
    again, said = run(place)
    assert (place / "noted").read_text().split() == ["everything", "gan-a", "gan-b", "gan-b"]
    assert said[1:] == [
        "1 of 3: everything (measured before)",
        "2 of 3: without generator gan-a (measured before)",
        "3 of 3: without generator gan-b (measured before)",
    ]
    assert again == report


def test_each_generator_is_measured_on_all_its_pictures_by_a_model_that_saw_none(place, report):
    for entry, n_train in (("00-everything", 168), ("01-generator-gan-a", 126), ("02-generator-gan-b", 126)):
        run_facts = json.loads((place / "out" / entry / "run" / "run.json").read_text())
        assert run_facts["data"]["train"]["pictures"] == n_train
    rows = [
        (row["generator"], row["view"], row["split"], row["n_real"], row["n_generated"]) for row in report["generators"]
    ]
    assert rows == [(name, view, "held out", 24, 60) for name in ("gan-a", "gan-b") for view in ("clean", "delivered")]
    assert [(row["seen"]["n_real"], row["seen"]["n_generated"]) for row in report["generators"]] == [(24, 12)] * 4
    # The figures are those of the scores that were kept.
    (kept,) = (place / "out" / "01-generator-gan-a" / "scored").iterdir()
    lines = [json.loads(line) for line in kept.read_text().splitlines() if line]
    assert sum(view == "clean" for _, view, _ in lines) == 84
    assert 0 <= report["generators"][0]["auc"] <= 1


def test_the_report_says_what_it_rests_on(place, report):
    assert report["command"] == "the command"
    assert report["recipe"]["seed"] == 0
    assert {"torch", "fakeface"} <= report["entries"][0]["versions"].keys()
    assert [entry["name"] for entry in report["entries"]] == ["everything", "gan-a", "gan-b"]
    weights = {entry["weights_sha256"] for entry in report["entries"]}
    assert len(weights) == 3
    for entry in report["entries"]:
        assert len(entry["data"]["train"]["fingerprint"]) == 64
    assert report["remarks"][0].startswith(
        "too few validation pictures to choose an operating point without everything"
    )
    means = {(row["figure"], row["view"]): row for row in report["summary"]}
    worst = min((row for row in report["generators"] if row["view"] == "clean"), key=lambda row: row["auc"])
    assert means["auc", "clean"]["worst_row"] == worst["generator"]
    assert (place / "out" / "leave-one-out.md").read_text().count("\n| gan-") == 4


def test_rows_of_another_recipe_or_other_data_are_not_mixed_in(place, report):
    with pytest.raises(ValueError, match="out: was begun with another learning_rate; name another folder"):
        run(place, learning_rate=0.5)
    with pytest.raises(ValueError, match="was begun with another limit and data"):
        run(place, limit=200)


def test_two_runs_in_one_folder_are_refused(place, tmp_path):
    with FileLock(tmp_path / ".lock"), pytest.raises(OptionError, match="another run is at work there"):
        leave_one_out(recipe_of(place), place / "script.py", tmp_path, "", tell=lambda line: None)


HOLD = """
import subprocess, sys
from pathlib import Path
from fakeface.evaluation.leave_one_out import _alone_in
with _alone_in(Path(sys.argv[1])) as held:
    child = subprocess.Popen([sys.executable, "-c", "input()"], pass_fds=held)
    print("held", flush=True)
    child.wait()
"""


def test_a_training_that_outlives_its_run_keeps_the_folder(tmp_path):
    command, pipe = [sys.executable, "-c", HOLD, str(tmp_path)], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as run:
        assert run.stdin is not None
        assert run.stdout is not None
        assert run.stdout.readline() == "held\n"
        run.kill()
        run.wait()
        with pytest.raises(OptionError, match="another run is at work there"), _alone_in(tmp_path):
            pass
        run.stdin.write("\n")  # ends the training
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(OptionError), _alone_in(tmp_path):
            return
        time.sleep(0.05)
    pytest.fail("the folder stayed locked")


def test_a_start_that_may_have_seen_what_is_left_out_is_refused(place, tmp_path):
    recipe = dataclasses.replace(recipe_of(place), start_from="somewhere")
    with pytest.raises(ValueError, match="start_from is somewhere: that model may have seen what is left out"):
        leave_one_out(recipe, place / "script.py", tmp_path, "", tell=lambda line: None)


def test_a_list_of_pictures_is_what_it_names_wherever_its_file_is(place, tmp_path):
    entry = plan(recipe_of(place), tmp_path / "out")[0]
    one, two = "1" * 64, "2" * 64
    made = {}
    for name, text in {"a": f"{one}\n{two}\n", "b": f"# moved\n{two}\n{one}\n", "c": one}.items():
        (tmp_path / name).write_text(text)
        made[name] = _made_of(recipe_of(place, leave_out=str(tmp_path / name)), entry, "", 0)
    assert made["a"] == made["b"] != made["c"]


def test_near_duplicates_of_what_is_left_out_are_left_out_too(tmp_path):
    data = pictures({})
    twins = data.filter(lambda row: row["source"] == "gan-a").select(range(10))
    twins = twins.map(lambda row: {"source": "gan-b", "generator": "gan-b"})
    concatenate_datasets([data, twins]).to_parquet(tmp_path / "data.parquet")
    everything, *entries = plan(recipe_of(tmp_path), tmp_path / "out")
    assert [(entry.kind, entry.name) for entry in entries] == [
        ("generator", "gan-a"), ("generator", "gan-b"), ("source", "camera-a"), ("source", "camera-b")
    ]  # fmt: skip
    without = entries[0].splits
    assert set(without["unseen"]["generator"]) == {"gan-a"}
    assert len(without["unseen"]) == 60
    assert sorted(without["dropped"]["sha256"]) == sorted(without["unseen"].select(range(10))["sha256"])
    assert not set(without["train"]["sha256"]) & set(without["unseen"]["sha256"])
    # The photographs are where they were.
    for split in ("train", "validation", "test"):
        real = [[sha for sha, label in zip(s[split]["sha256"], s[split]["label"], strict=True) if not label]
                for s in (everything.splits, without)]  # fmt: skip
        assert real[0] == real[1]


def test_a_name_in_the_data_leads_out_of_no_folder(tmp_path):
    pictures({"gan-a": "../../gan", "gan-b": ".."}).to_parquet(tmp_path / "data.parquet")
    folders = [entry.folder for entry in plan(recipe_of(tmp_path), tmp_path / "out")]
    assert [folder.parent for folder in folders] == [tmp_path / "out"] * 5
    assert [folder.name for folder in folders[1:3]] == ["01-generator-_", "02-generator-_gan"]


def test_data_with_nothing_to_leave_out_are_refused(tmp_path):
    pictures({"camera-b": "camera-a", "gan-b": "gan-a"}).to_parquet(tmp_path / "data.parquet")
    with pytest.raises(DataError, match="there is nothing to leave out"):
        plan(recipe_of(tmp_path), tmp_path / "out", lambda line: None)


def test_the_script_is_the_one_of_the_package_wherever_one_stands(tmp_path, monkeypatch):
    (tmp_path / "train.py").write_text("raise SystemExit('another train.py')")
    monkeypatch.chdir(tmp_path)
    script = find_script()
    assert script in SCRIPTS
    assert "def train_epoch(" in script.read_text()
    assert find_script(Path("train.py")).samefile(tmp_path / "train.py")
    with pytest.raises(ValueError, match=r"nowhere\.py: not found; name it with --train-script"):
        find_script(Path("nowhere.py"))


def test_the_small_schedule_is_a_recipe(repo):
    recipe = Recipe(**read_recipe(repo / "configs" / "leave-one-out.yaml"))
    assert dataclasses.asdict(recipe)["architecture"] == "resnet50-cnn"
