"""A push completes over a bad line, sends nothing twice, and no state of `main` is ever half a model."""

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub.faults import Faults
from hub.server import READING, SOMEONE, TOKEN, Hub, serve

from fakeface.hub import upload
from fakeface.model_folder.checksums import SUMS, write_sums

PACKAGE = Path(upload.__file__).parents[2]
# The result, or an error's class and words.
PUSH = """
import json, sys
from dataclasses import asdict
from pathlib import Path
from fakeface.hub import errors
from fakeface.hub.upload import push_folder
errors.LONGEST_WAIT = 0.05
folder, repo, options = sys.argv[1:]
try:
    print(json.dumps(asdict(push_folder(Path(folder), repo, message="A model", **json.loads(options)))))
except ValueError as error:
    print(json.dumps(f"{type(error).__name__}: {error}"))
"""
SECRET = "hf_" + "s3cret" * 6


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serve() as hub:
        yield hub


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a push needs of a model folder: large and small files, and their list."""
    return write_folder(tmp_path / "folder", seed=0)


def write_folder(folder: Path, seed: int, **more: bytes) -> Path:
    chance = random.Random(seed)
    folder.mkdir()
    (folder / "onnx").mkdir()
    files = {"model.safetensors": chance.randbytes(400_000), "config.json": b'{"seed": %d}' % seed, **more}
    files |= {"README.md": b"---\nlicense: apache-2.0\n---\n# M\n", "onnx/model.onnx": chance.randbytes(300_000)}
    for name, data in files.items():
        (folder / name).write_bytes(data)
    write_sums(folder)
    return folder


def start(hub: Hub, home: Path, folder: Path, token: str = TOKEN, repo: str = "nobody/m", **options: Any):
    return subprocess.Popen(
        [sys.executable, "-c", PUSH, str(folder), repo, json.dumps(options)],
        env={**hub.environment(home, token), "PYTHONPATH": str(PACKAGE)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def push(*arguments: Any, **options: Any) -> Any:
    """What the push tells, and everything that it printed."""
    process = start(*arguments, **options)
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    return json.loads(out.splitlines()[-1])


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def states(hub: Hub, name: str = "models/nobody/m") -> list[dict[str, bytes]]:
    """The files of every state that `main` ever had, without what the Hub puts there itself."""
    repository = hub.repositories[name]
    found = [{path: file.data for path, file in repository.commits[commit].items()} for commit in repository.history]
    for files in found:
        files.pop(".gitattributes", None)
    return found


def test_a_push_is_one_commit_and_the_same_push_again_is_none(hub: Hub, tmp_path: Path, folder: Path):
    (folder / ".hidden").write_text("of the editor")
    first = push(hub, tmp_path, folder)
    (folder / ".hidden").unlink()
    assert sorted(first["changed"]) == sorted(files_of(folder))
    assert states(hub) == [{}, files_of(folder)]
    assert first["commit"] == hub.repositories["models/nobody/m"].history[-1]
    assert first["url"] == f"{hub.endpoint}/nobody/m/tree/main"
    assert not hub.repositories["models/nobody/m"].private
    hub.seen.clear()
    again = push(hub, tmp_path, folder)
    assert (again["commit"], again["changed"]) == (first["commit"], [])
    assert len(states(hub)) == 2
    assert sum(each.received for each in hub.seen) == 0


def test_what_an_earlier_push_left_goes_and_what_others_put_there_stays(hub: Hub, tmp_path: Path, folder: Path):
    push(hub, tmp_path, write_folder(tmp_path / "old", 1, **{"older.safetensors": b"old weights"}))
    repository = hub.repositories["models/nobody/m"]
    theirs = hub.add("models/nobody/other", {"notes.txt": b"by hand"})
    repository.commit({**repository.files, **hub.repositories["models/nobody/other"].commits[theirs]}, "by hand")
    done = push(hub, tmp_path, folder)
    assert "older.safetensors" in done["changed"]
    assert states(hub)[-1] == {**files_of(folder), "notes.txt": b"by hand"}


def test_a_hub_that_fails_every_request_once_gets_it_all(hub: Hub, tmp_path: Path, folder: Path):
    hub.faults = Faults(fail=True)
    push(hub, tmp_path, folder)
    assert states(hub) == [{}, files_of(folder)]
    failed = [each.path.partition("?")[0] for each in hub.seen if each.status == 500]
    for part in ("whoami", "repos/create", "/tree/", "preupload", "objects/batch", "/large/", "/commit/main"):
        assert any(part in path for path in failed), part


@pytest.mark.parametrize("seed", range(2))
def test_a_hub_that_cuts_every_upload_at_a_random_byte_gets_it_all(hub: Hub, tmp_path: Path, folder: Path, seed: int):
    hub.part_size = 150_000 if seed else None
    hub.faults = Faults(cut_uploads=True, chance=random.Random(seed))
    push(hub, tmp_path, folder)
    assert states(hub) == [{}, files_of(folder)]
    cut = [each for each in hub.seen if each.status == 0]
    assert any("/large/" in each.path for each in cut)
    assert any("/commit/" in each.path for each in cut)


@pytest.mark.parametrize("options", [{}, {"create_pr": True}, {"revision": "next"}], ids=["main", "pr", "branch"])
def test_a_commit_whose_answer_was_lost_is_not_made_twice(hub: Hub, tmp_path: Path, folder: Path, options: dict):
    hub.faults = Faults(lose_answers=True)
    done = push(hub, tmp_path, folder, **options)
    repository = hub.repositories["models/nobody/m"]
    assert repository.refs[done["revision"]] == done["commit"]
    assert {name: file.data for name, file in repository.commits[done["commit"]].items() if name != ".gitattributes"} \
        == files_of(folder)  # fmt: skip
    assert len(repository.commits) == 2
    assert len(repository.pull_requests) == bool(options.get("create_pr"))


def test_a_push_that_was_killed_goes_on_and_sends_no_large_file_twice(hub: Hub, tmp_path: Path, folder: Path):
    hub.faults = Faults(pause=60, only="preupload")
    process = start(hub, tmp_path, folder)
    wait_for(lambda: any("repos/create" in each.path for each in hub.seen))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert states(hub) == [{}]
    hub.faults = Faults(pause=60, only="objects/verify")
    process = start(hub, tmp_path, folder)
    wait_for(lambda: len(hub.large) == 2)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert states(hub) == [{}]
    hub.faults = Faults()
    hub.seen.clear()
    push(hub, tmp_path, folder)
    assert states(hub) == [{}, files_of(folder)]
    assert not [each for each in hub.seen if each.method == "PUT"]


def wait_for(condition: Any) -> None:
    until = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_branches_and_pull_requests_leave_main_alone(hub: Hub, tmp_path: Path, folder: Path):
    hub.add("models/nobody/m", {"config.json": b"{}"})
    before = states(hub)
    branch = push(hub, tmp_path, folder, revision="next")
    assert branch["url"].endswith("/nobody/m/tree/next")
    pull = push(hub, tmp_path, folder, create_pr=True)
    assert (pull["revision"], pull["url"]) == ("refs/pr/1", f"{hub.endpoint}/nobody/m/discussions/1")
    again = push(hub, tmp_path, folder, create_pr=True)
    assert (again["revision"], again["commit"], again["changed"]) == ("refs/pr/1", pull["commit"], [])
    assert states(hub) == before
    hub.repositories["models/nobody/m"].tags["v1"] = branch["commit"]
    said = push(hub, tmp_path, folder, revision="v1")
    assert said == "HubError: nobody/m: v1 is a tag there, and tags stay as they are; name a branch"


def test_private_is_for_new_repositories_and_never_silently_public(hub: Hub, tmp_path: Path, folder: Path):
    push(hub, tmp_path, folder, private=True)
    assert hub.repositories["models/nobody/m"].private
    hub.repositories["models/nobody/m"].private = False
    said = push(hub, tmp_path, write_folder(tmp_path / "new", 2), private=True)
    assert said.startswith("HubError: nobody/m: is there and public; make it private in its settings, or push without")
    assert states(hub)[-1] == files_of(folder)


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ("", "nobody/m: needs a token: run `hf auth login` first"),
        (SECRET, "nobody/m: needs a token: run `hf auth login` first"),
        (READING, "nobody/m: was refused by the Hub ("),
        (SOMEONE, "nobody/m: was refused by the Hub ("),
    ],
    ids=["none", "bad", "reading", "someone"],
)
def test_who_may_not_push_is_told_and_no_token_is_shown(hub: Hub, tmp_path: Path, folder: Path, token: str, words: str):
    process = start(hub, tmp_path, folder, token)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert json.loads(out).startswith(f"HubError: {words}")
    if token:
        assert token not in out + err
        assert not [path for path in tmp_path.rglob("*") if path.is_file() and token.encode() in path.read_bytes()]
    assert not hub.repositories


def test_a_hub_that_stays_broken_is_given_up(hub: Hub, tmp_path: Path, folder: Path):
    hub.add("models/nobody/m", {"config.json": b"{}"})
    hub.faults = Faults(fail=True, only="/commit/", times=99)
    process = start(hub, tmp_path, folder)
    out, err = process.communicate(timeout=240)
    assert json.loads(out).startswith("HubError: nobody/m: was refused by the Hub (")
    assert "500" in json.loads(out)
    assert "trying again in" in err
    assert TOKEN not in out + err
    assert states(hub) == [{"config.json": b"{}"}]


def test_a_list_of_somebody_elses_is_no_reason_to_remove_anything(hub: Hub, tmp_path: Path, folder: Path):
    hub.add("models/nobody/m", {SUMS: b"not a list", "notes.txt": b"1"})
    push(hub, tmp_path, folder)
    assert states(hub)[-1] == {**files_of(folder), "notes.txt": b"1"}
