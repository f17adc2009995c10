"""The folder of a run: one command at a time, and never an output overwritten unasked."""

import io
import json
from pathlib import Path

import pytest

from fakeface.data.engine.units import unit_file, write_list, write_rows
from fakeface.data.engine.workers import Entry
from fakeface.data.sources.reference import Reference
from fakeface.score.outputs import RESULTS
from fakeface.score.work import ScoreError, WorkFolder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


def begin(out: Path, digest: str = "1", overwrite: bool = False) -> WorkFolder:
    work = WorkFolder(out)
    try:
        work.open(None)
        work.claim(digest, overwrite)
    except ScoreError:
        work.close()
        raise
    return work


def finish(work: WorkFolder) -> None:
    write_list(work.plan_file, [Entry("a", "", Reference("", "a"))])
    row = {"picture": "a", "score": 0.5, "verdict": "real", "reasons": [], "faces": [], "reason": None, "error": None}
    write_rows(unit_file(work.folder, 0), RESULTS, [row])
    work.merge(1)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_from_first_to_last(out: Path):
    work = begin(out)
    finish(work)
    assert work.publish() == {"real": 1}
    work.close()
    assert names(out.parent) == ["out.jsonl", "out.rejects.jsonl"]
    assert json.loads(out.read_text())["score"] == 0.5


def test_an_output_that_is_there_is_left_alone_unless_asked(out: Path):
    out.write_text("precious")
    with pytest.raises(ScoreError, match=r"out\.jsonl: is there already; name another file, or give --overwrite"):
        begin(out)
    assert names(out.parent) == ["out.jsonl"]
    work = begin(out, overwrite=True)
    finish(work)
    assert out.read_text() == "precious"  # up to the last moment
    work.publish()
    work.close()
    assert json.loads(out.read_text())["picture"] == "a"


def test_another_command_is_refused_and_starts_over_when_asked(out: Path):
    work = begin(out)
    finish(work)
    work.close()
    with pytest.raises(ScoreError, match="holds a run that is not finished, with other inputs"):
        begin(out, "2")
    work = begin(out, "2", overwrite=True)
    assert names(work.folder) == ["command", "lock"]
    work.close()


@pytest.mark.parametrize("moved", [[], ["out.rejects.jsonl"], ["out.rejects.jsonl", "out.jsonl"]])
def test_a_kill_while_publishing_loses_nothing(out: Path, moved: list[str]):
    work = begin(out)
    finish(work)
    for name in moved:
        (work.folder / "whole" / name).rename(out.parent / name)
    work.close()
    again = begin(out)
    assert again.merged()
    assert again.publish() == {"real": 1}
    again.close()
    assert names(out.parent) == ["out.jsonl", "out.rejects.jsonl"]


def test_a_second_run_waits_for_the_first(out: Path):
    work = begin(out)
    with pytest.raises(ScoreError, match=r"out\.jsonl: another run is writing there; wait for it, or stop it"):
        begin(out)
    work.close()


def test_a_merge_that_fails_leaves_what_it_was_made_of(out: Path):
    work = begin(out)
    with pytest.raises(FileNotFoundError):
        work.merge(1)  # there is no such unit
    assert names(work.folder) == ["command", "lock"]
    work.close()


def test_a_list_is_kept_and_known_again(out: Path):
    work = WorkFolder(out)
    digest = work.open(io.BytesIO(b"a.jpg\n"))
    work.claim("1", False)
    assert work.list_file.read_bytes() == b"a.jpg\n"
    work.close()
    again = WorkFolder(out)
    assert again.open(io.BytesIO(b"a.jpg\n")) == digest != again._keep_list(io.BytesIO(b"b.jpg\n"))
    again.close()


@pytest.mark.parametrize(("name", "words"), [("out.txt", "results are written as"), ("no/out.csv", "no such folder")])
def test_an_output_that_cannot_be_is_refused(tmp_path: Path, name: str, words: str):
    with pytest.raises(ScoreError, match=words):
        begin(tmp_path / name)
    assert names(tmp_path) == []


def test_a_folder_of_something_else_is_left_alone(out: Path):
    (out.parent / "out.jsonl.parts").mkdir()
    (out.parent / "out.jsonl.parts" / "precious").touch()
    with pytest.raises(ScoreError, match="is not a folder of a run, but would be this one's; name another output"):
        begin(out)
    assert (out.parent / "out.jsonl.parts" / "precious").exists()
